"""`@gearman_task` of django-gearman-jbox and `@gearman_job` of django-gearman.

They take the originals' parameters and make an object with the originals'
attributes. Other than there, the bare decorator registers the task too, and
the function can still be called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar, overload

from gearfleet.tasks import Task
from gearfleet.tasks.declarations import declare

P = ParamSpec("P")
R = TypeVar("R")


class GearmanTask(Task[P, R]):
    """A `Task` that also looks as the originals' tasks do.

    Attributes:
        f: the function.
        __name__: the name of the task.
        queue: by which it is given to workers.
    """

    def __init__(self, func: Callable[P, R], *, name: str | None, queue: str) -> None:
        super().__init__(func, name=name, queue=queue)
        self.f = func
        self.__name__ = self.name

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function; as the originals do, take its arguments out of a (worker, job)."""
        data = _job_data(args)
        if data is None:
            return self.func(*args, **kwargs)
        return self.func(*data["args"], **data["kwargs"])


def _job_data(args: tuple[Any, ...]) -> Mapping[str, Any] | None:
    """Return the decoded payload if `args` begin with a worker and its job, else None."""
    data = getattr(args[1], "data", None) if len(args) >= 2 else None
    is_payload = isinstance(data, Mapping) and {"args", "kwargs"} <= data.keys()
    return data if is_payload else None


@overload
def gearman_task(queue: Callable[P, R], /) -> GearmanTask[P, R]: ...
@overload
def gearman_task(
    queue: str = "default", name: str | None = None
) -> Callable[[Callable[P, R]], GearmanTask[P, R]]: ...
def gearman_task(
    queue: Callable[P, R] | str = "default", name: str | None = None
) -> GearmanTask[P, R] | Callable[[Callable[P, R]], GearmanTask[P, R]]:
    """Declare a task; see `gearfleet.task`, which new code uses.

    Args:
        queue: by which workers are given the task.
        name: verbatim; by default made of the module's path and the function.
    """

    def decorate(func: Callable[P, R], queue: str) -> GearmanTask[P, R]:
        made = GearmanTask(func, name=name, queue=queue)
        declare(made)
        return made

    if isinstance(queue, str):
        return lambda func: decorate(func, queue)
    return decorate(queue, "default")


gearman_job = gearman_task
