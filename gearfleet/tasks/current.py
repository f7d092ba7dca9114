"""`current_job`: what a task may know, and say, of the job that it is called for."""

from __future__ import annotations

import operator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

from gearfleet.tasks.codecs import CODECS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gearfleet.tasks.meta import Meta
    from gearfleet.tasks.task import Task

#: gearmand keeps a progress as two numbers of C's `int` (reference "gearmand", command 12).
_PROGRESS_BITS = 31


class Facts(Protocol):
    """What whoever runs a job knows of it."""

    @property
    def task(self) -> Task[..., Any]: ...
    @property
    def meta(self) -> Meta | None: ...
    @property
    def function(self) -> str: ...


class Updates(Protocol):
    """Takes what jobs say while they run; it must take it from any thread, and not wait."""

    def progress(self, job: CurrentJob, numerator: int, denominator: int) -> None: ...
    def data(self, job: CurrentJob, data: bytes) -> None: ...
    def warning(self, job: CurrentJob, data: bytes) -> None: ...


def foreign_id(server: object, handle: str, unique: str) -> str:
    """Return what stands for the id of a job that another client has submitted.

    Handles begin anew when a job server does (F14), so it takes the unique too.
    """
    return f"{server}/{handle}/{unique}"


class CurrentJob:
    """The job in hand; `current_job` returns it.

    What it says goes to the job server at once, and never waits for it. It may be
    used from other threads too, as long as the task runs; what is said later is dropped.

    Attributes:
        assignment: the job as the Gearman layer has it; None where there is no job server.
    """

    __slots__ = ("_facts", "_updates", "assignment")

    def __init__(self, facts: Facts, assignment: Any, updates: Updates | None) -> None:
        """Tell of the job with these `facts`; without `updates` nothing that it says is heard."""
        self.assignment = assignment
        self._facts = facts
        self._updates = updates

    @property
    def id(self) -> str:
        """The id of the job, under which its result is kept; the same for all its attempts."""
        meta = self._facts.meta
        if meta is not None:
            return meta.id
        given = self.assignment
        return foreign_id(given.connection.address, given.handle, given.unique)

    @property
    def attempt(self) -> int:
        """The number of this attempt, 1 for the first."""
        meta = self._facts.meta
        return 1 if meta is None else meta.attempt

    @property
    def task(self) -> str:
        """The name of the task."""
        return self._facts.task.name

    @property
    def function(self) -> str:
        """Under which the job server queued the job."""
        return self._facts.function

    def set_progress(self, n: int, total: int) -> None:
        """Say that `n` of `total` are done; `JobHandle.status` tells it to whoever asks.

        Only the last one counts, so it may be said as often as one likes.
        """
        done, of = operator.index(n), operator.index(total)
        if min(done, of) < 0:
            raise ValueError(f"Progress is 0 or more; it is {n!r} of {total!r}")
        excess = max(0, max(done, of).bit_length() - _PROGRESS_BITS)
        if self._updates is not None:
            self._updates.progress(self, done >> excess, of >> excess)

    def send_data(self, value: Any) -> None:
        """Send a part of the result to a caller that waits; a job in the background has none.

        Raises:
            PayloadEncodeError: (a TypeError) the value cannot be sent.
        """
        data = CODECS[self._facts.task.declared.codec].encode_result(value)
        if self._updates is not None:
            self._updates.data(self, data)

    def send_warning(self, text: str) -> None:
        """Send a warning to a caller that waits; a job in the background has none."""
        data = text.encode("utf-8", "backslashreplace")
        if self._updates is not None:
            self._updates.warning(self, data)

    def __repr__(self) -> str:
        return f"<CurrentJob {self.id} of {self.task} attempt={self.attempt}>"


#: Of what `current_job` makes a `CurrentJob`. Whoever runs a job sets it, in the context in
#: which the task is called: for every job, so it is no more than a tuple.
job_in_hand: ContextVar[tuple[Facts, Any, Updates | None] | None] = ContextVar(
    "gearfleet_job", default=None
)


@contextmanager
def unheard(job: Facts, assignment: Any = None) -> Iterator[None]:
    """Let `current_job` return `job` inside the block; nobody hears what it says."""
    before = job_in_hand.set((job, assignment, None))
    try:
        yield
    finally:
        job_in_hand.reset(before)


def current_job() -> CurrentJob | None:
    """Return the job that is being run here; None outside of one, as where a task is just called.

    It is also there in hooks around the job, in coroutines, and in the threads of
    `asyncio.to_thread`. A thread that the task starts itself is given the object.

    Example:
        @task
        def resize_all(image_ids):
            job = current_job()
            for number, image_id in enumerate(image_ids, 1):
                resize(image_id)
                if job:
                    job.set_progress(number, len(image_ids))
    """
    told = job_in_hand.get()
    return None if told is None else CurrentJob(*told)
