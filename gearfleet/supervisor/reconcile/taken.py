"""A process that is being replaced: what it was when it was taken, and when the new one serves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gearfleet.supervisor.machine import START_TIMEOUT
from gearfleet.worker.glances import glance

if TYPE_CHECKING:
    from gearfleet.worker.glances import Glance


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What is remembered of a process that was told to stop.

    Attributes:
        since: when that was.
        pid: that it had.
        was_registered: whether a job server knew its workers.
        due: when the new one has to serve; 0 until it was started.
    """

    since: float
    pid: int
    was_registered: bool
    due: float = 0.0


def due(config: Any, now: float) -> float:
    """Return when a process of `config` that is started now has to serve."""
    return float(now + config.startsecs + START_TIMEOUT)


def look_at(process: Any) -> Glance | None:
    """Return what the workers of a process say on their boards; None where it has none."""
    run_dir = (process.config.environment or {}).get("GEARFLEET_RUN_DIR", "")
    return glance(Path(run_dir), process.config.name, process.pid) if run_dir else None


def is_busy(process: Any) -> bool:
    """Return whether a job is in hand behind a process."""
    seen = look_at(process)
    return seen is not None and seen.is_busy


def is_registered(process: Any) -> bool:
    """Return whether a job server knows the workers of a process."""
    seen = look_at(process)
    return seen is not None and seen.is_registered


def says_when_it_serves(config: Any) -> bool:
    """Return whether processes of `config` are workers, which have boards."""
    has_boards = "GEARFLEET_RUN_DIR" in (config.environment or {})
    return has_boards and " worker " in config.command
