"""Records of the result store as Django's `TaskResult`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from gearfleet.contrib.django.backend.about import (
    as_chosen,
    errors_in,
    workers_in,
)
from gearfleet.contrib.django.backend.adoption import IN_QUEUE
from gearfleet.contrib.django.backend.api import (
    InvalidTask,
    Task,
    TaskError,
    TaskResult,
    TaskResultStatus,
)
from gearfleet.contrib.django.backend.attempts import path_of
from gearfleet.contrib.django.backend.values import moment, plain
from gearfleet.results import TaskRecord

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Seconds for which it is kept that a job waits, after the time from which it may run.
WAITING = 14 * 24 * 3600.0

_ENDED = {
    "success": TaskResultStatus.SUCCESSFUL,
    "failure": TaskResultStatus.FAILED,
    "expired": TaskResultStatus.FAILED,
}


def task_at(path: str) -> Task[..., Any] | None:
    """Return the task that stands at a dotted path; None if none does."""
    try:
        found = import_string(path)
    except ImportError:
        return None
    return found if isinstance(found, Task) else None


def task_of(record: TaskRecord) -> Task[..., Any] | None:
    """Return the task of a job, in the queue that the job was in; None if there is none any more."""
    path, _, _queue = record.task.partition(IN_QUEUE)
    task = task_at(path)
    if task is None or record.queue in ("", task.queue_name):
        return task
    try:
        return task.using(queue_name=record.queue)
    except (InvalidTask, ImproperlyConfigured):  # the settings have changed meanwhile
        return task


def ready(
    task: Task[..., Any], job: str, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> TaskResult[..., Any]:
    """Return the result of a job that is about to be submitted."""
    return TaskResult(
        task=task,
        id=job,
        status=TaskResultStatus.READY,
        enqueued_at=None,
        started_at=None,
        last_attempted_at=None,
        finished_at=None,
        args=plain(list(args)),
        kwargs=plain(dict(kwargs)),
        backend=task.backend,
        errors=[],
        worker_ids=[],
    )


def waiting(result: TaskResult[..., Any], about: Mapping[str, Any], now: float) -> TaskRecord:
    """Return the record of a job that was submitted: no attempt of it has ended, one will come."""
    return TaskRecord(
        id=result.id,
        task=result.task.module_path,
        state="retry",
        attempt=0,
        queue=result.task.queue_name,
        args=result.args,
        kwargs=result.kwargs,
        enqueued_at=now,
        keep_until=max(now, about.get("run_after", 0.0)) + WAITING,
        about=about,
    )


def result_of(record: TaskRecord, task: Task[..., Any]) -> TaskResult[..., Any]:
    """Return what `record` tells of a job of `task`."""
    about = record.about
    as_called = as_chosen(task, about)
    starts = moment(about.get("started")), moment(record.started)
    result: TaskResult[..., Any] = TaskResult(
        task=as_called,
        id=record.id,
        status=_status(record),
        enqueued_at=moment(record.enqueued_at),
        started_at=min(filter(None, starts), default=None),
        last_attempted_at=moment(record.started),
        finished_at=moment(record.stopped) if record.is_final else None,
        args=_normal(list(record.args)),
        kwargs=_normal(dict(record.kwargs)),
        backend=as_called.backend,
        errors=[*errors_in(about), *_last_error(record)],
        worker_ids=workers_in(about),
    )
    object.__setattr__(result, "_return_value", record.result)
    return result


def _status(record: TaskRecord) -> TaskResultStatus:
    if record.is_final:
        return _ENDED[record.state]
    runs = record.started and not record.stopped
    return TaskResultStatus.RUNNING if runs else TaskResultStatus.READY


def _last_error(record: TaskRecord) -> list[TaskError]:
    """Return why the job failed; the attempts before the last stand in `about`."""
    if record.failure is None or not record.is_final:
        return []
    trace = record.failure.traceback
    return [TaskError(exception_class_path=path_of(record.failure), traceback=trace)]


def _normal(value: Any) -> Any:
    """Return arguments as JSON has them; those that it cannot have, which no backend sent, as text."""
    try:
        return plain(value)
    except (TypeError, ValueError):
        if isinstance(value, dict):
            return {str(key): str(item) for key, item in value.items()}
        return [str(item) for item in value]
