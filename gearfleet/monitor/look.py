"""supervisord is asked, and the workers of its host; whoever cannot be asked says why."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gearfleet.errors import ConfigError, SupervisorError, UsageError
from gearfleet.monitor.plugin import ask_plugin
from gearfleet.monitor.truths import Supervision
from gearfleet.supervisor.control import Supervisor
from gearfleet.worker.boards import read_boards

if TYPE_CHECKING:
    from collections.abc import Sequence


def look(main: Path | None, url: str | None, run_dir: Path, *, timeout: float) -> Supervision:
    """Return what the supervisord of `main`, or at `url`, says within `timeout` seconds."""
    workers = tuple(entry for entry in read_boards(run_dir) if entry.is_alive)
    seen = replace(_asked(main, url, timeout), workers=workers)
    if main is None or not os.path.isfile(main):  # noqa: PTH113 - Path.is_file raises in a closed folder
        return seen
    return replace(seen, plugin=ask_plugin(main, _command_of(seen.pid), timeout=timeout))


def _asked(main: Path | None, url: str | None, timeout: float) -> Supervision:
    if main is None and url is None:
        return Supervision(silence="nobody says where it listens")
    reach = f"--url {url}" if url else f"-c {main}"
    address = url or str(main)
    try:
        control = (
            Supervisor.from_url(url, timeout=timeout)
            if url
            else Supervisor.from_config(str(main), timeout=timeout)
        )
        address = control.address.url
        processes, pid = control.processes(), control.pid()
    except (SupervisorError, ConfigError, UsageError) as error:
        return Supervision(address=address, silence=str(error), reach=reach)
    is_local = address.startswith("unix:")
    return Supervision(
        address=address,
        processes=processes,
        pid=pid if is_local else 0,
        descriptors=_descriptors(pid) if is_local else None,
        reach=reach,
    )


def _descriptors(pid: int) -> int | None:
    """Return how many descriptors a process may open; None where that cannot be seen."""
    try:
        lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[3] for line in lines if line.startswith("Max open files")]
    return int(found[0]) if found and found[0].isdecimal() else None


def _command_of(pid: int) -> Sequence[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0") if pid else ()
    except OSError:
        return ()
