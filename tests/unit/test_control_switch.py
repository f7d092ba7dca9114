"""Stop and start as histories."""

from __future__ import annotations

from gearfleet.supervisor.events import (
    Halted,
    ProcessFailed,
    ProcessKilled,
    ProcessStarted,
    ProcessStopped,
    ProcessUnchanged,
)
from gearfleet.supervisor.processes import Limits, Refusal, State
from gearfleet.supervisor.switch import Starting, Stopping
from tests.support.histories import Fleet, running

A, B = "bar:a", "bar:b"


def a_fleet(state: State = State.RUNNING) -> Fleet:
    fleet = Fleet(running("bar", "a", "b"))
    for name in (A, B):
        if state is not State.RUNNING:
            fleet.put(name, state, pid=0)
    return fleet


def test_stop__all_at_once_and_waits_for_each() -> None:
    fleet = a_fleet()
    stopping = Stopping([A, B], clock=fleet.clock)
    assert fleet.look(stopping) == ((A, B), ())
    fleet.now += 2
    fleet.stopped(A)
    assert fleet.look(stopping) == ((), ())
    assert stopping.under_way == (B,)
    fleet.now += 1
    fleet.stopped(B)
    fleet.look(stopping)
    assert stopping.is_done
    assert stopping.result().ok
    assert stopping.result().changed == (
        ProcessStopped(name=A, seconds=2),
        ProcessStopped(name=B, seconds=3),
    )


def test_stop__what_is_down_stays_down() -> None:
    fleet = a_fleet(State.FATAL)
    stopping = Stopping([A], clock=fleet.clock)
    assert fleet.look(stopping) == ((), ())
    assert stopping.result().unchanged == (ProcessUnchanged(name=A, state=State.FATAL),)
    assert stopping.result().ok


def test_stop__stops_again_what_supervisord_respawned() -> None:
    fleet = a_fleet()
    fleet.put(A, State.EXITED, pid=0, stop=50, now=50, exitstatus=75)
    stopping = Stopping([A], clock=fleet.clock)
    assert fleet.look(stopping) == ((), ())
    assert not stopping.is_done
    fleet.put(A, State.STARTING, pid=7)
    assert fleet.look(stopping) == ((A,), ())


def test_stop__waits_for_what_somebody_else_stops() -> None:
    fleet = a_fleet()
    fleet.put(A, State.STOPPING)
    stopping = Stopping([A], clock=fleet.clock)
    assert fleet.look(stopping) == ((), ())
    fleet.stopped(A)
    fleet.look(stopping)
    assert stopping.result().changed == (ProcessStopped(name=A, seconds=0),)


def test_stop__a_killed_job_is_a_failure() -> None:
    fleet = a_fleet()
    stopping = Stopping([A], limits={A: Limits(stopwaitsecs=2)}, clock=fleet.clock)
    fleet.look(stopping)
    fleet.now += 2
    fleet.stopped(A, exitstatus=-1)
    fleet.look(stopping)
    assert stopping.result().killed == (ProcessKilled(name=A, seconds=2),)
    assert not stopping.result().ok


def test_stop__what_never_ends_is_a_failure() -> None:
    fleet = a_fleet()
    stopping = Stopping([A], limits={A: Limits(stopwaitsecs=2)}, clock=fleet.clock)
    fleet.look(stopping)
    fleet.now += 12.1
    fleet.look(stopping)
    assert stopping.result().failed == (
        ProcessFailed(name=A, state=State.STOPPING, reason="it has not stopped for 12 s"),
    )


def test_stop__interrupted_says_what_goes_on() -> None:
    fleet = a_fleet()
    stopping = Stopping([A, B], clock=fleet.clock)
    fleet.look(stopping)
    stopping.halt("interrupted by SIGINT")
    assert stopping.is_done
    assert stopping.result().pending == (A, B)
    assert not stopping.result().ok
    assert fleet.look(stopping)[0] == ()
    assert Halted(reason="interrupted by SIGINT") in fleet.events


def test_start__all_at_once_and_waits_for_each() -> None:
    fleet = a_fleet(State.STOPPED)
    starting = Starting([A, B], clock=fleet.clock)
    assert fleet.look(starting) == ((), (A, B))
    fleet.now += 1
    fleet.up(A, B)
    assert fleet.look(starting) == ((), ())
    assert starting.is_done
    assert starting.result().changed == (
        ProcessStarted(name=A, pid=901, seconds=1),
        ProcessStarted(name=B, pid=902, seconds=1),
    )


def test_start__what_runs_is_left_alone() -> None:
    fleet = a_fleet()
    starting = Starting([A], clock=fleet.clock)
    assert fleet.look(starting) == ((), ())
    assert starting.result().unchanged == (ProcessUnchanged(name=A, state=State.RUNNING),)


def test_start__waits_for_one_that_is_still_stopping() -> None:
    fleet = a_fleet()
    fleet.put(A, State.STOPPING)
    starting = Starting([A], clock=fleet.clock)
    assert fleet.look(starting) == ((), ())
    fleet.stopped(A)
    assert fleet.look(starting) == ((), (A,))


def test_start__a_crash_loop_is_a_failure() -> None:
    fleet = a_fleet(State.STOPPED)
    starting = Starting([A], clock=fleet.clock)
    fleet.look(starting)
    fleet.put(A, State.BACKOFF, pid=0, spawnerr="Exited too quickly")
    fleet.look(starting)
    assert starting.result().failed == (
        ProcessFailed(name=A, state=State.BACKOFF, reason="Exited too quickly"),
    )


def test_start__too_late_is_a_failure() -> None:
    fleet = a_fleet(State.STOPPED)
    starting = Starting([A], timeout=3, clock=fleet.clock)
    fleet.look(starting)
    fleet.now += 4.1
    fleet.look(starting)
    assert starting.result().failed[0].reason == "it does not run after 3 s"


def test_start__refused_keeps_supervisords_words_and_the_state() -> None:
    fleet = a_fleet(State.FATAL)
    starting = Starting([A], clock=fleet.clock)
    starting.observe(fleet.members, fleet.evidence)
    (event,) = starting.refused([Refusal(name=A, code=20, text="NO_FILE: /x")])
    assert event == ProcessFailed(
        name=A, state=State.FATAL, reason="supervisord refused: NO_FILE: /x"
    )


def test_start__one_that_is_gone_is_a_failure() -> None:
    fleet = a_fleet(State.STOPPED)
    starting = Starting([A, B], clock=fleet.clock)
    del fleet.members[1]
    fleet.look(starting)
    assert [failed.name for failed in starting.result().failed] == [B]


def test_start__waits_for_one_that_supervisord_starts_already() -> None:
    fleet = a_fleet()
    fleet.put(A, State.STARTING)
    starting = Starting([A], clock=fleet.clock)
    assert fleet.look(starting) == ((), ())
    fleet.up(A)
    fleet.look(starting)
    assert [started.name for started in starting.result().changed] == [A]
