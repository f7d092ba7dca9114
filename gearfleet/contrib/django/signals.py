"""Django's signals around jobs, with the names and arguments of Django Q.

    from django.dispatch import receiver
    from gearfleet.contrib.django.signals import post_execute

    @receiver(post_execute)
    def note(sender, task, **kwargs):
        print(task["name"], task["success"])

| signal                   | sent                                                        | with           |
|--------------------------|-------------------------------------------------------------|----------------|
| `pre_enqueue`            | before a job is submitted, by the process that submits it   | `task`         |
| `post_spawn`             | when a worker has started                                   | `proc_name`    |
| `pre_execute`            | before each call of a task, in the worker                   | `func`, `task` |
| `post_execute_in_worker` | after it, before the answer is sent                         | `func`, `task` |
| `post_execute`           | likewise                                                    | `task`         |

`task` is a dict: see `told`. What a receiver of `pre_enqueue` raises reaches the caller, and the
job is not submitted; what the others raise is logged, and changes nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.dispatch import Signal

from gearfleet.tasks.announcing import before_submit
from gearfleet.worker.job import Completed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gearfleet.tasks.announcing import Submission
    from gearfleet.tasks.meta import Meta
    from gearfleet.worker.job import Job, Outcome
    from gearfleet.worker.process import WorkerInfo

SENDER = "gearfleet"

pre_enqueue = Signal()
post_spawn = Signal()
pre_execute = Signal()
post_execute_in_worker = Signal()
post_execute = Signal()


@before_submit
def tell_submission(submission: Submission) -> None:
    """Send `pre_enqueue`."""
    if pre_enqueue.receivers:
        task = told(submission.task, submission.args, submission.kwargs, submission.meta)
        pre_enqueue.send(sender=SENDER, task=task)


def tell_start(worker: WorkerInfo) -> None:
    """Send `post_spawn`."""
    post_spawn.send_robust(sender=SENDER, proc_name=worker.program)


def tell_begin(job: Job) -> None:
    """Send `pre_execute`."""
    if pre_execute.receivers:
        pre_execute.send_robust(sender=SENDER, func=job.task.func, task=_of(job))


def tell_end(job: Job, outcome: Outcome) -> None:
    """Send `post_execute_in_worker` and `post_execute`."""
    if not (post_execute.receivers or post_execute_in_worker.receivers):
        return
    is_success = isinstance(outcome, Completed)
    result = outcome.value if isinstance(outcome, Completed) else str(outcome.failure)
    task = _of(job) | {"result": result, "success": is_success, "stopped": datetime.now(UTC)}
    post_execute_in_worker.send_robust(sender=SENDER, func=job.task.func, task=task)
    post_execute.send_robust(sender=SENDER, task=task)


def told(
    name: str, args: Sequence[Any], kwargs: Mapping[str, Any], meta: Meta | None
) -> dict[str, Any]:
    """Return what receivers are told of a job.

    Its keys are ``id``, ``name``, ``func`` (the task), ``args``, ``kwargs``, ``group``, ``hook`` and
    ``attempt_count``; after a call also ``result`` (of a failure, its text), ``success`` and
    ``stopped``.
    """
    from gearfleet.results import readable_name

    job = meta.id if meta else ""
    return {
        "id": job,
        "name": (meta and meta.name) or (readable_name(job) if job else ""),
        "func": name,
        "args": args,
        "kwargs": kwargs,
        "group": meta.group if meta else "",
        "hook": meta.hook if meta else "",
        "attempt_count": meta.attempt if meta else 1,
    }


def _of(job: Job) -> dict[str, Any]:
    return told(job.task.name, job.args, job.kwargs, job.meta)
