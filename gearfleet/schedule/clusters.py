"""Django Q's clusters: here a cluster is a queue, with the workers that serve it.

A task has one queue. A function that is to run in several of them is declared for each, with
a name of its own:

    @task(queue="default")
    def report(): ...

    task(name="shop.report@long", queue="long")(report.func)

A schedule with ``cluster="long"`` has the latter run, whichever of them it names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gearfleet.errors import ScheduleError
from gearfleet.tasks.naming import dotted_path

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gearfleet.config import Settings
    from gearfleet.tasks import Registry, Task


def in_cluster(
    task: Task[Any, Any], cluster: str, tasks: Iterable[Task[Any, Any]], settings: Settings
) -> Task[Any, Any]:
    """Return the one of `tasks` that has the function of `task`, and the queue `cluster`.

    That is `task` itself where no cluster is named, or the one after which all are: the name in
    Q_CLUSTER, which is the prefix of the functions.

    Raises:
        ScheduleError: the function is not declared for this queue.
    """
    if cluster in ("", task.queue) or settings.prefix == f"{cluster}.":
        return task
    path = dotted_path(task.func)
    same = [each for each in tasks if dotted_path(each.func) == path]
    for each in same:
        if each.queue == cluster:
            return each
    queues = ", ".join(sorted({task.queue, *(each.queue for each in same)}))
    raise ScheduleError(
        f"Cluster '{cluster}' does not run task '{task.name}', which is declared for {queues} "
        f'only: declare its function for this one too, task(name="{task.name}@{cluster}", '
        f'queue="{cluster}")(...), or leave cluster out'
    )


def find_task(name: str, registry: Registry) -> Task[Any, Any]:
    """Return the task of this name, else that of the function with this dotted path.

    Raises:
        UnknownName: there is none.
    """
    if any(task.name == name for task in registry.tasks):
        return registry.find(name)
    by_path = (task for task in registry.tasks if dotted_path(task.func) == name)
    return next(by_path, None) or registry.find(name)
