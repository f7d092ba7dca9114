"""Submitters that submit nothing, for tests and debugging.

`Eager` runs a job in the caller's process, at once; `Disabled` logs it and does
not run it. Arguments and results go through the payload all the same, so that
what could not be sent is refused here too.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
import time
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from gearfleet.errors import JobFailed
from gearfleet.outcomes import Outcomes
from gearfleet.outgoing import meta_of, new_id
from gearfleet.results import open_store
from gearfleet.tasks import JobHandle, apps_of, declarations, discover
from gearfleet.tasks.announcing import announce
from gearfleet.tasks.codecs import CODECS
from gearfleet.tasks.current import unheard
from gearfleet.tasks.failure import describe
from gearfleet.tasks.naming import function_name
from gearfleet.tasks.packing import Packing, Terms
from gearfleet.tasks.payload import Call

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence

    from gearfleet.config import Settings
    from gearfleet.tasks import SubmitOptions, Submitter, Task, TaskCall
    from gearfleet.tasks.meta import Meta

logger = logging.getLogger(__name__)

INLINE = "inline"
DISABLED = "disabled"


def stand_in_for(settings: Settings) -> Submitter | None:
    """Return what stands in for a client of `settings`, None if nothing does."""
    if settings.disabled:
        return Disabled(settings)
    return Eager(settings) if settings.always_eager else None


class Eager(Outcomes):
    """Runs each job at once, in this process and this thread.

    Delays, priorities and uniques mean nothing here, and nothing is retried. An
    exception of the task reaches the caller: from `enqueue` as it is, from
    `run` as the cause of a `JobFailed`, as from a worker. The record is kept, hooks
    are called, and what follows the job is run too.
    """

    def __init__(self, settings: Settings) -> None:
        """Find tasks in what is imported, then in the apps of `settings`."""
        self.settings = settings
        self._packing = Packing.of(settings)

    def run(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], options: SubmitOptions
    ) -> Any:
        """Run the task and return its result."""
        job = self._job(name, args, kwargs, options, waits=True)
        try:
            with self._concluding(job) as told:
                told.value = _arrived(_finished(job.begin()), job)
            return told.value
        except Exception as error:
            raise _job_failed(name, error) from error

    def enqueue(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], options: SubmitOptions
    ) -> JobHandle:
        """Run the task; its result is kept as a worker would keep it."""
        job = self._job(name, args, kwargs, options)
        with self._concluding(job) as told:
            told.value = _arrived(_finished(job.begin()), job)
        return _handle(name, self.settings, INLINE, job.meta.id)

    def enqueue_many(self, calls: Iterable[TaskCall]) -> list[JobHandle]:
        """Run one after the other."""
        return [self.enqueue(*call) for call in calls]

    async def arun(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], options: SubmitOptions
    ) -> Any:
        """Run the task in this event loop and return its result."""
        job = self._job(name, args, kwargs, options, waits=True)
        try:
            with self._concluding(job) as told:
                told.value = _arrived(await _awaited(job.begin()), job)
            return told.value
        except Exception as error:
            raise _job_failed(name, error) from error

    async def aenqueue(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], options: SubmitOptions
    ) -> JobHandle:
        """Run the task in this event loop."""
        job = self._job(name, args, kwargs, options)
        with self._concluding(job) as told:
            told.value = _arrived(await _awaited(job.begin()), job)
        return _handle(name, self.settings, INLINE, job.meta.id)

    def _job(
        self,
        name: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        options: SubmitOptions,
        *,
        waits: bool = False,
    ) -> _InlineJob:
        """Return the job as it would arrive at a worker."""
        meta = meta_of(options, time.time(), waits=waits)
        announce(name, args, kwargs, meta)
        terms = Terms(function_name(name, self.settings.prefix), options.codec, options.signed)
        call = self._packing.unpack(self._packing.pack(Call(args, kwargs, meta), terms), terms)
        if options.after is not None or options.at is not None:
            logger.info(
                "%s runs at once, in this process; its delay is ignored",
                name,
                extra={"action": "job_inline", "task": name},
            )
        function = function_name(name, self.settings.prefix)
        return _InlineJob(self._find(name), call.args, call.kwargs, call.meta or meta, function)

    @contextmanager
    def _concluding(self, job: _InlineJob) -> Iterator[_Told]:
        """Do what a worker does when a job has ended."""
        started, told = time.time(), _Told()
        try:
            with unheard(job):
                yield told
        except Exception as error:
            self._conclude(job, started, error=error)
            raise
        self._conclude(job, started, value=told.value)

    def _conclude(
        self, job: _InlineJob, started: float, *, value: Any = None, error: Exception | None = None
    ) -> None:
        # By name, because the worker stands on a higher floor; and only here, because
        # whoever submits to job servers needs none of it.
        after, of_job = (import_module(f"gearfleet.worker.{name}") for name in ("aftermath", "job"))
        outcome = (
            of_job.Completed(value=value, data=b"")
            if error is None
            else of_job.Failed(error=error, failure=describe(error))
        )
        aftermath = after.Aftermath(open_store(self.settings), submit=self._follow)
        ended = of_job.Job(
            task=job.task,
            args=job.args,
            kwargs=job.kwargs,
            meta=job.meta,
            function=job.function,
            handle="",
            unique=job.meta.id,
        )
        try:
            after.conclude(aftermath, ended, outcome, started, INLINE)
        finally:
            aftermath.close()

    def _follow(
        self,
        name: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        options: SubmitOptions,
        /,
        *,
        server: str,
    ) -> None:
        """Run the next step of a chain; if it fails, its record says so."""
        try:
            self.enqueue(name, args, kwargs, options)
        except Exception:
            logger.exception(
                "%s, which follows another job, failed", name, extra={"action": "step_failed"}
            )

    def _find(self, name: str) -> Task[Any, Any]:
        return declarations.find(name) or discover(apps_of(self.settings.apps)).find(name)


class _InlineJob(NamedTuple):
    """A job that this process runs."""

    task: Task[Any, Any]
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    meta: Meta
    function: str

    def begin(self) -> Any:
        """Call the function of the task; a coroutine function's call has not begun then."""
        self.task.begins(self)
        return self.task.func(*self.args, **self.kwargs)


@dataclass(slots=True)
class _Told:
    """What a job returned."""

    value: Any = None


class Disabled(Outcomes):
    """Logs each job, and runs none."""

    def __init__(self, settings: Settings) -> None:
        """Log jobs by the functions that `settings` make of their tasks."""
        self.settings = settings

    def run(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], options: SubmitOptions
    ) -> Any:
        """Log the job; the result is None."""
        self.enqueue(name, args, kwargs, options)

    def enqueue(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], options: SubmitOptions
    ) -> JobHandle:
        """Log the job."""
        CODECS[options.codec].encode(args, kwargs)
        logger.info(
            "Jobs are disabled: %s with %r and %r is not run",
            name,
            tuple(args),
            dict(kwargs),
            extra={"action": "job_disabled", "task": name},
        )
        return _handle(name, self.settings, DISABLED)

    def enqueue_many(self, calls: Iterable[TaskCall]) -> list[JobHandle]:
        """Log each of them."""
        return [self.enqueue(*call) for call in calls]

    async def arun(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], options: SubmitOptions
    ) -> Any:
        """Log the job; the result is None."""
        self.enqueue(name, args, kwargs, options)

    async def aenqueue(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], options: SubmitOptions
    ) -> JobHandle:
        """Log the job."""
        return self.enqueue(name, args, kwargs, options)

    def wait(self, handle: JobHandle, timeout: float | None = None) -> bool:
        """Return True: nothing more will happen."""
        return True

    def outcome(self, handle: JobHandle, timeout: float | None = None) -> Any:
        """Return None, as `run` does."""

    async def aoutcome(self, handle: JobHandle, timeout: float | None = None) -> Any:
        """Return None, as `run` does."""


def _handle(name: str, settings: Settings, server: str, job: str = "") -> JobHandle:
    job = job or new_id()
    function = function_name(name, settings.prefix)
    return JobHandle(id=job, function=function, unique=f"{job}.1", server=server)


def _job_failed(name: str, error: Exception) -> JobFailed:
    failure = describe(error)
    return JobFailed(f"{name} failed: {failure}", failure=failure)


def _arrived(value: Any, job: _InlineJob) -> Any:
    """Return a result as it would arrive."""
    codec = CODECS[job.task.declared.codec]
    return codec.decode_result(codec.encode_result(value))


def _finished(value: Any) -> Any:
    """Return the result of a coroutine, also where an event loop is running already."""
    if not inspect.iscoroutine(value):
        return value
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(value)
    return _in_thread(value)


def _in_thread(coroutine: Coroutine[Any, Any, Any]) -> Any:
    outcome: dict[str, Any] = {}

    def run() -> None:
        try:
            outcome["value"] = asyncio.run(coroutine)
        except BaseException as error:
            outcome["error"] = error

    thread = threading.Thread(target=copy_context().run, args=(run,))
    thread.start()
    thread.join()
    if "error" in outcome:
        raise outcome["error"]
    return outcome["value"]


async def _awaited(value: Any) -> Any:
    return await value if inspect.iscoroutine(value) else value
