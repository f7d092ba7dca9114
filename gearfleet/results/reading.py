"""Look results up, and wait for them: `gearfleet.result` and the functions beside it.

Workers of other processes write them, so whoever waits looks again and again:
often at first, for jobs that take no time, then as often as results are
written in batches.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, TypeVar

from gearfleet import config
from gearfleet.errors import JobExpired, JobFailed, ResultStoreUnavailable
from gearfleet.results.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gearfleet.config import Settings
    from gearfleet.results.record import TaskRecord
    from gearfleet.results.store import ResultStore
    from gearfleet.tasks import JobHandle

    T = TypeVar("T")

#: Seconds between the first two looks, and at most between any two.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.005, 0.1


def result(
    job: str | JobHandle, *, wait: float | None = 0.0, settings: Settings | None = None
) -> Any:
    """Return what the task of a job returned; None if the job has not ended.

    Args:
        job: its id, its name or its handle.
        wait: seconds to wait for it; None for as long as it takes.
        settings: that name the store; None for those of the process.

    Raises:
        JobFailed: the task raised; the message says what.
        JobExpired: the job was dropped, because it began too late.
        ResultStoreUnavailable: results are not kept, or cannot be read.
    """
    record = fetch(job, wait=wait, settings=settings)
    return None if record is None else value_of(record)


def fetch(
    job: str | JobHandle, *, wait: float | None = 0.0, settings: Settings | None = None
) -> TaskRecord | None:
    """Return the record of a job that has ended, also of one that failed; None if there is none yet.

    The arguments are those of `result`.
    """
    store = _store(settings)
    return _wait_for(lambda: final_record(store, _id(job)), wait)


async def afetch(
    job: str | JobHandle, *, wait: float | None = 0.0, settings: Settings | None = None
) -> TaskRecord | None:
    """Do what `fetch` does, and let the event loop go on meanwhile."""
    store = _store(settings)
    for pause in _pauses(wait):
        await asyncio.sleep(pause)
        found = await asyncio.to_thread(final_record, store, _id(job))
        if found is not None:
            return found
    return None


def result_group(
    group: str,
    *,
    failures: bool = False,
    wait: float | None = 0.0,
    count: int | None = None,
    settings: Settings | None = None,
) -> list[Any]:
    """Return what the jobs of a group returned, in the order in which they began.

    Args:
        group: its name.
        failures: whether the `Failure` of each job that failed stands in the list too.
        wait: seconds to wait for the jobs; None for as long as it takes.
        count: how many jobs to wait for, those that fail included; None for the first.
        settings: that name the store; None for those of the process.
    """
    records = fetch_group(group, failures=failures, wait=wait, count=count, settings=settings)
    return [each.result if each.is_success else each.failure for each in records]


def fetch_group(
    group: str,
    *,
    failures: bool = True,
    wait: float | None = 0.0,
    count: int | None = None,
    settings: Settings | None = None,
) -> list[TaskRecord]:
    """Return the records of the jobs of a group; the arguments are those of `result_group`."""
    store = _store(settings)

    def ended() -> list[TaskRecord] | None:
        found = [each for each in store.group(group) if each.is_final]
        return found if len(found) >= (count or 1) else None

    enough = _wait_for(ended, wait)
    found = [each for each in store.group(group) if each.is_final] if enough is None else enough
    return [each for each in found if failures or each.is_success]


def count_group(
    group: str, *, failures: bool | None = None, settings: Settings | None = None
) -> int:
    """Count the jobs of a group that have ended; those that failed, or did not, unless None."""
    found = fetch_group(group, settings=settings)
    return sum(failures in (None, not each.is_success) for each in found)


def delete_group(
    group: str, *, keep_records: bool = False, settings: Settings | None = None
) -> int:
    """Delete the records of a group; return how many.

    Args:
        group: its name.
        keep_records: take them out of the group instead.
        settings: that name the store; None for those of the process.
    """
    store = _store(settings)
    return store.ungroup(group) if keep_records else store.delete_group(group)


def value_of(record: TaskRecord) -> Any:
    """Return the result of a job that has ended, or raise why there is none."""
    if record.is_success:
        return record.result
    if record.state == "expired":
        raise JobExpired(f"Job {record.id} of {record.task} expired before it began")
    raise JobFailed(f"{record.task} failed: {record.failure}", failure=record.failure)


def final_record(store: ResultStore, job: str) -> TaskRecord | None:
    """Return the record of a job after whose last attempt no other comes."""
    found = store.get(job)
    return found if found is not None and found.is_final else None


def _store(settings: Settings | None) -> ResultStore:
    store = open_store(settings or config.current())
    if store is None:
        raise ResultStoreUnavailable(
            "Results are not kept: the setting 'results' is \"none\"; "
            'write "sqlite" to keep them in a file'
        )
    return store


def _id(job: str | JobHandle) -> str:
    return job if isinstance(job, str) else job.id


def _wait_for(look: Callable[[], T | None], wait: float | None) -> T | None:
    """Return what `look` returns as soon as that is not None, or None in the end."""
    for pause in _pauses(wait):
        time.sleep(pause)
        if (found := look()) is not None:
            return found
    return None


def _pauses(wait: float | None) -> Iterator[float]:
    """Yield the seconds to sleep before each look; the last look is when the time is over."""
    deadline = None if wait is None else time.monotonic() + wait
    pause = _FIRST_PAUSE
    yield 0.0
    while deadline is None or (left := deadline - time.monotonic()) > 0:
        yield pause if deadline is None else min(pause, left)
        pause = min(_LONGEST_PAUSE, pause * 1.5)
