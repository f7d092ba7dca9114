"""A contract: claims, missed occurrences, outages and crashes, with a clock in the test's hand."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from gearfleet.errors import ScheduleError, ServerUnavailable
from gearfleet.schedule import Plan, Schedule
from gearfleet.schedule.firing import LEASE, LONGEST_PAUSE, Firing
from gearfleet.schedule.model import job_id, resumed, step
from gearfleet.schedule.timing import timing

if TYPE_CHECKING:
    from collections.abc import Callable

    from gearfleet.schedule import ScheduleStore
    from gearfleet.schedule.model import Occurrence

START = datetime(2026, 1, 1, tzinfo=UTC)


def minutely(**changes: Any) -> Schedule:
    told = {"name": "a", "plan": Plan(task="t"), "timing": timing(minutes=1)}
    return Schedule(**{**told, "start": START, "next_run": START, **changes})


def once(**changes: Any) -> Schedule:
    return minutely(timing=timing("once"), **changes)


class Desk:
    """A store, a clock, and schedulers whose jobs are put into a list."""

    def __init__(self, make: Callable[[], ScheduleStore]) -> None:
        self.make = make
        self.store = make()
        self.now = START.timestamp()
        self.submitted: list[tuple[str, str]] = []
        self.error: BaseException | None = None
        self.records: set[str] = set()

    def scheduler(self, owner: str = "one") -> Firing:
        return Firing(
            self.make(),
            owner=owner,
            submit=self.submit,
            was_run=lambda occurrence: occurrence.job in self.records,
            clock=lambda: self.now,
        )

    def submit(self, occurrence: Occurrence) -> None:
        if self.error is not None:
            raise self.error
        self.submitted.append((occurrence.name, occurrence.intended.strftime("%H:%M")))

    def advance(self, minutes: float) -> None:
        self.now += minutes * 60

    @property
    def times(self) -> list[str]:
        return [when for _, when in self.submitted]


class FiringContract:
    """What holds of schedulers, whatever store they share; a subclass has the fixture `desk`."""

    def test_due__is_submitted_once(self, desk: Desk) -> None:
        desk.store.add(minutely())
        one = desk.scheduler()
        assert [one.round(), one.round()] == [1, 0]
        desk.advance(1)
        assert [one.round(), one.round()] == [1, 0]
        assert desk.times == ["00:00", "00:01"]

    def test_missed__the_latest_is_submitted_and_the_others_are_reported(
        self, desk: Desk, caplog: pytest.LogCaptureFixture
    ) -> None:
        desk.store.add(minutely())
        desk.advance(10.5)
        with caplog.at_level(logging.WARNING):
            desk.scheduler().round()
        assert desk.times == ["00:10"]
        missed = next(
            each for each in caplog.records if each.__dict__["action"] == "schedule_missed"
        )
        assert missed.__dict__["missed"] == 10
        assert "missed 10 occurrences from 2026-01-01 00:00:00+00:00 on" in missed.getMessage()
        known = desk.store.find("a")
        assert known is not None
        assert known.missed == 10
        assert known.missed_at == START + timedelta(minutes=9)

    def test_catch_up__each_is_submitted_in_order(self, desk: Desk) -> None:
        desk.store.add(minutely(catch_up=True))
        desk.advance(3)
        desk.scheduler().round()
        assert desk.times == ["00:00", "00:01", "00:02", "00:03"]

    def test_repeats__count_down_and_end(self, desk: Desk) -> None:
        desk.store.add(minutely(repeats=2, catch_up=True))
        desk.advance(5)
        desk.scheduler().round()
        assert desk.times == ["00:00", "00:01"]
        known = desk.store.find("a")
        assert known is not None
        assert known.state == "ended"

    def test_once__is_deleted_afterwards_unless_it_counts(self, desk: Desk) -> None:
        desk.store.add(once(name="gone"))
        desk.store.add(once(name="kept", repeats=1))
        desk.store.add(once(name="declared", origin="settings"))
        desk.scheduler().round()
        assert {(each.name, each.state) for each in desk.store.all()} == {
            ("kept", "ended"),
            ("declared", "ended"),
        }
        assert len(desk.submitted) == 3

    def test_paused__nothing_is_submitted_and_resume_passes_over(self, desk: Desk) -> None:
        paused = minutely(paused=True)
        desk.store.add(paused)
        desk.advance(10.5)
        assert desk.scheduler().round() == 0
        now = datetime.fromtimestamp(desk.now, UTC)
        following = resumed(paused, now)
        assert following == START + timedelta(minutes=11)
        assert desk.store.change(paused, replace(paused, paused=False, next_run=following))
        assert desk.scheduler().round() == 0

    def test_pause__between_look_and_claim_counts(self, desk: Desk) -> None:
        schedule = minutely()
        desk.store.add(schedule)
        taken = step(schedule, START)
        assert taken is not None
        desk.store.change(schedule, replace(schedule, paused=True))
        one = desk.scheduler()
        assert one._claim(schedule) is None

    def test_two__the_claim_of_one_leaves_nothing_to_the_other(self, desk: Desk) -> None:
        desk.store.add(minutely())
        known = desk.store.find("a")
        assert known is not None
        one, two = desk.scheduler("one"), desk.scheduler("two")
        assert one._claim(known) is not None
        assert two._claim(known) is None  # it has looked before the other's claim

    def test_claimed_once__never_again_even_if_the_clock_goes_back(self, desk: Desk) -> None:
        desk.store.add(minutely())
        desk.scheduler().round()
        moved = desk.store.find("a")
        assert moved is not None
        desk.store.change(moved, replace(moved, next_run=START))
        desk.scheduler().round()
        assert desk.times == ["00:00"]
        desk.advance(-60)
        assert desk.scheduler().round() == 0

    def test_crash__between_claim_and_submit__the_next_one_submits(self, desk: Desk) -> None:
        desk.store.add(minutely())
        desk.error = SystemExit()  # as good as a kill: nothing is caught
        with pytest.raises(SystemExit):
            desk.scheduler("dead").round()
        desk.error = None
        two = desk.scheduler("two")
        assert two.round() == 0  # the lease is not over
        desk.now += LEASE + 0.1
        assert two.round() == 1
        assert desk.times == ["00:00"]

    def test_crash__between_submit_and_its_note__a_record_tells(self, desk: Desk) -> None:
        schedule = minutely()
        desk.store.add(schedule)
        desk.error = SystemExit()
        with pytest.raises(SystemExit):
            desk.scheduler("dead").round()
        desk.error = None
        desk.records.add(job_id(schedule.id, START))
        desk.now += LEASE + 0.1
        desk.scheduler("two").round()
        assert desk.submitted == []
        desk.now += LEASE + 0.1  # and it is settled
        assert desk.store.take_over("three", desk.now, desk.now) == []

    def test_crash__of_a_schedule_that_is_deleted_meanwhile(self, desk: Desk) -> None:
        schedule = minutely()
        desk.store.add(schedule)
        desk.error = SystemExit()
        with pytest.raises(SystemExit):
            desk.scheduler("dead").round()
        desk.error = None
        desk.store.delete([schedule.id])
        desk.now += LEASE + 0.1
        assert desk.scheduler("two").round() == 1

    def test_outage__is_tried_again_with_pauses_and_nothing_is_lost(self, desk: Desk) -> None:
        desk.store.add(minutely(catch_up=True))
        one, two = desk.scheduler("one"), desk.scheduler("two")
        desk.error = ServerUnavailable()
        for _ in range(70):
            assert one.round() == 0
            desk.now += 1.0
            assert desk.store.take_over("x", desk.now, desk.now) == []  # it keeps its lease
        desk.error = None
        desk.now += LONGEST_PAUSE
        assert one.round() == 2
        assert two.round() == 0
        assert desk.times == ["00:00", "00:01"]

    def test_row__what_another_has_taken_over_meanwhile_is_left_to_it(self, desk: Desk) -> None:
        for name in "ab":
            desk.store.add(minutely(name=name, timing=timing("hourly")))
        desk.error = SystemExit()
        for owner in ("dead", "dead too"):
            with pytest.raises(SystemExit):
                desk.scheduler(owner).round()
        desk.error = None
        desk.now += LEASE + 0.1
        one, two = desk.scheduler("one"), desk.scheduler("two")
        row = one._taken_over()
        assert len(row) == 2
        desk.now += LEASE + 0.1  # so long did the first of them take
        assert two.round() == 2
        assert [one._fire(each, again=True) for each in row] == [0, 0]
        assert sorted(name for name, _ in desk.submitted) == ["a", "b"]

    def test_release__another_one_submits_at_once(self, desk: Desk) -> None:
        desk.store.add(minutely())
        one = desk.scheduler("one")
        desk.error = ServerUnavailable()
        one.round()
        one.release()
        desk.error = None
        assert desk.scheduler("two").round() == 1

    def test_hopeless__is_reported_and_the_others_go_on(
        self, desk: Desk, caplog: pytest.LogCaptureFixture
    ) -> None:
        desk.store.add(minutely())
        desk.error = ScheduleError("the task is gone")
        desk.scheduler().round()
        assert "cannot be submitted: the task is gone" in caplog.text
        desk.error = None
        desk.advance(1)
        assert desk.scheduler().round() == 1

    def test_store__keeps_what_a_schedule_has(self, desk: Desk) -> None:
        plan = Plan(task="t", args=(1, START), kwargs={"a": {1, 2}}, options={"priority": "high"})
        schedule = minutely(plan=plan, timing=timing(cron="0 3 * * 1"), catch_up=True)
        assert desk.store.add(schedule)
        assert not desk.store.add(replace(schedule, id="another"))
        known = desk.store.find("a")
        assert known is not None
        assert replace(known, plan=replace(known.plan, args=tuple(known.plan.args))) == schedule
        assert desk.store.find(schedule.id) == known
        assert desk.store.next_run() == START
        assert desk.store.delete([schedule.id]) == 1
        assert desk.store.find("a") is None
