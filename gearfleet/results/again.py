"""A job that has ended, submitted once more: what an operator does when the cause is mended.

    call = call_again(record, registry)
    handle = client.enqueue(*call)

The new job has an id of its own, and the arguments of the old one as they were kept.
To run it with others is to submit another job.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gearfleet.errors import GearfleetError, UnknownName
from gearfleet.results.names import readable_name
from gearfleet.tasks import TaskCall

if TYPE_CHECKING:
    from gearfleet.results.record import TaskRecord
    from gearfleet.tasks import Registry


def call_again(record: TaskRecord, registry: Registry) -> TaskCall:
    """Return the call of the record's job, as its task's declaration has it now.

    Raises:
        UnknownName: the project has no such task any more.
        GearfleetError: the arguments are not kept.
    """
    try:
        task = registry.find(record.task)
    except UnknownName as error:
        raise UnknownName(f"Job {record.id} cannot be submitted again: {error}") from error
    if not record.has_arguments:
        raise GearfleetError(
            f"Job {record.id} of {record.task} cannot be submitted again: its arguments are not "
            "kept (they could not be read, or only its codec can write them, or it is a list of jobs)"
        )
    own_name = record.name if record.name != readable_name(record.id) else ""
    # A job of its own: no other one, which may be pending, stands for it.
    options = replace(task.chosen, unique=None, name=own_name, group=record.group, hook=record.hook)
    return TaskCall(record.task, record.args, record.kwargs, options)
