"""`AdoptedTask`: a task that was declared with Django's ``@task``, as the fleet has it."""

from __future__ import annotations

import time
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
    from collections.abc import Callable, Mapping

    from gearfleet.contrib.django.backend import api
    from gearfleet.tasks.current import Facts
    from gearfleet.worker.process import WorkerInfo

#: By the functions that were decorated.
_adopted: dict[Callable[..., Any], AdoptedTask] = {}

#: The name of this worker, as the job servers show it.
_worker_id = ""


class AdoptedTask(Task[..., Any]):
    """A task of Django's; its name is its dotted path, by which Django finds it again.

    Attributes:
        of_django: the task as Django has it.
    """

    def __init__(self, task: api.Task[..., Any], options: Mapping[str, Any]) -> None:
        """Serve `task` with these options, which are those of `TaskOptions`."""
        super().__init__(
            task.func,
            name=task.module_path,
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


def adopt(task: api.Task[..., Any], options: Mapping[str, Any]) -> AdoptedTask:
    """Declare the function of `task` to gearfleet, unless it is; return what was declared.

    Raises:
        InvalidTask: gearfleet cannot serve it, or not with these options.
    """
    known = _adopted.get(task.func)
    if known is None:
        try:
            known = AdoptedTask(task, options)
        except TaskDeclarationError as error:
            raise InvalidTask(str(error)) from error
        declare(known)
        _adopted[task.func] = known
    return known


def adopted(func: Callable[..., Any]) -> AdoptedTask | None:
    """Return what `adopt` has made of the task with this function."""
    return _adopted.get(func)


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
