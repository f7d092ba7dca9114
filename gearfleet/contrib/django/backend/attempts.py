"""One attempt of a job of a Django task, in the worker: the call, and Django's signals around it."""

from __future__ import annotations

from asyncio import CancelledError
from functools import wraps
from inspect import Parameter, iscoroutinefunction, signature
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import reset_queries
from django.utils import timezone

from gearfleet import config
from gearfleet.contrib.django.backend.about import (
    as_chosen,
    errors_in,
    items,
    workers_in,
)
from gearfleet.contrib.django.backend.api import (
    TaskContext,
    TaskError,
    TaskResult,
    TaskResultStatus,
    task_finished,
    task_started,
)
from gearfleet.contrib.django.backend.values import moment, plain
from gearfleet.errors import JobInterrupted
from gearfleet.tasks.current import current_job, job_in_hand
from gearfleet.tasks.failure import Failure, describe
from gearfleet.tasks.retry import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Callable

    from gearfleet.contrib.django.backend.api import Task
    from gearfleet.tasks.meta import Meta
    from gearfleet.tasks.options import TaskOptions

#: What ends an attempt, but not the job: it runs again.
_AGAIN = (JobInterrupted, CancelledError)


#: Characters of each traceback that go with a job to its next attempts, which may be many.
MAX_CARRIED = 2_000


def runner(task: Task[..., Any], declared: TaskOptions) -> Callable[..., Any]:
    """Return the function that a worker calls for a job of `task`.

    The signals are sent so that no receiver changes what becomes of the job.
    """
    func = task.func

    @wraps(func)
    async def arun(*args: Any, **kwargs: Any) -> Any:
        attempt = Attempt.begin(task, declared, args, kwargs)
        await task_started.asend_robust(**attempt.told)
        try:
            value = attempt.succeed(await func(*attempt.args, **kwargs))
        except _AGAIN:
            raise
        except BaseException as error:
            if attempt.fail(error):
                await task_finished.asend_robust(**attempt.told)
            raise
        await task_finished.asend_robust(**attempt.told)
        return value

    @wraps(func)
    def run(*args: Any, **kwargs: Any) -> Any:
        attempt = Attempt.begin(task, declared, args, kwargs)
        task_started.send_robust(**attempt.told)
        try:
            value = attempt.succeed(func(*attempt.args, **kwargs))
        except _AGAIN:
            raise
        except BaseException as error:
            # Here, because Django's own receiver logs what is being handled.
            if attempt.fail(error):
                task_finished.send_robust(**attempt.told)
            raise
        task_finished.send_robust(**attempt.told)
        return value

    chosen = arun if iscoroutinefunction(func) else run
    if task.takes_context:
        _without_first(chosen, func)
    return chosen


class Attempt(NamedTuple):
    """The call of a task for a job.

    Attributes:
        result: what signals and the context are given; it tells how the job is.
        declared: options of the task.
        meta: of the job; None for one that has none, as where the runner is just called.
    """

    result: TaskResult[..., Any]
    declared: TaskOptions
    meta: Meta | None

    @classmethod
    def begin(
        cls, task: Task[..., Any], declared: TaskOptions, args: Any, kwargs: dict[str, Any]
    ) -> Attempt:
        """Return the attempt that begins now."""
        reset_queries()
        told, job = job_in_hand.get(), current_job()
        meta = told[0].meta if told else None
        about = (meta and meta.about) or {}
        now, as_called = timezone.now(), as_chosen(task, about)
        result: TaskResult[..., Any] = TaskResult(
            task=as_called,
            id=job.id if job else "",
            status=TaskResultStatus.RUNNING,
            enqueued_at=moment(meta.enqueued_at) if meta else None,
            started_at=moment(about.get("started")) or now,
            last_attempted_at=now,
            finished_at=None,
            args=list(args),
            kwargs=kwargs,
            backend=as_called.backend,
            errors=errors_in(about),
            worker_ids=workers_in(about),
        )
        return cls(result, declared, meta)

    @property
    def args(self) -> list[Any]:
        """The positional arguments of the call."""
        context = [TaskContext(task_result=self.result)] if self.result.task.takes_context else []
        return [*context, *self.result.args]

    @property
    def told(self) -> dict[str, Any]:
        """What is sent with a signal."""
        return {"sender": type(self.result.task.get_backend()), "task_result": self.result}

    def succeed(self, value: Any) -> Any:
        """Return `value` as JSON has it, or raise why it has none."""
        normal = plain(value)
        self._end(TaskResultStatus.SUCCESSFUL)
        object.__setattr__(self.result, "_return_value", normal)
        return normal

    def fail(self, error: BaseException) -> bool:
        """Take note of `error`; return whether the job has ended with it, as no other attempt comes."""
        failure = describe(error)
        path = path_of(failure)
        told = TaskError(exception_class_path=path, traceback=failure.traceback)
        self.result.errors.append(told)
        is_last = self._is_last(error)
        if not is_last and self.meta is not None and self.meta.about is not None:
            items(self.meta.about, "errors").append([path, _short(failure.traceback)])
        self._end(TaskResultStatus.FAILED if is_last else TaskResultStatus.READY)
        return is_last

    def _is_last(self, error: BaseException) -> bool:
        if self.meta is None or self.meta.waits:
            return True
        settings = config.current()
        policy = RetryPolicy.of(
            self.declared, retries=settings.retries, retry_after=settings.retry_after
        )
        try:
            return policy.delay_after(self.meta.attempt, error) is None
        except Exception:
            return True  # a backoff that raises, of which the worker tells

    def _end(self, status: TaskResultStatus) -> None:
        object.__setattr__(self.result, "status", status)
        if status != TaskResultStatus.READY:
            object.__setattr__(self.result, "finished_at", timezone.now())


def path_of(failure: Failure) -> str:
    """Return the dotted path of an exception's class, as Django has it."""
    if not failure.type:
        return "builtins.Exception"
    return failure.type if "." in failure.type else f"builtins.{failure.type}"


def _short(trace: str) -> str:
    """Return a traceback as it goes from attempt to attempt: its end, in text that can be sent."""
    return trace[-MAX_CARRIED:].encode("utf-8", "backslashreplace").decode()


def _without_first(chosen: Any, func: Callable[..., Any]) -> None:
    """Let `chosen` show the parameters that a caller gives: all but the context."""
    told = signature(func)
    parameters: list[Parameter] = list(told.parameters.values())
    chosen.__signature__ = told.replace(parameters=parameters[1:])
