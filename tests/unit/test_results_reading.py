"""Results are looked up and waited for, alone and in groups."""

from __future__ import annotations

import asyncio
import queue
import threading
from typing import TYPE_CHECKING, Any

import pytest

from gearfleet import config
from gearfleet.config import Settings
from gearfleet.errors import JobExpired, JobFailed, ResultStoreUnavailable
from gearfleet.results import TaskRecord, open_store, reading
from gearfleet.tasks import JobHandle
from gearfleet.tasks.failure import Failure
from tests.support.waiting import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gearfleet.results import ResultStore

LOST = Failure(type="LookupError", message="no such image")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ResultStore]:
    """The store of the process's settings."""
    settings = Settings(results=f"sqlite:///{tmp_path / 'results'}")
    with config.using(settings):
        store = open_store(settings)
        assert store is not None
        yield store
        store.close()


def record(job: str, **fields: Any) -> TaskRecord:
    return TaskRecord(id=job, task="shop.resize", **fields)


def failed(job: str, **fields: Any) -> TaskRecord:
    return record(job, state="failure", failure=LOST, **fields)


def save_soon(store: ResultStore, *records: TaskRecord) -> threading.Timer:
    timer = threading.Timer(0.05, store.save, [records])
    timer.start()
    return timer


def in_time(call: Callable[[], Any]) -> Any:
    """Return what `call` returns; fail where one that waits without a limit would never end."""
    answers: queue.Queue[Any] = queue.Queue()
    threading.Thread(target=lambda: answers.put(call()), daemon=True).start()
    return answers.get(timeout=DEADLINE)


def test_result__by_id_name_and_handle(store: ResultStore) -> None:
    store.save([record("a", name="first", result=(1, {2}))])
    handle = JobHandle(id="a", function="f", unique="a.1", server="h:1")
    assert [reading.result(job) for job in ("a", "first", handle)] == [(1, {2})] * 3


def test_result__of_a_job_that_has_not_ended(store: ResultStore) -> None:
    assert reading.result("a") is None
    store.save([record("a", state="retry", failure=LOST)])
    assert reading.result("a", wait=0.02) is None


def test_result__raises_what_became_of_the_job(store: ResultStore) -> None:
    store.save([failed("a"), record("b", state="expired", failure=LOST)])
    with pytest.raises(JobFailed, match=r"shop\.resize failed: LookupError: no such image"):
        reading.result("a")
    with pytest.raises(JobExpired, match=r"b of shop\.resize"):
        reading.result("b")


@pytest.mark.parametrize("wait", [10.0, None])
def test_result__waited_for(store: ResultStore, wait: float | None) -> None:
    timer = save_soon(store, record("a", result=7))
    assert in_time(lambda: reading.result("a", wait=wait)) == 7
    timer.join()


def test_result__none_is_one(store: ResultStore) -> None:
    store.save([record("a")])
    assert in_time(lambda: reading.result("a", wait=None)) is None
    found = in_time(lambda: reading.fetch("a", wait=None))
    assert found is not None
    assert found.is_success


def test_afetch__lets_the_loop_go_on(store: ResultStore) -> None:
    async def wait() -> TaskRecord | None:
        waiting = asyncio.create_task(reading.afetch("a", wait=10))
        await asyncio.sleep(0)
        store.save([record("a", result=7)])
        return await waiting

    found = asyncio.run(wait())
    assert found is not None
    assert found.result == 7
    assert asyncio.run(reading.afetch("b")) is None


def test_group(store: ResultStore) -> None:
    store.save(
        [
            record("a", group="g", result=1, started=1),
            failed("b", group="g", started=2),
            record("c", group="g", result=3, started=3),
            record("d", group="g", state="retry", failure=LOST, started=4),
            record("e", group="other"),
        ]
    )
    assert reading.result_group("g") == [1, 3]
    assert reading.result_group("g", failures=True) == [1, LOST, 3]
    assert [each.id for each in reading.fetch_group("g")] == ["a", "b", "c"]
    assert [each.id for each in reading.fetch_group("g", failures=False)] == ["a", "c"]
    counts = [reading.count_group("g", failures=kind) for kind in (None, True, False)]
    assert counts == [3, 1, 2]


def test_group__counts_failures_among_those_waited_for(store: ResultStore) -> None:
    store.save([record("a", group="g", result=1)])
    timer = save_soon(store, failed("b", group="g"))
    assert reading.result_group("g", count=2, wait=10) == [1]
    timer.join()
    assert reading.count_group("g", failures=True) == 1


def test_group__returns_what_there_is_when_time_runs_out(store: ResultStore) -> None:
    store.save([record("a", group="g", result=1)])
    assert reading.result_group("g", count=5, wait=0.02) == [1]
    assert reading.result_group("h", wait=0.02) == []


def test_group__deleted_or_taken_apart(store: ResultStore) -> None:
    store.save([record("a", group="g"), record("b", group="h")])
    assert reading.delete_group("g", keep_records=True) == 1
    assert reading.count_group("g") == 0
    assert reading.fetch("a") is not None
    assert reading.delete_group("h") == 1
    assert reading.fetch("b") is None


def test_nothing_is_kept() -> None:
    with pytest.raises(ResultStoreUnavailable, match="the setting 'results' is \"none\""):
        reading.result("a", settings=Settings(results="none"))
