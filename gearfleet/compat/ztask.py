"""`@task()` of django-ztask: the function itself, with ways to submit it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, cast, overload

from gearfleet.tasks import Task
from gearfleet.tasks.declarations import declare

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from gearfleet.tasks import JobHandle

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)
R = TypeVar("R")


class ZtaskFunction(Protocol[P, R_co]):
    """A function that ``@task()`` has seen.

    ``getattr(func, "async")`` is another name of `delay`, which Python's grammar
    no longer allows in the dotted form.
    """

    task: Task[..., Any]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Run the function here."""

    def delay(self, *args: P.args, **kwargs: P.kwargs) -> JobHandle:
        """Submit a job in the background."""

    def after(self, seconds: float | timedelta, *args: P.args, **kwargs: P.kwargs) -> JobHandle:
        """Submit a job in the background that is not run before so many seconds have passed."""


@overload
def task(func: Callable[P, R], /) -> ZtaskFunction[P, R]: ...
@overload
def task(**options: Any) -> Callable[[Callable[P, R]], ZtaskFunction[P, R]]: ...
def task(
    func: Callable[P, R] | None = None, /, **options: Any
) -> ZtaskFunction[P, R] | Callable[[Callable[P, R]], ZtaskFunction[P, R]]:
    """Declare a task as django-ztask does: named ``module.function``, the function unchanged.

    See `gearfleet.task`, which new code uses, for `options`.
    """

    def decorate(function: Callable[P, R]) -> ZtaskFunction[P, R]:
        name = f"{function.__module__}.{function.__qualname__}"
        made = Task(function, **{"name": name, **options})
        declare(made)
        given = cast("Any", function)
        given.task, given.delay, given.after = made, made.delay, made.after
        setattr(given, "async", made.delay)
        return cast("ZtaskFunction[P, R]", function)

    return decorate if func is None else decorate(func)
