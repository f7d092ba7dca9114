"""`@task`: a function that can also be submitted as a job."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from gearfleet.errors import TaskDeclarationError, did_you_mean
from gearfleet.tasks.calls import Calls
from gearfleet.tasks.declarations import declare
from gearfleet.tasks.moments import seconds_of
from gearfleet.tasks.naming import default_task_name, name_problem
from gearfleet.tasks.options import TaskOptions
from gearfleet.tasks.packing import Terms
from gearfleet.tasks.submission import SubmitOptions

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from gearfleet.tasks.codecs import CodecName
    from gearfleet.tasks.current import Facts
    from gearfleet.tasks.options import Callback, Exceptions
    from gearfleet.tasks.periodic import Periodic
    from gearfleet.tasks.retry import BackoffLike
    from gearfleet.tasks.submission import Priority

P = ParamSpec("P")
R = TypeVar("R")


class Task(Calls[P, R]):
    """A function with a name and a queue; calling it runs it here and now.

    Make one with `@task`.

    Attributes:
        func: the function that was decorated.
        name: under which clients submit it, before the settings' prefix.
        queue: by which it is given to workers.
        priority: of its jobs, unless a call says otherwise.
        declared: all its options, as they were declared.
        chosen: how its jobs are submitted, unless a call says otherwise.
        module: dotted name of the module that declares it.
        place: the file and line of the declaration.
        soft_time_limit: seconds after which a job is told to end; None for never.
        time_limit: seconds after which a job is ended by force; None as the worker says.
        is_async: whether `func` is a coroutine function.
        periodics: the schedules that `periodic` has declared for it.
    """

    def __init__(self, func: Callable[P, R], /, **options: Any) -> None:
        """Make a task of `func`; `options` are those of `TaskOptions`."""
        place = _place(func)
        _refuse_unless_function(func, place)
        functools.update_wrapper(self, func)
        self.func = func
        self.place = place
        self.module = func.__module__
        self.is_async = inspect.iscoroutinefunction(func)
        self.declared = _options(options, place)
        self.name = self.declared.name or default_task_name(self.module, func.__name__)
        if problem := name_problem(self.name):
            raise TaskDeclarationError(f"{place}: task name {self.name!r}: {problem}")
        self.queue = self.declared.queue
        self.priority = self.declared.priority
        limit = self.declared.soft_time_limit
        self.soft_time_limit = None if limit is None else seconds_of(limit, "soft_time_limit")
        limit = self.declared.time_limit
        self.time_limit = None if limit is None else seconds_of(limit, "time_limit")
        self.chosen = _chosen(self.declared)
        self.periodics: tuple[Periodic, ...] = ()

    def _target(self) -> tuple[str, SubmitOptions]:
        return self.name, self.chosen

    @property
    def signature(self) -> str:
        """The parameters as text, without their types: ``(image_id, width=200)``."""
        signature = inspect.signature(self.func)
        bare = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
        return str(signature.replace(parameters=bare, return_annotation=inspect.Signature.empty))

    def begins(self, job: Facts) -> bool:
        """Take note that `job`, of this task, begins; return whether the result store is told."""
        return False

    def terms(self, function: str) -> Terms:
        """Return what the payloads of its jobs look like, where its function is `function`."""
        return Terms(function, self.declared.codec, self.declared.signed)

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function here, as if it were not decorated."""
        return self.func(*args, **kwargs)

    def __reduce__(self) -> str:
        # By reference, as a function: the module attribute is the task itself.
        return self.func.__qualname__

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} queue={self.queue}>"


def _chosen(declared: TaskOptions) -> SubmitOptions:
    return SubmitOptions(
        priority=declared.priority,
        unique=declared.unique or None,
        expires=declared.expires,
        save=False if declared.ignore_result else None,
        codec=declared.codec,
        # A task that is open to all trusts those clients more that have a key.
        signed=declared.signed or None,
    )


@overload
def task(func: Callable[P, R], /) -> Task[P, R]: ...
@overload
def task(
    *,
    name: str | None = None,
    queue: str = "default",
    codec: CodecName = "envelope",
    signed: bool | None = None,
    priority: Priority = "normal",
    unique: bool = False,
    retries: int | None = None,
    backoff: BackoffLike | None = None,
    retry_for: Exceptions = (Exception,),
    no_retry_for: Exceptions = (),
    time_limit: float | timedelta | None = None,
    soft_time_limit: float | timedelta | None = None,
    expires: float | timedelta | None = None,
    ignore_result: bool = False,
    on_success: Callback | None = None,
    on_failure: Callback | None = None,
) -> Callable[[Callable[P, R]], Task[P, R]]: ...
def task(
    func: Callable[P, R] | None = None, /, **options: Any
) -> Task[P, R] | Callable[[Callable[P, R]], Task[P, R]]:
    """Declare a function at the top level of a module to be a task.

    Args:
        func: the function, when the decorator stands without parentheses.
        options: by name, see below.

    Options:
        name: verbatim; by default the module's path without
            ``gearman_workers``, ``gearman_jobs`` and ``tasks``, and the function.
        queue: by which workers are given the task.
        codec: how arguments and result become bytes: ``envelope`` carries most of Python's
            values, ``json`` one argument and one result of plain JSON, ``raw`` bytes, and
            ``pickle`` any arguments, where jobs are signed.
        signed: False takes the jobs of clients without a key too, True takes no unsigned
            ones even where the settings have no key; by default the settings decide.
        priority: ``high``, ``normal`` or ``low``.
        unique: True runs jobs with equal arguments once while one is pending.
        retries: how often a failed background job is tried again; None as the
            settings say.
        backoff: seconds between attempts, a `Backoff`, or a function that takes the number
            of the failed attempt and returns seconds; None as the settings say.
        retry_for: the exceptions that are worth another attempt; `Retry` always is.
        no_retry_for: those among them that are not.
        time_limit: seconds (or a timedelta) after which the worker is ended by force; the job
            fails with `TimeLimitExceeded`, and may be tried again as after any failure.
        soft_time_limit: seconds (or a timedelta) after which `SoftTimeLimitExceeded` is raised
            in the task, which may catch it to clean up; the job fails with it otherwise.
        expires: seconds after which a job that did not begin is dropped.
        ignore_result: True stores no result.
        on_success: called when a job has succeeded: a function or its dotted path.
        on_failure: called when a job has failed for good.

    Raises:
        TaskDeclarationError: what is decorated cannot be a task, or an option
            cannot be used; the message names the place.

    Example:
        @task(queue="bar")
        def resize(image_id: int, width: int = 200) -> str: ...
    """

    def decorate(function: Callable[P, R]) -> Task[P, R]:
        made = Task(function, **options)
        declare(made)
        return made

    return decorate if func is None else decorate(func)


def _options(given: dict[str, Any], place: str) -> TaskOptions:
    for name in given:
        if name not in TaskOptions._fields:
            raise TaskDeclarationError(
                f"{place}: Unknown option '{name}' of @task {did_you_mean(name, TaskOptions._fields)}"
            )
    options = TaskOptions(**given)
    if problem := options.problem():
        raise TaskDeclarationError(f"{place}: {problem}")
    return options


#: What cannot be a task, in the order of the questions.
_REFUSED: tuple[tuple[Callable[[Any], bool], str], ...] = (
    (lambda func: isinstance(func, str), "a text (a name is given as name=, a queue as queue=)"),
    (lambda func: isinstance(func, Task), "a task already"),
    (inspect.isclass, "a class"),
    (lambda func: isinstance(func, classmethod | staticmethod), "a method"),
    (lambda func: not hasattr(func, "__qualname__"), "no function"),
    (lambda func: "<lambda>" in func.__qualname__, "a lambda"),
    (lambda func: "<locals>" in func.__qualname__, "a function inside another"),
    (lambda func: "." in func.__qualname__, "a method"),
    (lambda func: not inspect.isfunction(inspect.unwrap(func)), "no function of Python's"),
    (inspect.isgeneratorfunction, "a generator, which returns nothing that can be sent"),
    (inspect.isasyncgenfunction, "a generator, which returns nothing that can be sent"),
)


def _refuse_unless_function(func: Any, place: str) -> None:
    kind = next((kind for is_it, kind in _REFUSED if is_it(func)), None)
    if kind:
        name = getattr(func, "__qualname__", None) or repr(func)
        raise TaskDeclarationError(
            f"{place}: {name} is {kind}; a task must be a function at the top level of a "
            "module, so that a worker finds it by its name"
        )


def _place(func: Any) -> str:
    """Return the file and line of `func`, or the nearest to it that is known."""
    code = getattr(inspect.unwrap(getattr(func, "__func__", func)), "__code__", None)
    if code is None:
        return str(getattr(func, "__module__", None) or "@task")
    return f"{code.co_filename}:{code.co_firstlineno}"
