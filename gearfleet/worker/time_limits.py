"""The hard time limits of one worker's tasks, and what is left of a worker that ran into one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from gearfleet.errors import TimeLimitExceeded
from gearfleet.tasks.naming import later_function
from gearfleet.worker.hard_end import FOLDER, HardEnd

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gearfleet.tasks import Task
    from gearfleet.worker.deaths import Death
    from gearfleet.worker.job import Assignment

#: The evidence bears the time of a clock that ticks every few milliseconds.
_TOLERANCE = 0.05


class TimeLimits:
    """Ends the process when a job of a task runs longer than it may."""

    def __init__(
        self, tasks: Mapping[str, Task[..., Any]], default: float, hard_end: HardEnd
    ) -> None:
        """Take the limits of `tasks`, given by their functions; `default` is for the others."""
        limits = {each: task.time_limit or default for each, task in tasks.items()}
        limits |= {later_function(each): limit for each, limit in limits.items()}
        self._limits = {each: limit for each, limit in limits.items() if limit}
        self._hard_end = hard_end

    def __bool__(self) -> bool:
        return bool(self._limits)

    def begin(self, assignment: Assignment) -> None:
        """Let the time of a job begin."""
        self._hard_end.begin(assignment, self._limits.get(assignment.task))

    def end(self, assignment: Assignment) -> None:
        """Let a job have ended."""
        self._hard_end.end(assignment)

    def deadline(self, function: str) -> float:
        """Return when a job that begins now must have ended, by `time.monotonic`; 0 for never."""
        limit = self._limits.get(function)
        return time.monotonic() + limit if limit else 0.0

    def verdict(self, function: str, death: Death) -> TimeLimitExceeded:
        """Return why a job of `function` failed, which the `death` of its worker tells."""
        limit = self._limits.get(function)
        within = f" of {limit:g} s" if limit else ""
        return TimeLimitExceeded(
            f"The job has not ended within its time limit{within}; its worker was ended: {death}"
        )


class Evidence(NamedTuple):
    """What a worker left that ended by a time limit.

    Attributes:
        moment: of its end, by `time.monotonic`.
        stacks: where its threads were.
    """

    moment: float
    stacks: str

    def is_of(self, deadline: float) -> bool:
        """Return whether a job that had this deadline was too late."""
        return 0 < deadline <= self.moment + _TOLERANCE


def read_evidence(run_dir: Path, name: str) -> Evidence | None:
    """Return what the worker called `name` left, None if it did not end by a time limit."""
    path = run_dir / FOLDER / name
    try:
        stacks = path.read_text(encoding="utf-8", errors="replace")
        age = time.time() - path.stat().st_mtime
    except OSError:
        return None
    return Evidence(moment=time.monotonic() - age, stacks=stacks) if stacks else None


def remove_evidence(run_dir: Path, name: str) -> None:
    """Forget what the worker called `name` left."""
    try:
        (run_dir / FOLDER / name).unlink(missing_ok=True)
    except OSError:  # another account's
        pass
