"""How the job servers show a worker: ``gearfleet/<host>/<program>/<pid>/<release>``."""

from __future__ import annotations

import os
import re
import socket

from gearfleet.gearman.protocol import MAX_CLIENT_ID_BYTES

#: A host's name has at most 64 bytes, and gearmand cuts a client id at 127.
_MAX_HOST, _MAX_PROGRAM = 64, 30
_UNFIT = re.compile(r"[^A-Za-z0-9_.:+@-]")


def client_id(program: str, release: str = "") -> str:
    """Return the name of this process, as a worker of `program`.

    The release is cut where a client id would be too long for gearmand.
    """
    known = f"gearfleet/{shown_host()}/{shown_program(program)}/{os.getpid()}/"
    return known + one_word(release)[: MAX_CLIENT_ID_BYTES - len(known)]


def shown_host(host: str | None = None) -> str:
    """Return the part for a host; without a name that of this one."""
    return one_word(host or socket.gethostname())[:_MAX_HOST]


def shown_program(program: str) -> str:
    """Return the part for a program."""
    return one_word(program)[:_MAX_PROGRAM]


def one_word(part: str) -> str:
    """Return a part of a client id, which may hold neither white space nor a slash."""
    return _UNFIT.sub("-", part) or "-"
