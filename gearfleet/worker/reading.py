"""`Reader`: from what a job server hands out to the job that a task is run for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gearfleet.tasks.naming import later_function
from gearfleet.tasks.payload import Call
from gearfleet.worker.job import Job

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gearfleet.tasks import Task
    from gearfleet.tasks.packing import Packing
    from gearfleet.worker.job import Assignment

_UNKNOWN = Call((), {})


class Reader:
    """Reads the jobs of one worker's tasks."""

    def __init__(self, tasks: Mapping[str, Task[..., Any]], packing: Packing) -> None:
        """Know `tasks` by the functions that the job server knows them by; unpack with `packing`."""
        self._tasks = tasks
        self._packing = packing
        later = {later_function(function): function for function in tasks}
        self._terms = {each: task.terms(later.get(each, each)) for each, task in tasks.items()}

    def read(self, assignment: Assignment) -> Job:
        """Return the job, as its caller meant it.

        Raises:
            PayloadError: the payload cannot be verified or decoded. A class of the user's that
                it is made of may raise anything.
        """
        call = self._packing.unpack(assignment.data, self._terms[assignment.task])
        return self._job(assignment, call)

    def unread(self, assignment: Assignment) -> Job:
        """Return the job, of whose payload nothing is known."""
        return self._job(assignment, _UNKNOWN)

    def _job(self, assignment: Assignment, call: Call) -> Job:
        return Job(
            task=self._tasks[assignment.task],
            args=call.args,
            kwargs=call.kwargs,
            meta=call.meta,
            function=assignment.task,
            handle=assignment.handle or "",
            unique=assignment.unique,
        )
