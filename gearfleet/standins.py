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
import uuid
from typing import TYPE_CHECKING, Any

from gearfleet.errors import JobFailed
from gearfleet.outcomes import Outcomes
from gearfleet.tasks import JobHandle, apps_of, declarations, discover
from gearfleet.tasks.failure import describe
from gearfleet.tasks.naming import function_name
from gearfleet.tasks.payload import decode_call, decode_value, encode_call, encode_value

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Mapping, Sequence

    from gearfleet.config import Settings
    from gearfleet.tasks import SubmitOptions, Submitter, Task, TaskCall

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
    `run` as the cause of a `JobFailed`, as from a worker.
    """

    def __init__(self, settings: Settings) -> None:
        """Find tasks in what is imported, then in the apps of `settings`."""
        self.settings = settings

    def run(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], options: SubmitOptions
    ) -> Any:
        """Run the task and return its result."""
        try:
            return _arrived(_finished(self._begin(name, args, kwargs, options)))
        except Exception as error:
            raise JobFailed(f"{name} failed: {describe(error)}") from error

    def enqueue(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], options: SubmitOptions
    ) -> JobHandle:
        """Run the task; its result is dropped."""
        _arrived(_finished(self._begin(name, args, kwargs, options)))
        return _handle(name, self.settings, INLINE)

    def enqueue_many(self, calls: Iterable[TaskCall]) -> list[JobHandle]:
        """Run one after the other."""
        return [self.enqueue(*call) for call in calls]

    async def arun(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], options: SubmitOptions
    ) -> Any:
        """Run the task in this event loop and return its result."""
        try:
            return _arrived(await _awaited(self._begin(name, args, kwargs, options)))
        except Exception as error:
            raise JobFailed(f"{name} failed: {describe(error)}") from error

    async def aenqueue(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], options: SubmitOptions
    ) -> JobHandle:
        """Run the task in this event loop."""
        _arrived(await _awaited(self._begin(name, args, kwargs, options)))
        return _handle(name, self.settings, INLINE)

    def _begin(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], options: SubmitOptions
    ) -> Any:
        """Call the function of the task; a coroutine function's call has not begun then."""
        call = decode_call(encode_call(args, kwargs))
        if options.after is not None or options.at is not None:
            logger.info(
                "%s runs at once, in this process; its delay is ignored",
                name,
                extra={"action": "job_inline", "task": name},
            )
        return self._find(name).func(*call.args, **call.kwargs)

    def _find(self, name: str) -> Task[Any, Any]:
        return declarations.find(name) or discover(apps_of(self.settings.apps)).find(name)


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
        encode_call(args, kwargs)
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


def _handle(name: str, settings: Settings, server: str) -> JobHandle:
    job = uuid.uuid4().hex
    function = function_name(name, settings.prefix)
    return JobHandle(id=job, function=function, unique=f"{job}.1", server=server)


def _arrived(value: Any) -> Any:
    """Return a result as it would arrive."""
    return decode_value(encode_value(value))


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

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if "error" in outcome:
        raise outcome["error"]
    return outcome["value"]


async def _awaited(value: Any) -> Any:
    return await value if inspect.iscoroutine(value) else value
