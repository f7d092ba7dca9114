"""Timers without a clock."""

from __future__ import annotations

from gearfleet.gearman.server.timers import Timers


def test_run_due__earliest_first_and_nothing_early() -> None:
    timers, done = Timers(), []
    for when in (3.0, 1.0, 2.0, 9.0):
        timers.schedule(when, lambda when=when: done.append(when))
    assert timers.next_due == 1.0
    timers.run_due(3.0)
    assert done == [1.0, 2.0, 3.0]
    assert timers.next_due == 9.0


def test_run_due__same_time_in_order_of_scheduling() -> None:
    timers, done = Timers(), []
    for number in range(5):
        timers.schedule(1.0, lambda number=number: done.append(number))
    timers.run_due(1.0)
    assert done == list(range(5))


def test_run_due__an_action_may_schedule_and_cancel() -> None:
    timers, done = Timers(), []
    victim = timers.schedule(2.0, lambda: done.append("victim"))

    def act() -> None:
        timers.cancel(victim)
        timers.schedule(1.5, lambda: done.append("child"))

    timers.schedule(1.0, act)
    timers.run_due(2.0)
    assert done == ["child"]
    assert timers.next_due is None


def test_cancel__once_past_or_twice_is_nothing() -> None:
    timers, done = Timers(), []
    past = timers.schedule(1.0, lambda: done.append("past"))
    timers.run_due(1.0)
    timers.cancel(past)
    cancelled = timers.schedule(2.0, lambda: done.append("cancelled"))
    for _ in range(2):
        timers.cancel(cancelled)
    timers.run_due(2.0)
    assert done == ["past"]


def test_cancel__cancelled_timers_do_not_pile_up() -> None:
    timers, done = Timers(), []
    timers.schedule(1.0, lambda: done.append("live"))
    for _ in range(10_000):
        timers.cancel(timers.schedule(100.0, lambda: done.append("dead")))
    assert len(timers) < 500
    timers.run_due(100.0)
    assert done == ["live"]
