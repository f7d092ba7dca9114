"""What follows a success, decided for each task before its first job comes: `follower`.

Of nearly all jobs nothing is said that is seldom said: no hook, no chain, no further
attempt. Then there is a record to keep or nothing at all, and which of the two is the
same for all jobs of a task. What is not so is for `aftermath`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from gearfleet.results.record import Unsealed, are_fixed
from gearfleet.worker.aftermath import conclude
from gearfleet.worker.job import server_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from gearfleet.tasks import Task
    from gearfleet.worker.aftermath import Aftermath
    from gearfleet.worker.job import Assignment, Completed, Job

    Follower = Callable[[Job, Completed, float, Assignment], None]

#: Codecs whose results are written as records are.
_AS_RECORDED = ("envelope", "pickle")

#: What `Unsealed(...)` does, in a third of the time; and what is the same in all of them.
_made = tuple.__new__
_COMMON = tuple(Unsealed._field_defaults.values())


def follower(task: Task[..., Any], aftermath: Aftermath | None) -> Follower:
    """Return what does whatever follows a job of `task` that succeeded, and began at a moment.

    It raises what `Aftermath.complete` raises.
    """
    if aftermath is None:
        return lambda job, outcome, started, assignment: None
    declared = task.declared
    is_kept = aftermath.recorder.wants_success(False if declared.ignore_result else None)
    keep = aftermath.recorder.keep
    is_simple = not declared.on_success and (not is_kept or declared.codec in _AS_RECORDED)

    def follow(job: Job, outcome: Completed, started: float, assignment: Assignment) -> None:
        meta = job.meta
        if is_simple and meta is not None and meta.is_usual:
            if not is_kept:
                return
            if are_fixed(job.args, job.kwargs):
                keep(_record(job, outcome, started, assignment))
                return
        conclude(aftermath, job, outcome, started, server_of(assignment))

    return follow


def _record(job: Job, outcome: Completed, started: float, assignment: Assignment) -> Unsealed:
    meta, task = job.meta, job.task
    assert meta is not None
    return _made(Unsealed, (
        meta.id, task.name, job.function, task.queue, job.args, job.kwargs,
        meta.enqueued_at, started, time.time(), outcome.data, server_of(assignment), job.handle,
        *_COMMON,
    ))  # fmt: skip
