"""`AdoptedTask`: a task that was declared with Django's ``@task``, as the fleet has it."""

from __future__ import annotations

import time
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Literal

from gearfleet import hooks
from gearfleet.contrib.django.backend.about import items
from gearfleet.contrib.django.backend.api import InvalidTask
from gearfleet.contrib.django.backend.attempts import runner
from gearfleet.errors import TaskDeclarationError
from gearfleet.tasks import Task
from gearfleet.tasks.declarations import declare
from gearfleet.worker.client_ids import client_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from gearfleet.contrib.django.backend import api
    from gearfleet.tasks.current import Facts
    from gearfleet.worker.process import WorkerInfo

#: By the functions that were decorated, and then by the queues.
_adopted: dict[Callable[..., Any], dict[str, AdoptedTask]] = {}

#: Stands between the path of a task and a queue that it is not declared with.
IN_QUEUE = "@"

#: The name of this worker, as the job servers show it.
_worker_id = ""


class AdoptedTask(Task[..., Any]):
    """A task of Django's in one queue.

    Its name is its dotted path, by which Django finds it again. In a queue that it is not
    declared with, the name of that is added: its jobs are those of another function.

    Attributes:
        of_django: the task as Django has it.
    """

    def __init__(self, task: api.Task[..., Any], options: Mapping[str, Any], name: str) -> None:
        """Serve `task` with these options, which are those of `TaskOptions`."""
        super().__init__(
            task.func,
            name=name,
            queue=task.queue_name,
            priority=level(task.priority),
            **options,
        )
        self.of_django = task
        self.func = runner(task, self.declared)

    def begins(self, job: Facts) -> bool:
        """Add this worker to those of the job; return whether its caller may ask how it is."""
        about = job.meta.about if job.meta else None
        if about is None:
            return False
        about.setdefault("started", time.time())
        items(about, "workers").append(worker_id())
        return about.get("tracked") is True


def adopt(
    task: api.Task[..., Any], options: Mapping[str, Any], *, queues: Iterable[str] = ()
) -> Mapping[str, AdoptedTask]:
    """Declare the function of `task` to gearfleet; return what was declared, by its queue.

    Args:
        task: as it was decorated.
        options: of it.
        queues: in which it is served beside its own.

    Raises:
        InvalidTask: gearfleet cannot serve it, or not with these options.
    """
    path, own = task.module_path, task.queue_name
    others = sorted(set(queues) - {own})
    try:
        made = {own: AdoptedTask(task, options, path)}
        for queue in others:
            made[queue] = AdoptedTask(_in_queue(task, queue), options, f"{path}{IN_QUEUE}{queue}")
    except TaskDeclarationError as error:
        raise InvalidTask(str(error)) from error
    for each in made.values():
        declare(each)
    _adopted[task.func] = made
    return made


def adopted(func: Callable[..., Any]) -> Mapping[str, AdoptedTask]:
    """Return what `adopt` has made of the task with this function, by its queue."""
    return _adopted.get(func, {})


def _in_queue(task: api.Task[..., Any], queue: str) -> api.Task[..., Any]:
    """Return `task` as `using` does, which would ask for it to be adopted already.

    `copy` would do so too: Django 6.1 copies a task by its name, which is none before it is declared.
    """
    found = object.__new__(type(task))
    for field in fields(task):
        value = queue if field.name == "queue_name" else getattr(task, field.name)
        object.__setattr__(found, field.name, value)
    return found


def level(priority: int) -> Literal["high", "normal", "low"]:
    """Return which of Gearman's three priorities one of Django's 201 is: that of its sign."""
    if priority == 0:
        return "normal"
    return "high" if priority > 0 else "low"


def worker_id() -> str:
    """Return the name of this worker; outside of one, that of the process."""
    return _worker_id or client_id("inline")


@hooks.on_start
def _remember(worker: WorkerInfo) -> None:
    global _worker_id  # noqa: PLW0603 - one process has one
    _worker_id = client_id(worker.program, worker.release)
