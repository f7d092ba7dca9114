"""Results by Django Q's names: waits are in milliseconds, -1 for as long as it takes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from gearfleet import config
from gearfleet.results import TaskRecord, open_store, reading

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Task:
    """A job that has ended, with the attributes of Django Q's model.

    Attributes:
        record: of which this is another view.
    """

    record: TaskRecord

    @property
    def id(self) -> str:
        """The id of the job."""
        return self.record.id

    @property
    def name(self) -> str:
        """The name of the job, for people."""
        return self.record.name

    @property
    def func(self) -> str:
        """The name of the task."""
        return self.record.task

    @property
    def hook(self) -> str:
        """The dotted path of what was called when the job had ended."""
        return self.record.hook

    @property
    def args(self) -> Sequence[Any]:
        """The arguments by position."""
        return self.record.args

    @property
    def kwargs(self) -> dict[str, Any]:
        """The arguments by name."""
        return dict(self.record.kwargs)

    @property
    def group(self) -> str:
        """The group of the job."""
        return self.record.group

    @property
    def cluster(self) -> str:
        """The queue of the task."""
        return self.record.queue

    @property
    def success(self) -> bool:
        """Whether the task returned."""
        return self.record.is_success

    @property
    def result(self) -> Any:
        """What the task returned; of one that failed, why."""
        failure = self.record.failure
        if self.success or failure is None:
            return self.record.result
        return failure.traceback or str(failure)

    @property
    def started(self) -> datetime:
        """When the job was submitted, as in Django Q."""
        return datetime.fromtimestamp(self.record.enqueued_at, UTC)

    @property
    def stopped(self) -> datetime:
        """When the job had ended."""
        return datetime.fromtimestamp(self.record.stopped, UTC)

    @property
    def attempt_count(self) -> int:
        """How many attempts there were."""
        return self.record.attempt

    def time_taken(self) -> float:
        """Return the seconds from the submit to the end."""
        return self.record.stopped - self.record.enqueued_at

    def group_result(self, failures: bool = False) -> list[Any]:
        """Return the results of the job's group."""
        return result_group(self.group, failures)

    def group_count(self, failures: bool = False) -> int:
        """Count the job's group."""
        return count_group(self.group, failures)

    def group_delete(self, tasks: bool = False) -> int:
        """Delete the job's group."""
        return delete_group(self.group, tasks)


def result(task_id: str, wait: int = 0, cached: bool | float = False) -> Any:
    """Return the result of the job with this id or name; None if there is none yet.

    Of a job that failed it is the text of the failure. `cached` changes nothing:
    all results are in one store.
    """
    found = fetch(task_id, wait, cached)
    return None if found is None else found.result


def fetch(task_id: str, wait: int = 0, cached: bool | float = False) -> Task | None:
    """Return the job with this id or name; None if it has not ended."""
    record = reading.fetch(task_id, wait=seconds(wait))
    return None if record is None else Task(record)


def result_group(
    group_id: str,
    failures: bool = False,
    wait: int = 0,
    count: int | None = None,
    cached: bool | float = False,
) -> list[Any]:
    """Return the results of a group; with `failures` also the texts of those that failed."""
    return [task.result for task in fetch_group(group_id, failures, wait, count, cached)]


def fetch_group(
    group_id: str,
    failures: bool = True,
    wait: int = 0,
    count: int | None = None,
    cached: bool | float = False,
) -> list[Task]:
    """Return the jobs of a group that have ended, after `wait` or when there are `count`."""
    records = reading.fetch_group(group_id, failures=failures, wait=seconds(wait), count=count)
    return [Task(record) for record in records]


def count_group(group_id: str, failures: bool = False, cached: bool | float = False) -> int:
    """Count the jobs of a group; with `failures` only those that failed."""
    return reading.count_group(group_id, failures=True if failures else None)


def delete_group(group_id: str, tasks: bool = False, cached: bool | float = False) -> int:
    """Take the jobs of a group out of it, or with `tasks` delete their records; return how many."""
    return reading.delete_group(group_id, keep_records=not tasks)


def delete_cached(task_id: str) -> bool:
    """Delete the record of a job; return whether there was one."""
    store = open_store(config.current())
    return store is not None and store.delete([task_id]) > 0


def seconds(wait: int) -> float | None:
    """Return Django Q's milliseconds in seconds; None for -1, which waits for ever."""
    return None if wait < 0 else wait / 1000
