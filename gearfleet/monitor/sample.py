"""A look at everything that runs, taken again and again: job servers, supervisord, workers.

A look never fails: whoever does not answer within its time says so in the `Sample`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gearfleet.monitor.at_once import at_once
from gearfleet.monitor.look import look
from gearfleet.monitor.servers import ask_all

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gearfleet.monitor.truths import JobServer, Supervision, TaskTruth
    from gearfleet.supervisor.control import Supervisor


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What was seen at one moment.

    Attributes:
        now: when, in seconds since the epoch.
        servers: the job servers.
        supervision: supervisord, and the workers of this host.
        tasks: of the project, where they could be imported.
    """

    now: float
    servers: tuple[JobServer, ...]
    supervision: Supervision
    tasks: tuple[TaskTruth, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where to look.

    Attributes:
        servers: addresses of the job servers.
        run_dir: in which the workers of this host keep their boards.
        connect: returns the way to supervisord, or raises why there is none; None if
            nobody knows it.
        tasks: of the project.
        timeout: seconds that each answer may take.
    """

    servers: tuple[str, ...]
    run_dir: Path
    connect: Callable[[], Supervisor] | None = None
    tasks: tuple[TaskTruth, ...] = ()
    timeout: float = 2.0


def take(places: Places) -> Sample:
    """Look at all `places` at the same time."""
    seen: list[Supervision] = []
    servers: list[JobServer] = []

    def see_supervisord() -> None:
        seen.append(look(places.connect, places.run_dir, timeout=places.timeout))

    def see_servers() -> None:
        servers.extend(ask_all(places.servers, timeout=places.timeout))

    at_once([see_supervisord, see_servers])
    return Sample(now=time.time(), servers=tuple(servers), supervision=seen[0], tasks=places.tasks)
