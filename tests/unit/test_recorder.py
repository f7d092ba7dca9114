"""What a worker keeps of its jobs, and when; also while the store is down."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from gearfleet.errors import ResultStoreUnavailable
from gearfleet.results import MemoryStore, Retention, TaskRecord
from gearfleet.worker import recorder as module
from gearfleet.worker.recorder import Recorder
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gearfleet.results import Sealed


class Fragile(MemoryStore):
    """A store that can be down."""

    is_down = False
    writes = 0

    def save(self, records: Iterable[TaskRecord | Sealed]) -> None:
        if self.is_down:
            raise ResultStoreUnavailable("it is down")
        self.writes += 1
        super().save(records)


@pytest.fixture
def store() -> Fragile:
    return Fragile(Retention(save_limit=0))


def record(job: str) -> TaskRecord:
    return TaskRecord(id=job, task="t", group="g")


def test_a_failure_is_written_at_once(store: Fragile) -> None:
    Recorder(store).failure(record("a"))
    assert store.get("a") is not None


def test_a_success_is_written_soon(store: Fragile) -> None:
    recorder = Recorder(store)
    recorder.success(record("a"))
    wait_for(lambda: store.get("a") is not None, "the record")
    recorder.success(record("b"))
    wait_for(lambda: store.get("b") is not None, "the second record")
    recorder.close()


@pytest.mark.parametrize(("keeps_newest", "written"), [(False, 5), (True, 2)])
def test_a_burst__is_cut_only_for_a_store_that_would_cut_it(
    keeps_newest: bool, written: int
) -> None:
    class Counting(Fragile):
        records = 0

        def save(self, records: Iterable[TaskRecord | Sealed]) -> None:
            saved = list(records)
            self.records += len(saved)
            super().save(saved)

    store = Counting(Retention(save_limit=2))
    store.keeps_newest = keeps_newest  # type: ignore[attr-defined]
    recorder = Recorder(store, lag=60.0)
    for number in range(5):
        recorder.success(record(f"{number}"))
    recorder.flush()
    assert store.records == written
    assert store.get("4") is not None
    recorder.close()


def test_successes_are_written_together(store: Fragile) -> None:
    recorder = Recorder(store)
    for number in range(100):
        recorder.success(record(str(number)))
    recorder.close()
    assert store.count_group("g") == 100
    assert store.writes <= 2


def test_a_success_after_a_failed_attempt_is_written_at_once(store: Fragile) -> None:
    """A worker that is killed now must not leave the store saying that an attempt will come."""
    recorder = Recorder(store, lag=1000)
    recorder.failure(record("a")._replace(state="retry"))
    recorder.success(record("a")._replace(attempt=2))
    kept = store.get("a")
    assert kept is not None
    assert kept.is_success
    store.is_down = True
    recorder.success(record("b")._replace(attempt=2))
    store.is_down = False
    recorder.close()
    assert store.get("b") is not None


def test_a_job_that_begins_is_written_soon__unless_it_ends_before(store: Fragile) -> None:
    recorder = Recorder(store, lag=60)
    begun = record("a")._replace(state="retry", attempt=0, keep_until=9e9)
    recorder.begun(begun)
    assert not recorder.is_pending("a")
    recorder.success(record("a"))
    assert recorder.is_pending("a")
    recorder.close()
    found = store.get("a")
    assert found is not None
    assert (found.state, store.writes) == ("success", 1)


def test_a_later_attempt_that_begins_waits_with_the_others(store: Fragile) -> None:
    recorder = Recorder(store, lag=60)
    recorder.begun(record("a")._replace(state="retry", attempt=2))
    assert store.writes == 0
    recorder.close()
    assert store.get("a") is not None


def test_at_drain_all_is_written(store: Fragile) -> None:
    recorder = Recorder(store, lag=1000)
    recorder.success(record("a"))
    recorder.close()
    assert store.get("a") is not None


def test_the_store_is_down__a_failure(store: Fragile) -> None:
    store.is_down = True
    with pytest.raises(ResultStoreUnavailable):
        Recorder(store).failure(record("a"))


def test_the_store_is_down__a_success_waits(
    store: Fragile, caplog: pytest.LogCaptureFixture
) -> None:
    store.is_down = True
    recorder = Recorder(store, lag=0.01, pause=0.01)
    recorder.success(record("a"))
    wait_for(lambda: "wait until the store is back" in caplog.text, "the warning")
    recorder.success(record("b"))
    store.is_down = False
    wait_for(lambda: store.count_group("g") == 2, "both records")
    recorder.close()


def test_the_store_is_down__to_the_end(
    store: Fragile, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_PENDING", 3)
    store.is_down = True
    recorder = Recorder(store, lag=0.01, pause=0.01)
    for number in range(5):
        recorder.success(record(str(number)))
    with caplog.at_level(logging.ERROR):
        recorder.close()
    assert "The results of 5 jobs are lost: it is down" in caplog.text


def test_the_oldest_go(store: Fragile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PENDING", 3)
    recorder = Recorder(store, lag=1000)
    for number in range(5):
        recorder.success(record(str(number)))
    recorder.flush()
    assert [each.id for each in store.group("g")] == ["2", "3", "4"]
    recorder.close()


def test_who_wants_what(store: Fragile) -> None:
    recorder = Recorder(store)
    assert recorder.wants_success()
    assert not recorder.wants_success(save=False)
    assert not recorder.wants_success(waits=True)
    assert recorder.wants_success(save=True, waits=True)
    none = Recorder(MemoryStore(Retention(save_limit=-1)))
    assert not none.wants_success()
    assert none.wants_success(save=True)


def test_without_a_store() -> None:
    recorder = Recorder(None)
    assert not recorder.wants_success(save=True)
    recorder.success(record("a"))
    recorder.failure(record("a"))
    recorder.close()


def test_a_record_that_the_store_refuses__takes_no_other_with_it(
    store: Fragile, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    save = store.save

    def refuse(records: Iterable[TaskRecord | Sealed]) -> None:
        if any(each.id == "bad" for each in records):
            raise OverflowError("too large")
        save(records)

    monkeypatch.setattr(store, "save", refuse)
    recorder = Recorder(store)
    for job in ("a", "bad", "b"):
        recorder.success(record(job))
    wait_for(lambda: store.get("b") is not None, "the last record")
    recorder.success(record("c"))
    wait_for(lambda: store.get("c") is not None, "a record that comes later")
    recorder.close()
    assert store.get("a") is not None
    assert "The result of job bad is lost: too large" in caplog.text
