"""One job to one outcome.

Whatever a payload holds and whatever a task does (sys.exit, RecursionError, a
result that cannot be sent), the outcome is a value and the worker goes on. The
one thing that leaves is `JobInterrupted`, when the stop ladder raised it: then
there is no outcome, and the job runs again elsewhere.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from contextlib import suppress
from types import CoroutineType
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from gearfleet.errors import JobExpired, JobInterrupted
from gearfleet.tasks.current import Updates, job_in_hand
from gearfleet.tasks.failure import describe
from gearfleet.tasks.packing import Packing
from gearfleet.worker import hooks
from gearfleet.worker.event_loop import OwnLoop
from gearfleet.worker.job import Completed, Failed, Outcome
from gearfleet.worker.reading import Reader
from gearfleet.worker.settling import Settler
from gearfleet.worker.soft_limit import is_in

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from gearfleet.tasks import Task
    from gearfleet.worker.aftermath import Aftermath
    from gearfleet.worker.event_loop import Loop
    from gearfleet.worker.job import Assignment, Job
    from gearfleet.worker.reading import Station
    from gearfleet.worker.retrying import Retries
    from gearfleet.worker.soft_limit import SoftLimit
    from gearfleet.worker.streams import Streams
    from gearfleet.worker.time_limits import TimeLimits

logger = logging.getLogger(__name__)

#: Whose frames say nothing of why a task failed.
_OURS = ("gearfleet.worker", "gearfleet.contrib.django.backend")


class Ladder(Protocol):
    """What the executor needs of the `StopLadder`."""

    is_interrupted: bool

    def job(self) -> AbstractContextManager[None]: ...
    def limit(self, seconds: float) -> SoftLimit: ...


class HeldUpdates(Updates, Protocol):
    """Sends what jobs say, while they are in hand."""

    def begin(self, assignment: object, /) -> None: ...
    def end(self, assignment: object, /) -> None: ...
    def close(self) -> None: ...


class Executor:
    """Runs the jobs of one worker, one at a time.

    Attributes:
        completed: how many jobs had a result.
        failed: how many jobs failed.
        interrupted: how many jobs were given back.
    """

    def __init__(
        self,
        tasks: Mapping[str, Task[..., Any]],
        *,
        hooks: hooks.Hooks,
        ladder: Ladder,
        aftermath: Aftermath | None = None,
        retries: Retries | None = None,
        packing: Packing | None = None,
        updates: HeldUpdates | None = None,
        loop: Loop | None = None,
        time_limits: TimeLimits | None = None,
        streams: Streams | None = None,
    ) -> None:
        """Serve `tasks`, by the functions that the job server knows them by.

        `packing` reads their payloads, by default as where there are no keys;
        `aftermath` keeps their records, and starts what follows them; `retries`
        submits their further attempts; `updates` sends what they say while they run;
        `loop` runs their coroutines, by default one of this thread; `time_limits` ends
        the process when one of them runs too long; `streams` are open again after each job.
        """
        self.completed = 0
        self.failed = 0
        self.interrupted = 0
        self._reader = Reader(tasks, packing or Packing())
        self._stations = self._reader.stations
        self._settler = Settler(
            self._reader, hooks=hooks.on_failure, aftermath=aftermath, retries=retries
        )
        self._before_job = hooks.before_job
        self._after_job = hooks.after_job
        self._ladder = ladder
        self._updates = updates
        self._loop = loop or OwnLoop()
        self._time_limits = time_limits
        self._streams = streams
        self._counting = threading.Lock()
        self._pid = os.getpid()

    def execute(self, assignment: Assignment) -> Outcome:
        """Run one job and return its outcome.

        Raises:
            JobInterrupted: the worker has to stop before the job is done.
            GearfleetError: what became of the job could not be kept, or its next
                attempt, or what follows it, not be submitted; it has to run again.
        """
        started = time.time()
        station = self._stations[assignment.task]
        if self._time_limits is not None:
            self._time_limits.begin(assignment)
        try:
            with self._ladder.job():
                job, outcome = self._run(station, assignment)
        except JobInterrupted:
            with self._counting:
                self.interrupted += 1
            raise
        finally:
            # Nobody speaks for the job any more: what follows is ours to send.
            job_in_hand.set(None)
            if self._streams is not None:
                self._streams.mend()
            if self._time_limits is not None:
                self._time_limits.end(assignment)
            if self._updates is not None:
                self._updates.end(assignment)
        with self._counting:
            if type(outcome) is Completed:
                self.completed += 1
            else:
                self.failed += 1
        self._settler.settle(assignment, job, outcome, started)
        return outcome

    def time_out(self, assignment: Assignment, error: Exception, stacks: str) -> Outcome:
        """Fail a job that another worker ran into its time limit; it may be tried again.

        Raises:
            GearfleetError: as `execute` does.
        """
        try:
            job = self._reader.read(assignment)
        except Exception:
            return self.refuse(assignment, error)
        failure = describe(error)._replace(traceback=stacks)
        outcome = Failed(error=error, failure=failure, is_ours=job.meta is not None)
        with self._counting:
            self.failed += 1
        self._settler.settle(assignment, job, outcome, time.time())
        return outcome

    def refuse(self, assignment: Assignment, error: Exception, *, is_read: bool = True) -> Failed:
        """Fail a job without running it, and without a further attempt.

        Where its payload is not read, the job is on record under its handle.

        Raises:
            GearfleetError: as `execute` does.
        """
        job, has_arguments = self._reader.unread(assignment), False
        with suppress(Exception):
            if is_read:
                job, has_arguments = self._reader.read(assignment), True
        outcome = Failed(error=error, failure=describe(error), is_ours=job.meta is not None)
        with self._counting:
            self.failed += 1
        self._settler.give_up(assignment, job, outcome, has_arguments=has_arguments)
        return outcome

    def close(self) -> None:
        """End the event loop of the coroutine tasks, if there was one."""
        self._loop.close()

    def _run(self, station: Station, assignment: Assignment) -> tuple[Job, Outcome]:
        try:
            job = station.job(assignment, station.unpack(assignment.data))
        except Exception as error:
            return station.job(assignment), Failed(error=error, failure=describe(error))
        if job.meta is not None and 0 < job.meta.expires < time.time():
            expired = JobExpired()
            return job, Failed(error=expired, failure=describe(expired))
        job_in_hand.set((job, assignment, self._updates))
        if self._updates is not None:
            self._updates.begin(assignment)
        if station.is_told_of_begins:
            self._settler.begin(assignment, job)
        if self._before_job:
            hooks.run(self._before_job, job)
        outcome = self._call(station, job)
        if self._after_job:
            hooks.run(self._after_job, job, outcome)
        return job, outcome

    def _call(self, station: Station, job: Job) -> Outcome:
        outcome: Outcome | None = None
        try:
            if station.soft_time_limit is not None:
                value = self._call_within(station.soft_time_limit, job)
            else:
                value = station.func(*job.args, **job.kwargs)
                if isinstance(value, CoroutineType):
                    value = self._loop.run(value)
            outcome = Completed(value, station.pack_result(value))
        except BaseException as error:
            # A task may turn the interruption into an error of its own; the job
            # still runs again. One that ended in spite of it has ended.
            if self._ladder.is_interrupted:
                raise JobInterrupted from error
            outcome = _failed(job, error)
        finally:
            if os.getpid() != self._pid:
                _end_fork(outcome)
        return outcome

    def _call_within(self, seconds: float, job: Job) -> Any:
        with self._ladder.limit(seconds) as limit:
            value = job.task.func(*job.args, **job.kwargs)
            # Not `inspect.iscoroutine`: in its frame the limit would take it for the task.
            if isinstance(value, CoroutineType):
                value = self._loop.run(limit.supervise(value))
            return value


def _end_fork(outcome: Outcome | None) -> NoReturn:
    """End a child that a task forked and that came back, which would be a second worker.

    It would answer its parent's job, and take others over its parent's connections.
    """
    code = 0
    if isinstance(outcome, Failed):
        code = _exit_code(outcome.error)
    for stream in ("stdout", "stderr"):
        with suppress(Exception):  # a task may have deleted it
            getattr(sys, stream).flush()
    os._exit(code)


def _exit_code(error: BaseException) -> int:
    """Return the code with which a process that `error` ends would end."""
    if not isinstance(error, SystemExit):
        logger.error("The forked child of a task failed", exc_info=error)
        return 1
    return error.code if isinstance(error.code, int) else int(error.code is not None)


def _failed(job: Job, error: BaseException) -> Failed:
    """Return the failure of a job whose task, or its call, raised `error`."""
    trace = error.__traceback__
    while trace is not None and is_in(trace.tb_frame, *_OURS):
        trace = trace.tb_next  # without our own frames
    error.__traceback__ = trace
    if error.__traceback__ is None and isinstance(error, TypeError):
        # The call itself raised it, before any line of the task ran.
        task = f"{job.task.name}{job.task.signature}"
        error = TypeError(f"{task} does not take the arguments of this job: {error}")
    return Failed(error=error, failure=describe(error), is_ours=job.meta is not None)
