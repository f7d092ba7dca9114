"""The backend itself: what Django calls in the processes that declare and enqueue tasks."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

from gearfleet import config
from gearfleet.contrib.django.backend import checks
from gearfleet.contrib.django.backend.about import chosen
from gearfleet.contrib.django.backend.adoption import AdoptedTask, adopt, adopted, level
from gearfleet.contrib.django.backend.api import (
    BaseTaskBackend,
    InvalidTask,
    TaskResultDoesNotExist,
    task_backends,
    task_enqueued,
)
from gearfleet.contrib.django.backend.options import Options
from gearfleet.contrib.django.backend.results import ready, result_of, task_at, task_of, waiting
from gearfleet.contrib.django.backend.values import aware
from gearfleet.errors import ResultStoreUnavailable
from gearfleet.outgoing import new_id
from gearfleet.results import open_store
from gearfleet.tasks.plans import Plan
from gearfleet.tasks.submission import submitter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from django.core.checks import CheckMessage

    from gearfleet.contrib.django.backend.api import Task, TaskResult
    from gearfleet.results import ResultStore
    from gearfleet.tasks import SubmitOptions

logger = logging.getLogger(__name__)


class GearmanBackend(BaseTaskBackend):
    """Submits the jobs of Django's tasks to the job servers of GEARFLEET.

    A task is served by the workers of the queue that it is declared with; with the option
    ``ANY_QUEUE`` by those of all. Results can be
    looked up where they are kept: see `supports_get_result`.
    """

    supports_defer = True
    supports_async_task = True
    supports_priority = True

    def __init__(self, alias: str, params: dict[str, Any]) -> None:
        """Connect to nothing yet: Django makes one for each thread, where tasks are declared."""
        super().__init__(alias, params)
        self.chosen = Options.read(self.options)

    @property
    def supports_get_result(self) -> bool:  # type: ignore[override]
        """Whether results are kept where any process finds them."""
        return self.store is not None

    @property
    def store(self) -> ResultStore | None:
        """The result store, if all results are kept there and other processes reach it."""
        settings = config.current()
        if settings.results == "memory" and not settings.always_eager:
            return None
        if settings.save_limit < 0 and not self.chosen.keep_results:
            return None
        return open_store(settings)

    def validate_task(self, task: Task[..., Any]) -> None:
        """Raise `InvalidTask` if no worker could run jobs of `task`; adopt one that is declared."""
        super().validate_task(task)
        self._adopted(task)

    def enqueue(  # type: ignore[override]
        self, task: Task[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> TaskResult[..., Any]:
        """Submit a job; return when a job server has accepted it, see ``ENQUEUE_ON_COMMIT``.

        Raises:
            InvalidTask: workers would not find the task.
            TypeError: an argument is none that JSON has.
            ServerUnavailable: no job server can be reached; the job was not submitted.
            AmbiguousSubmit: the connection broke; the job may run or may not.
        """
        self.validate_task(task)
        _refuse_unless_found(task)
        result = ready(task, new_id(), args, kwargs)
        if self.chosen.enqueue_on_commit:
            transaction.on_commit(partial(self._submit, result))
        else:
            self._submit(result)
        return result

    def get_result(self, result_id: str) -> TaskResult[..., Any]:
        """Return what is known of a job; see `docs/how-to/django-tasks.md` for what that is when.

        Raises:
            TaskResultDoesNotExist: nothing is known of it, or it is no job of a Django task.
            NotImplementedError: results are not kept; says which setting keeps them.
            ResultStoreUnavailable: they cannot be read.
        """
        store = self.store
        if store is None:
            raise NotImplementedError(
                f"TASKS['{self.alias}'] has no results to look up: "
                f"{checks.why_no_results(config.current())}"
            )
        record = store.get(result_id)
        task = task_of(record) if record is not None and record.id == result_id else None
        if record is None or task is None:
            raise TaskResultDoesNotExist(
                f"No job of a Django task is known as {result_id!r}: none had this id, or its "
                "result is not kept any more (see SAVE_LIMIT and KEEP_RESULTS)"
            )
        return result_of(record, task)

    def check(self, **_kwargs: Any) -> list[CheckMessage]:
        """Return what is wrong with the settings, and with the tasks that were declared."""
        return checks.messages(self)

    def _adopted(self, task: Task[..., Any]) -> AdoptedTask:
        known = adopted(task.func)
        if not known:
            _refuse_unless_ours(task)
            others = self.queues if self.chosen.any_queue else ()
            known = adopt(task, self.chosen.of_tasks, queues=map(str, others))
        if task.queue_name not in known:
            raise InvalidTask(
                f"Jobs of '{task.module_path}' go to queue '{next(iter(known))}', with which it is "
                f"declared and whose workers have it, not to '{task.queue_name}'; declare a "
                f"second task with @task(queue_name='{task.queue_name}'), or let the workers of all "
                "QUEUES have all tasks, with OPTIONS['ANY_QUEUE']"
            )
        return known[task.queue_name]

    def _submit(self, result: TaskResult[..., Any]) -> None:
        task, store = result.task, self.store
        known = self._adopted(task)
        about = chosen(task, is_tracked=store is not None)
        options = self._options(known, task, result.id, about)
        now = time.time()
        submitter().enqueue(known.name, result.args, result.kwargs, options)
        object.__setattr__(result, "enqueued_at", timezone.now())
        if store is not None:
            _keep(store, result, about, now)
        task_enqueued.send(type(self), task_result=result)

    def _options(
        self, known: AdoptedTask, task: Task[..., Any], job: str, about: dict[str, Any]
    ) -> SubmitOptions:
        keep = self.chosen.keep_results
        return replace(
            known.chosen,
            id=job,
            about=about,
            priority=level(task.priority),
            at=None if task.run_after is None else aware(task.run_after),
            chain=Plan(keep=keep).told() if keep else (),
        )


def _keep(
    store: ResultStore, result: TaskResult[..., Any], about: Mapping[str, Any], now: float
) -> None:
    """Keep that a job waits. It has been accepted, so whatever becomes of that, it will run."""
    try:
        store.save([waiting(result, about, now)])
    except ResultStoreUnavailable as error:
        logger.warning(
            "Job %s of %s is unknown to get_result() until it has begun: %s",
            result.id,
            result.task.module_path,
            error,
            extra={"action": "job_untracked", "job_id": result.id},
        )


def _refuse_unless_found(task: Task[..., Any]) -> None:
    found = task_at(task.module_path)
    if found is None or found.func is not task.func:
        raise InvalidTask(
            f"'{task.module_path}' is not this task, so no worker would find it; give it the "
            "name of its function, at the top level of its module"
        )


def _refuse_unless_ours(task: Task[..., Any]) -> None:
    """Refuse a task that was declared for another backend: no worker of ours has it."""
    found = task_at(task.module_path)
    if found is None or found.func is not task.func:
        return  # it is being declared
    if not isinstance(task_backends[found.backend], GearmanBackend):
        raise InvalidTask(
            f"'{task.module_path}' is declared with backend '{found.backend}', so no worker of "
            f"the fleet has it; declare it with @task(backend='{task.backend}')"
        )
