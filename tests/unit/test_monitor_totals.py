"""What the records of the results come to."""

from __future__ import annotations

import pytest

from gearfleet.monitor.totals import SPANS, count, span
from gearfleet.results import Kept, MemoryStore, Retention, Tally, TaskRecord

NOW = 1_000_000.0


def test_span__together_and_by_task() -> None:
    tallies = [
        Tally("b", "success", jobs=7, seconds=14.0, begun=7, waited=3.5),
        Tally("a", "failure", jobs=2, seconds=4.0, begun=0, waited=0.0),
        Tally("a", "retry", jobs=1, seconds=2.0, begun=0, waited=0.0),
        Tally("a", "expired", jobs=1, seconds=0.0, begun=0, waited=0.0),
    ]
    found = span("hour", tallies, Kept(successes=7, others=4), Retention(), now=NOW)
    assert found.is_complete
    together = found.all
    assert (together.successes, together.failures, together.expired, together.retries) == (
        *(7, 2, 1, 1),
    )
    assert together.ended == 10
    assert together.per_second == pytest.approx(10 / 3600)
    assert together.mean_seconds == pytest.approx(20 / 11)
    assert together.mean_wait == 0.5
    a, b = found.tasks
    assert (a.task, a.ended, a.mean_wait) == ("a", 3, None)
    assert (b.task, b.per_second, b.mean_seconds) == ("b", pytest.approx(7 / 3600), 2.0)


def test_span__of_nothing() -> None:
    found = span("day", [], Kept(), Retention(), now=NOW)
    assert (found.all.ended, found.all.per_second, found.all.mean_seconds) == (0, 0.0, None)


@pytest.mark.parametrize(
    ("kept", "retention", "covers"),
    [
        (Kept(249, NOW - 10), Retention(save_limit=250), 3600.0),
        (Kept(250, NOW - 10), Retention(save_limit=250), 10.0),
        (Kept(250, NOW - 9999), Retention(save_limit=250), 3600.0),
        (Kept(250, NOW - 10), Retention(save_limit=0), 3600.0),
        (Kept(250, NOW - 10), Retention(save_limit=-1), 3600.0),
        (Kept(250, NOW - 10), Retention(save_limit=250, save_limit_per="group"), 3600.0),
        (Kept(250, NOW + 5), Retention(save_limit=250), 0.0),
    ],
)
def test_span__covers_what_the_kept_successes_reach_back_to(
    kept: Kept, retention: Retention, covers: float
) -> None:
    tallies = [Tally("a", "success", jobs=250, seconds=1.0, begun=0, waited=0.0)]
    found = span("hour", tallies, kept, retention, now=NOW)
    assert found.covers == covers
    assert found.is_complete is (covers == 3600.0)
    assert found.all.per_second == (250 / covers if covers else 0.0)


def test_count__of_a_store() -> None:
    store = MemoryStore()
    moments = (NOW - 10, NOW - 4000, NOW - 90_000)
    store.save(TaskRecord(id=str(at), task="t", started=at - 1, stopped=at) for at in moments)
    found = count(store, store.retention, NOW)
    assert [each.name for each in found] == list(SPANS)
    assert [each.all.successes for each in found] == [1, 2]
