"""The sections that a user pastes into supervisord.conf."""

from __future__ import annotations

import re
from configparser import RawConfigParser
from pathlib import Path
from typing import TYPE_CHECKING

from gearfleet.errors import UnrepresentableValue

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SECTION = "ctlplugin:gearfleet"

_TEXT = """\
; From `gearfleet supervisor-conf`, for the main configuration file:
; supervisorctl ignores a [ctlplugin] in an included one. The Python that runs
; supervisorctl must be able to import gearfleet, or no command of it works.
; Then: supervisorctl gearfleet help
[ctlplugin:gearfleet]
supervisor.ctl_factory = gearfleet.supervisor.ctlplugin:make_controllerplugin
servers = {servers}
run_dir = {run_dir}

; The extension by which `gearfleet apply` changes a running fleet and disturbs
; none of it. The Python that runs supervisord must be able to import gearfleet,
; or supervisord does not start; it is loaded when supervisord is started next.
[rpcinterface:gearfleet]
supervisor.rpcinterface_factory = gearfleet.supervisor.reconcile:make_rpcinterface
"""


def sections(*, servers: Sequence[str], run_dir: Path) -> str:
    """Return the text of the sections.

    Args:
        servers: the job servers, "host:port", at which a rolling restart sees who is back.
        run_dir: the run directory of the workers.

    Raises:
        UnrepresentableValue: A value would break every supervisorctl command.
    """
    return _TEXT.format(
        servers=",".join(_checked("servers", server) for server in servers),
        run_dir=_checked("run_dir", str(run_dir)),
    )


def servers_in(path: Path) -> tuple[str, ...]:
    """Return the job servers that the pasted section in the file `path` names, or none."""
    return split_servers(_section_in(path).get("servers", ""))


def run_dir_in(path: Path) -> Path | None:
    """Return the run directory that the pasted section in the file `path` names, if any."""
    run_dir = _section_in(path).get("run_dir", "")
    return Path(run_dir) if run_dir else None


def _section_in(path: Path) -> Mapping[str, str]:
    parser = RawConfigParser(strict=False, inline_comment_prefixes=(";", "#"))
    parser.read(path, encoding="utf-8")
    return parser[SECTION] if parser.has_section(SECTION) else {}


def split_servers(value: str) -> tuple[str, ...]:
    """Return the servers of a `servers =` line, separated by commas or spaces."""
    return tuple(re.findall(r"[^\s,]+", value))


def _checked(key: str, value: str) -> str:
    # Supervisor expands `%`, cuts at a comment, and strips the edges.
    if re.search(r"%|[\x00-\x1f\x7f]|\s[;#]", value) or value != value.strip():
        raise UnrepresentableValue(
            f"{key}: {value!r} cannot stand in a [ctlplugin] section of supervisord.conf; "
            "choose one without %, control characters, ' ;' and ' #'"
        )
    return value
