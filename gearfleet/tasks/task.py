"""`@task`: a function that can also be submitted as a job."""

from __future__ import annotations

import functools
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, overload

from gearfleet.errors import TaskDeclarationError
from gearfleet.tasks.declarations import declare
from gearfleet.tasks.naming import default_task_name, name_problem
from gearfleet.tasks.submission import (
    PRIORITIES,
    JobHandle,
    Priority,
    SubmitOptions,
    submitter,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Task(Generic[P, R]):
    """A function with a name and a queue; calling it runs it here and now.

    Make one with `@task`.

    Attributes:
        func: the function that was decorated.
        name: under which clients submit it, before the settings' prefix.
        queue: by which it is given to workers.
        priority: of its jobs, unless a call says otherwise.
        module: dotted name of the module that declares it.
        place: the file and line of the declaration.
        is_async: whether `func` is a coroutine function.
    """

    def __init__(
        self, func: Callable[P, R], *, name: str | None, queue: str, priority: Priority
    ) -> None:
        place = _place(func)
        _refuse_unless_function(func, place)
        functools.update_wrapper(self, func)
        self.func = func
        self.place = place
        self.module = func.__module__
        self.name = default_task_name(self.module, func.__name__) if name is None else name
        self.queue = queue
        self.priority = priority
        self.is_async = inspect.iscoroutinefunction(func)
        self._refuse_bad_options()

    def _refuse_bad_options(self) -> None:
        if problem := name_problem(self.name):
            raise TaskDeclarationError(f"{self.place}: task name {self.name!r}: {problem}")
        if problem := name_problem(self.queue):
            raise TaskDeclarationError(f"{self.place}: queue {self.queue!r}: {problem}")
        if self.priority not in PRIORITIES:
            raise TaskDeclarationError(
                f"{self.place}: priority {self.priority!r} is none of {', '.join(PRIORITIES)}"
            )

    @property
    def signature(self) -> str:
        """The parameters as text, without their types: ``(image_id, width=200)``."""
        signature = inspect.signature(self.func)
        bare = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
        return str(signature.replace(parameters=bare, return_annotation=inspect.Signature.empty))

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function here, as if it were not decorated."""
        return self.func(*args, **kwargs)

    def delay(self, /, *args: P.args, **kwargs: P.kwargs) -> JobHandle:
        """Submit a job in the background; return when a job server has accepted it."""
        return submitter().enqueue(self.name, args, kwargs, SubmitOptions(priority=self.priority))

    @overload
    def submit(
        self: Task[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs
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
        return submitter().run(self.name, args, kwargs, SubmitOptions(priority=self.priority))

    def options(
        self,
        *,
        unique: str | None = None,
        priority: Priority | None = None,
        timeout: float | None = None,
    ) -> TaskWithOptions[P, R]:
        """Return the task with options for its next jobs; see `SubmitOptions`.

        Example:
            resize.options(unique=f"image-{image_id}").delay(image_id)
        """
        options = SubmitOptions(unique=unique, priority=priority or self.priority, timeout=timeout)
        return TaskWithOptions(task=self, chosen=options)

    def __reduce__(self) -> str:
        # By reference, as a function: the module attribute is the task itself.
        return self.func.__qualname__

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} queue={self.queue}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskWithOptions(Generic[P, R]):
    """A task and how its next jobs are to be submitted."""

    task: Task[P, R]
    chosen: SubmitOptions

    def delay(self, /, *args: P.args, **kwargs: P.kwargs) -> JobHandle:
        """Submit a job in the background; see `Task.delay`."""
        return submitter().enqueue(self.task.name, args, kwargs, self.chosen)

    @overload
    def submit(
        self: TaskWithOptions[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T: ...
    @overload
    def submit(self, /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    def submit(self, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Submit a job and wait for its result; see `Task.submit`."""
        return submitter().run(self.task.name, args, kwargs, self.chosen)


@overload
def task(func: Callable[P, R], /) -> Task[P, R]: ...
@overload
def task(
    *, name: str | None = None, queue: str = "default", priority: Priority = "normal"
) -> Callable[[Callable[P, R]], Task[P, R]]: ...
def task(
    func: Callable[P, R] | None = None,
    /,
    *,
    name: str | None = None,
    queue: str = "default",
    priority: Priority = "normal",
) -> Task[P, R] | Callable[[Callable[P, R]], Task[P, R]]:
    """Declare a function at the top level of a module to be a task.

    Args:
        func: the function, when the decorator stands without parentheses.
        name: verbatim; by default the module's path without
            ``gearman_workers``, ``gearman_jobs`` and ``tasks``, and the function.
        queue: by which workers are given the task.
        priority: ``high``, ``normal`` or ``low``.

    Raises:
        TaskDeclarationError: what is decorated cannot be a task, or an option
            cannot be used; the message names the place.

    Example:
        @task(queue="bar")
        def resize(image_id: int, width: int = 200) -> str: ...
    """

    def decorate(function: Callable[P, R]) -> Task[P, R]:
        made = Task(function, name=name, queue=queue, priority=priority)
        declare(made)
        return made

    return decorate if func is None else decorate(func)


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
