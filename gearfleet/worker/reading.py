"""`Station`: one task as its worker runs it, made ready before the first job comes.

What is the same for every job of a task (how its payloads are read and its results
written, whether anything is to be told or kept) is decided here, once. `Reader` has
the stations of all tasks of a worker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gearfleet.tasks import Task
from gearfleet.tasks.naming import later_function
from gearfleet.tasks.payload import Call
from gearfleet.worker.job import Job

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gearfleet.tasks.packing import Packing
    from gearfleet.worker.job import Assignment

_UNKNOWN = Call((), {})
#: What `Job(...)` does, in a third of the time.
_made = tuple.__new__


class Station:
    """What a worker has ready for the jobs of one task under one function.

    Attributes:
        task: that is run.
        func: that it calls.
        function: under which the job server queues the jobs.
        unpack: takes the call out of a payload.
        pack_result: makes the bytes of what `func` returns.
        soft_time_limit: of the task.
        is_told_of_begins: whether the task itself takes note of each job that begins.
    """

    __slots__ = (
        "func", "function", "is_told_of_begins", "pack_result", "soft_time_limit", "task",
        "unpack",
    )  # fmt: skip

    def __init__(
        self, task: Task[..., Any], function: str, signed_for: str, packing: Packing
    ) -> None:
        """Take jobs of `function`, with signatures for the function `signed_for`."""
        self.task = task
        self.func: Callable[..., Any] = task.func
        self.function = function
        self.unpack = packing.unpacker(task.terms(signed_for))
        self.pack_result = packing.result_packer(task.declared.codec)
        self.soft_time_limit = task.soft_time_limit
        self.is_told_of_begins = type(task).begins is not Task.begins

    def job(self, assignment: Assignment, call: Call = _UNKNOWN) -> Job:
        """Return the job; without a `call` it is one of whose payload nothing is known."""
        args, kwargs, meta = call
        handle = assignment.handle or ""
        return _made(Job, (self.task, args, kwargs, meta, self.function, handle, assignment.unique))


class Reader:
    """Reads the jobs of one worker's tasks.

    Attributes:
        stations: by the functions that the job server knows the tasks by.
    """

    def __init__(self, tasks: Mapping[str, Task[..., Any]], packing: Packing) -> None:
        """Know `tasks` by the functions that the job server knows them by; unpack with `packing`."""
        later = {later_function(function): function for function in tasks}
        self.stations: Mapping[str, Station] = {
            each: Station(task, each, later.get(each, each), packing)
            for each, task in tasks.items()
        }

    def read(self, assignment: Assignment) -> Job:
        """Return the job, as its caller meant it.

        Raises:
            PayloadError: the payload cannot be verified or decoded. A class of the user's that
                it is made of may raise anything.
        """
        station = self.stations[assignment.task]
        return station.job(assignment, station.unpack(assignment.data))

    def unread(self, assignment: Assignment) -> Job:
        """Return the job, of whose payload nothing is known."""
        return self.stations[assignment.task].job(assignment)
