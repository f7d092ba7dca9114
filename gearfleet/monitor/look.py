"""supervisord is asked, and the workers of its host; whoever cannot be asked says why."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gearfleet.errors import ConfigError, SupervisorError, UsageError
from gearfleet.monitor.plugin import ask_plugin
from gearfleet.monitor.truths import Supervision
from gearfleet.worker.boards import read_boards

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gearfleet.supervisor.control import Supervisor


def look(
    connect: Callable[[], Supervisor] | None,
    run_dir: Path,
    *,
    reach: str = "",
    main: Path | None = None,
    timeout: float,
) -> Supervision:
    """Return what a supervisord says, and the workers that keep their boards in `run_dir`.

    Args:
        connect: returns the way to it, or raises why there is none; None if nobody knows it.
        run_dir: of the project.
        reach: the option by which commands reach it.
        main: its main file, whose supervisorctl is asked for the plugin.
        timeout: seconds that supervisorctl may take.
    """
    workers = tuple(entry for entry in read_boards(run_dir) if entry.is_alive)
    seen = replace(_asked(connect), workers=workers, reach=reach)
    if main is None or not os.path.isfile(main):  # noqa: PTH113 - Path.is_file raises in a closed folder
        return seen
    return replace(seen, plugin=ask_plugin(main, _command_of(seen.pid), timeout=timeout))


def _asked(connect: Callable[[], Supervisor] | None) -> Supervision:
    if connect is None:
        return Supervision(silence="nobody says where it listens")
    address = ""
    try:
        control = connect()
        address = control.address.url
        processes, pid = control.processes(), control.pid()
    except (SupervisorError, ConfigError, UsageError) as error:
        return Supervision(address=address, silence=str(error))
    is_local = address.startswith("unix:")
    return Supervision(
        address=address,
        processes=processes,
        pid=pid if is_local else 0,
        descriptors=_descriptors(pid) if is_local else None,
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
