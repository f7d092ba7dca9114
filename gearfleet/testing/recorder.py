"""`Submitted`: a submitter that remembers what it was given."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gearfleet.standins import Disabled
from gearfleet.tasks import SubmitOptions, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from gearfleet.config import Settings
    from gearfleet.tasks import HandleStatus, JobHandle, Submitter, TaskCall


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmittedJob:
    """A job that the code under test submitted.

    Attributes:
        task: its name.
        args: of the call.
        kwargs: of the call.
        options: with which it was submitted.
        waits: whether the caller waited for the result.
    """

    task: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    options: SubmitOptions
    waits: bool

    def __str__(self) -> str:
        given = [*map(repr, self.args), *(f"{key}={item!r}" for key, item in self.kwargs.items())]
        return f"{self.task}({', '.join(given)})"


class Submitted:
    """What was submitted, in order; a list of `SubmittedJob` to look at.

    Example:
        def test_signing_up(submitted):
            sign_up("ada@example.org")
            submitted.assert_once(send_welcome, "ada@example.org")
    """

    stands_in_for_clients = True

    def __init__(self, settings: Settings, forward: Submitter | None = None) -> None:
        """Record for a client of `settings`; `forward` is given the jobs too."""
        self.jobs: list[SubmittedJob] = []
        self._results: dict[str, Any] = {}
        self._forward = forward
        self._idle = Disabled(settings)

    def __len__(self) -> int:
        return len(self.jobs)

    def __iter__(self) -> Iterator[SubmittedJob]:
        return iter(self.jobs)

    def __getitem__(self, index: int) -> SubmittedJob:
        return self.jobs[index]

    def clear(self) -> None:
        """Forget what was submitted."""
        self.jobs.clear()

    def of(self, task: Task[..., Any] | str) -> list[SubmittedJob]:
        """Return the jobs of `task`, which may be given by its name."""
        return [job for job in self.jobs if job.task == _name(task)]

    def returns(self, task: Task[..., Any] | str, result: Any) -> None:
        """Let callers that wait for a job of `task` have `result`, or raise it if it is an exception."""
        self._results[_name(task)] = result

    def assert_once(self, task: Task[..., Any] | str, /, *args: Any, **kwargs: Any) -> SubmittedJob:
        """Fail unless exactly one job of `task` was submitted, with these arguments; return it.

        Arguments may be written by position or by name, as with a call of the function.
        """
        found = [job for job in self.of(task) if _is_call(task, job, args, kwargs)]
        if len(found) != 1 or len(self.of(task)) != 1:
            wanted = SubmittedJob(
                task=_name(task), args=args, kwargs=kwargs, options=SubmitOptions(), waits=False
            )
            raise AssertionError(f"Expected one job {wanted}; {self._told()}")
        return found[0]

    def assert_none(self, task: Task[..., Any] | str | None = None) -> None:
        """Fail if a job was submitted: of `task`, or of any."""
        if self.jobs if task is None else self.of(task):
            wanted = "any task" if task is None else _name(task)
            raise AssertionError(f"Expected no job of {wanted}; {self._told()}")

    def _told(self) -> str:
        listing = "".join(f"\n  {job}" for job in self.jobs)
        return f"submitted were:{listing}" if listing else "nothing was submitted"

    # What tasks and clients call.

    def run(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], options: SubmitOptions
    ) -> Any:
        """Record a job whose caller waits."""
        self._note(name, args, kwargs, options, waits=True)
        if name in self._results:
            return _given(self._results[name])
        if self._forward is not None:
            return self._forward.run(name, args, kwargs, options)
        return self._idle.run(name, args, kwargs, options)

    def enqueue(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], options: SubmitOptions
    ) -> JobHandle:
        """Record a background job."""
        self._note(name, args, kwargs, options, waits=False)
        return (self._forward or self._idle).enqueue(name, args, kwargs, options)

    def enqueue_many(self, calls: Iterable[TaskCall]) -> list[JobHandle]:
        """Record a batch."""
        return [self.enqueue(*call) for call in calls]

    async def arun(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], options: SubmitOptions
    ) -> Any:
        """Record a job whose caller waits."""
        self._note(name, args, kwargs, options, waits=True)
        if name in self._results:
            return _given(self._results[name])
        return await (self._forward or self._idle).arun(name, args, kwargs, options)

    async def aenqueue(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], options: SubmitOptions
    ) -> JobHandle:
        """Record a background job."""
        self._note(name, args, kwargs, options, waits=False)
        return await (self._forward or self._idle).aenqueue(name, args, kwargs, options)

    def status(self, handle: JobHandle) -> HandleStatus:
        """Return what is known of a job."""
        return (self._forward or self._idle).status(handle)

    def wait(self, handle: JobHandle, timeout: float | None = None) -> bool:
        """Return whether a job has ended."""
        return (self._forward or self._idle).wait(handle, timeout)

    def outcome(self, handle: JobHandle, timeout: float | None = None) -> Any:
        """Return the result of a job that was run; None of one that was only recorded."""
        return (self._forward or self._idle).outcome(handle, timeout)

    async def aoutcome(self, handle: JobHandle, timeout: float | None = None) -> Any:
        """Do what `outcome` does."""
        return await (self._forward or self._idle).aoutcome(handle, timeout)

    def _note(
        self,
        name: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        options: SubmitOptions,
        *,
        waits: bool,
    ) -> None:
        self.jobs.append(
            SubmittedJob(
                task=name, args=tuple(args), kwargs=dict(kwargs), options=options, waits=waits
            )
        )


def _name(task: Task[..., Any] | str) -> str:
    # A function of compat's @task() has its task as an attribute.
    task = getattr(task, "task", task)
    return task if isinstance(task, str) else task.name


def _given(result: Any) -> Any:
    if isinstance(result, BaseException):
        raise result
    return result


def _is_call(
    task: Task[..., Any] | str, job: SubmittedJob, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> bool:
    if (job.args, job.kwargs) == (args, kwargs):
        return True
    function = getattr(getattr(task, "task", task), "func", None)
    if function is None:
        return False
    wanted = _bound(function, args, kwargs)
    return wanted is not None and wanted == _bound(function, job.args, job.kwargs)


def _bound(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any] | None:
    try:
        call = inspect.signature(function).bind(*args, **kwargs)
    except TypeError:
        return None
    call.apply_defaults()
    return dict(call.arguments)
