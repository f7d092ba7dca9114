"""What was declared: the tasks of every module that this process has imported."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from gearfleet.tasks.task import Task


class _Execution(NamedTuple):
    """One execution of a module's code: its spec is a new object each time."""

    spec: object
    tasks: list[Task[Any, Any]]


_executions: dict[str, _Execution] = {}


def declare(task: Task[Any, Any]) -> None:
    """Keep `task` among those of its module.

    A module that is executed anew (importlib.reload) starts a new list, so
    that what its old code declared is forgotten.
    """
    execution = _executions.get(task.module)
    if execution is None or execution.spec is not _spec(task.module):
        execution = _executions[task.module] = _Execution(_spec(task.module), [])
    execution.tasks.append(task)


def declared_in(module: str) -> tuple[Task[Any, Any], ...]:
    """Return the tasks that `module` itself declares, in their order."""
    execution = _executions.get(module)
    if execution is None or execution.spec is not _spec(module):
        return ()
    return tuple(execution.tasks)


def declared_within(package: str) -> tuple[Task[Any, Any], ...]:
    """Return the tasks of `package` and of the modules in it that were imported."""
    inside = (name for name in sorted(_executions) if f"{name}.".startswith(f"{package}."))
    return tuple(task for name in inside for task in declared_in(name))


def declared_anywhere() -> tuple[Task[Any, Any], ...]:
    """Return the tasks of every module that was imported."""
    return tuple(task for module in tuple(_executions) for task in declared_in(module))


def find(name: str) -> Task[Any, Any] | None:
    """Return the task called `name` among those of the modules that were imported."""
    return next((task for task in declared_anywhere() if task.name == name), None)


def _spec(module: str) -> object:
    return getattr(sys.modules.get(module), "__spec__", None)
