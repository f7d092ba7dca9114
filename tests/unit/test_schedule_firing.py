"""Schedulers over the SQLite store, and the pure part of what they do."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from gearfleet.schedule import Plan
from gearfleet.schedule.model import step
from gearfleet.schedule.sqlite import SQLiteScheduleStore
from gearfleet.schedule.timing import timing
from tests.support.firing_contract import START, Desk, FiringContract, minutely

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class TestFiring(FiringContract):
    """Over a file."""

    @pytest.fixture
    def desk(self, tmp_path: Path) -> Iterator[Desk]:
        made: list[SQLiteScheduleStore] = []

        def make() -> SQLiteScheduleStore:
            made.append(SQLiteScheduleStore(tmp_path / "schedules.sqlite3"))
            return made[-1]

        yield Desk(make)
        for store in made:
            store.close()

    def test_catch_up__a_long_outage_goes_in_bursts(self, desk: Desk) -> None:
        desk.store.add(minutely(catch_up=True))
        desk.advance(119)
        one = desk.scheduler()
        assert [one.round(), one.round(), one.round(), one.round()] == [50, 50, 20, 0]


def test_moved__the_next_run_is_where_it_is_counted_from() -> None:
    at_last = datetime(2026, 1, 31, 12, tzinfo=UTC)
    schedule = minutely(timing=timing("monthly"), start=at_last, next_run=at_last)
    taken = step(schedule, at_last)
    assert taken is not None
    assert taken.next_run == datetime(2026, 2, 28, 12, tzinfo=UTC)
    again = step(replace(schedule, next_run=taken.next_run), taken.next_run)
    assert again is not None
    assert again.next_run == datetime(2026, 3, 31, 12, tzinfo=UTC)
    elsewhere = datetime(2026, 2, 15, 8, tzinfo=UTC)
    moved = step(replace(schedule, next_run=elsewhere), elsewhere)
    assert moved is not None
    assert moved.start == elsewhere
    assert moved.next_run == datetime(2026, 3, 15, 8, tzinfo=UTC)


def test_intended__as_a_moment_and_as_text() -> None:
    plan = Plan(task="t", kwargs={"x": 1}, intended_date_kwarg="when")
    assert plan.kwargs_at(START, "Europe/Berlin") == {"x": 1, "when": START}
    text = replace(plan, intended_as_text=True).kwargs_at(START, "Europe/Berlin")["when"]
    assert text == "2026-01-01T01:00:00+01:00"
