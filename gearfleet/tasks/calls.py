"""The ways to submit jobs of a task, checked against the signature of its function."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, overload

from gearfleet.tasks.moments import epoch_of, seconds_of
from gearfleet.tasks.naming import hook_path
from gearfleet.tasks.submission import JobHandle, SubmitOptions, TaskCall, submitter

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable
    from datetime import datetime, timedelta

    from gearfleet.tasks.options import Callback
    from gearfleet.tasks.submission import Priority

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Calls(Generic[P, R]):
    """Whatever can be submitted: a task, or a task with options."""

    __slots__ = ()

    @abstractmethod
    def _target(self) -> tuple[str, SubmitOptions]:
        """Return the name of the task, and how its jobs are submitted."""

    def delay(self, /, *args: P.args, **kwargs: P.kwargs) -> JobHandle:
        """Submit a job in the background; return when a job server has accepted it.

        Raises:
            PayloadEncodeError: (a TypeError) an argument cannot be sent; names it.
            ServerUnavailable: no job server can be reached; the job was not submitted.
            AmbiguousSubmit: the connection broke; the job may run or may not.
        """
        name, options = self._target()
        return submitter().enqueue(name, args, kwargs, options)

    def after(self, seconds: float | timedelta, /, *args: P.args, **kwargs: P.kwargs) -> JobHandle:
        """Submit a job in the background that is not run before so many seconds have passed.

        The job server holds it; its clock counts whole seconds.
        """
        name, options = self._target()
        delay = seconds_of(seconds, "after")
        return submitter().enqueue(name, args, kwargs, replace(options, after=delay, at=None))

    def at(self, when: datetime, /, *args: P.args, **kwargs: P.kwargs) -> JobHandle:
        """Submit a job in the background that is not run before `when`, an aware datetime."""
        name, options = self._target()
        epoch_of(when, "at")
        return submitter().enqueue(name, args, kwargs, replace(options, at=when, after=None))

    @overload
    def submit(
        self: Calls[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T: ...
    @overload
    def submit(self, /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    def submit(self, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Submit a job and wait for its result.

        Raises:
            JobFailed: the task raised; the message is the exception's.
            JobTimeout: no result in time.
            ServerUnavailable: no job server can be reached.
        """
        name, options = self._target()
        return submitter().run(name, args, kwargs, options)

    async def adelay(self, /, *args: P.args, **kwargs: P.kwargs) -> JobHandle:
        """Do what `delay` does, and let the event loop go on meanwhile."""
        name, options = self._target()
        return await submitter().aenqueue(name, args, kwargs, options)

    @overload
    async def asubmit(
        self: Calls[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T: ...
    @overload
    async def asubmit(self, /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    async def asubmit(self, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Do what `submit` does, and let the event loop go on meanwhile."""
        name, options = self._target()
        return await submitter().arun(name, args, kwargs, options)

    def map(self, items: Iterable[Any], /) -> list[JobHandle]:
        """Submit a job in the background for each of `items`, its only argument, all at once.

        Raises:
            BatchFailed: some were not accepted; it has the handles of the others.
        """
        name, options = self._target()
        return submitter().enqueue_many(TaskCall(name, (item,), {}, options) for item in items)

    def call(self, /, *args: P.args, **kwargs: P.kwargs) -> TaskCall:
        """Return a call to submit later, with others: see `Client.submit_many`."""
        name, options = self._target()
        return TaskCall(name, args, kwargs, options)

    def options(
        self,
        *,
        unique: str | bytes | bool | None = None,
        priority: Priority | None = None,
        timeout: float | None = None,
        max_retries: int | None = None,
        after: float | timedelta | None = None,
        at: datetime | None = None,
        expires: float | timedelta | datetime | None = None,
        name: str | None = None,
        group: str | None = None,
        hook: Callback | None = None,
        save: bool | None = None,
        chain: tuple[Any, ...] | None = None,
        on_data: Callable[[Any], object] | None = None,
        on_warning: Callable[[str], object] | None = None,
        on_progress: Callable[[int, int], object] | None = None,
    ) -> TaskWithOptions[P, R]:
        """Return the task with options for its next jobs; see `SubmitOptions`.

        What is not given stays as it is.

        Example:
            resize.options(unique=f"image-{image_id}").delay(image_id)
        """
        given = {
            "unique": unique, "priority": priority, "timeout": timeout,
            "max_retries": max_retries, "after": after, "at": at, "expires": expires,
            "name": name, "group": group, "hook": hook and hook_path(hook), "save": save, "chain": chain,
            "on_data": on_data, "on_warning": on_warning, "on_progress": on_progress,
        }  # fmt: skip
        changes: dict[str, Any] = {key: item for key, item in given.items() if item is not None}
        task, before = self._target()
        return TaskWithOptions(name=task, chosen=replace(before, **changes))


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskWithOptions(Calls[P, R]):
    """A task and how its next jobs are to be submitted.

    Attributes:
        name: of the task.
        chosen: options of its next jobs.
    """

    name: str
    chosen: SubmitOptions

    def _target(self) -> tuple[str, SubmitOptions]:
        return self.name, self.chosen
