"""What discovery found: apps, their worker modules, and the tasks in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from gearfleet.errors import UnknownName

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gearfleet.tasks.task import Task


class App(NamedTuple):
    """A package (or a module) that is searched for worker modules.

    Attributes:
        name: dotted, as it is imported.
        label: short, by which it may be named too.
    """

    name: str
    label: str


def apps_of(names: Iterable[str]) -> tuple[App, ...]:
    """Return the apps of plain Python: each is labelled with the last part of its name."""
    return tuple(App(name=name, label=name.rpartition(".")[2]) for name in names)


class WorkerModule(NamedTuple):
    """A module that declares tasks, and what it declares; or several, see `together`.

    Attributes:
        app: that it belongs to.
        worker: the module's last name, which ``-n`` takes.
        module: its dotted name.
        tasks: in the order of their declaration.
    """

    app: App
    worker: str
    module: str
    tasks: tuple[Task[Any, Any], ...]

    @property
    def queues(self) -> tuple[str, ...]:
        """The queues of its tasks, sorted."""
        return tuple(sorted({task.queue for task in self.tasks}))


def together(modules: Sequence[WorkerModule]) -> WorkerModule:
    """Return `modules` as one, for a worker that serves all of them; commas join their names."""
    if len(modules) == 1:
        return modules[0]
    return WorkerModule(
        app=modules[0].app,
        worker=",".join(module.worker for module in modules),
        module=",".join(module.module for module in modules),
        tasks=tuple(task for module in modules for task in module.tasks),
    )


class Registry(NamedTuple):
    """All worker modules of a project."""

    modules: tuple[WorkerModule, ...]

    @property
    def tasks(self) -> tuple[Task[Any, Any], ...]:
        """Every task once, in the order of the modules."""
        return tuple(task for module in self.modules for task in module.tasks)

    def find(self, name: str) -> Task[Any, Any]:
        """Return the task called `name`, or raise `UnknownName` with the names that exist."""
        for task in self.tasks:
            if task.name == name:
                return task
        raise UnknownName.of("task", name, [task.name for task in self.tasks])
