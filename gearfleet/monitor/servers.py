"""The job servers are asked, all at the same time, so that silent ones cost no more than one."""

from __future__ import annotations

import shlex
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from gearfleet.errors import GearmanError
from gearfleet.gearman import GearmanAdminClient
from gearfleet.gearman.addresses import Address
from gearfleet.monitor.at_once import at_once
from gearfleet.monitor.truths import JobServer, Registered

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Short options of gearmand that mean something to us, by their long names.
_SHORT = {"q": "queue-type", "L": "listen", "p": "port", "j": "job-retries"}
_CONFIG_FILE = "/etc/gearmand.conf"


def ask_all(servers: Sequence[str], *, timeout: float) -> tuple[JobServer, ...]:
    """Return what each of `servers` says within `timeout` seconds for each question."""
    return tuple(at_once([partial(ask_one, server, timeout=timeout) for server in servers]))


def ask_one(server: str, *, timeout: float) -> JobServer:
    """Return what `server` says, or why it says nothing."""
    try:
        with GearmanAdminClient([server], poll_timeout=timeout) as admin:
            version = str(admin.version())
            functions = {row.function: row for row in admin.status()}
            workers = [row for row in admin.workers() if row.functions]
            pid = admin.getpid()
    except (GearmanError, OSError) as error:
        return JobServer(address=server, silence=str(error))
    known = [Registered.parse(row.client_id, row.functions) for row in workers]
    ours = tuple(row for row in known if row is not None)
    return JobServer(
        address=server,
        version=version,
        functions=functions,
        workers=ours,
        others=len(workers) - len(ours),
        options=_options_of(server, pid),
    )


def is_local(server: str) -> bool:
    """Tell whether a job server is addressed by a loopback address."""
    host = Address.parse(server).host
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _options_of(server: str, pid: int) -> Mapping[str, str] | None:
    """Return the options of the gearmand `pid`, if it runs on this host."""
    if not is_local(server):
        return None
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return None
    if not any(word.rpartition("/")[2] == "gearmand" for word in words[:2]):
        return None
    given = parse_options(words[1:])
    return {**_from_file(given.get("config-file", _CONFIG_FILE)), **given}


def _from_file(path: str) -> dict[str, str]:
    try:
        words = shlex.split(Path(path).read_text(errors="replace"), comments=True)
    except (OSError, ValueError):
        return {}
    return parse_options(words)


def parse_options(words: Sequence[str]) -> dict[str, str]:
    """Return the options among the words of gearmand's command line, by their long names.

    Example:
        >>> parse_options(["-q", "libsqlite3", "--keepalive", "--keepalive-idle=30", "-d"])
        {'queue-type': 'libsqlite3', 'keepalive': '', 'keepalive-idle': '30', 'd': ''}
    """
    found: dict[str, str] = {}
    last = ""
    for word in filter(None, words):
        if word.startswith("--"):
            last, _, value = word.removeprefix("--").partition("=")
            found[last] = value
        elif word.startswith("-"):
            last = _SHORT.get(word[1], word[1])
            found[last] = word[2:].lstrip("=")
        elif last and not found[last]:
            found[last] = word
    return found
