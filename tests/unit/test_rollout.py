"""The rolling restart as histories: what supervisord shows, and what the rollout wants then."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gearfleet.supervisor import report
from gearfleet.supervisor.events import (
    Halted,
    ProcessBack,
    ProcessDown,
    ProcessFailed,
    ProcessKilled,
    ProcessStarted,
    RolloutStarted,
)
from gearfleet.supervisor.processes import Limits, Process, Refusal, State
from gearfleet.supervisor.registrations import Registration
from gearfleet.supervisor.rollout import Rollout
from gearfleet.supervisor.waves import MaxUnavailable
from tests.support.histories import Fleet, running

WAVE_OF_2 = MaxUnavailable(count=2)
NOTHING: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())


def a_fleet(count: int = 4) -> Fleet:
    return Fleet(running("bar", *(f"w_{number:02}" for number in range(count))))


def a_rollout(fleet: Fleet, names: list[str] | None = None, **options: object) -> Rollout:
    chosen = names if names is not None else [process.namespec for process in fleet.members]
    return Rollout(
        "bar",
        chosen,
        clock=fleet.clock,
        before=fleet.evidence,
        **options,  # type: ignore[arg-type]
    )


def registration(pid: int, host: str = "web1") -> Registration:
    return Registration(host=host, program="w", pid=pid)


def test_rollout__one_after_the_other() -> None:
    fleet = a_fleet(2)
    rollout = a_rollout(fleet)
    assert fleet.look(rollout) == (("bar:w_00",), ())
    assert fleet.look(rollout) == NOTHING  # still finishing its job
    fleet.stopped("bar:w_00")
    assert fleet.look(rollout) == ((), ("bar:w_00",))
    assert fleet.look(rollout) == NOTHING  # STARTING is not RUNNING
    fleet.now += 3
    fleet.up("bar:w_00")
    assert fleet.look(rollout) == (("bar:w_01",), ())
    fleet.cycle(rollout, "bar:w_01")
    assert fleet.look(rollout) == NOTHING
    assert rollout.is_done
    result = rollout.result()
    assert result.ok
    assert result.lowest_running == 1
    assert result.restarted[0] == ProcessBack(
        name="bar:w_00", pid_before=100, pid_after=901, seconds=3
    )


def test_rollout__begins_by_saying_what_it_will_do() -> None:
    fleet = Fleet(running("bar", "w_00", "w_01", "mail"))
    rollout = a_rollout(fleet, limits={"bar:w_00": Limits(startsecs=5)})
    fleet.look(rollout)
    assert fleet.events[0] == RolloutStarted(
        group="bar",
        names=("bar:w_00", "bar:w_01", "bar:mail"),
        wave=1,
        singles=("bar:mail",),
        at_least=15,
    )


def test_rollout__begins_by_naming_those_that_are_not_running_yet() -> None:
    fleet = a_fleet(2)
    for name in ("bar:w_00", "bar:w_01"):
        fleet.put(name, State.STARTING)
    fleet.look(a_rollout(fleet))
    (started,) = fleet.events
    assert isinstance(started, RolloutStarted)
    assert (started.names, started.awaited) == ((), ("bar:w_00", "bar:w_01"))
    assert report.text(started).splitlines()[1:] == [
        "bar:w_00: taken when it is RUNNING",
        "bar:w_01: taken when it is RUNNING",
    ]


def test_rollout__a_slot_is_filled_as_soon_as_it_is_free() -> None:
    fleet = a_fleet(4)
    rollout = a_rollout(fleet, max_unavailable=WAVE_OF_2)
    assert fleet.look(rollout) == (("bar:w_00", "bar:w_01"), ())
    fleet.cycle(rollout, "bar:w_01")
    assert fleet.look(rollout) == (("bar:w_02",), ())


@pytest.mark.parametrize(
    ("total", "wave"), [(1, 1), (3, 1), (4, 1), (7, 1), (8, 2), (11, 2), (12, 3), (100, 25)]
)
def test_rollout__default_wave_is_a_quarter_or_one(total: int, wave: int) -> None:
    fleet = a_fleet(total)
    stop, _ = fleet.look(a_rollout(fleet))
    assert len(stop) == wave


def test_rollout__never_takes_the_last_process_of_a_program() -> None:
    fleet = Fleet(running("bar", "a_00", "a_01", "b_00", "b_01"))
    rollout = a_rollout(fleet, max_unavailable=MaxUnavailable(count=4))
    assert fleet.look(rollout) == (("bar:a_00", "bar:b_00"), ())
    fleet.cycle(rollout, "bar:a_00")
    assert fleet.look(rollout) == (("bar:a_01",), ())


def test_rollout__takes_the_only_process_of_a_program() -> None:
    fleet = Fleet(running("mail", "mail"))
    rollout = Rollout("mail", ["mail"], clock=fleet.clock)
    assert fleet.look(rollout) == (("mail",), ())
    fleet.cycle(rollout, "mail")
    fleet.look(rollout)
    assert rollout.result().ok


def test_rollout__refuses_the_last_running_one_of_a_program_with_others_down() -> None:
    fleet = a_fleet(2)
    fleet.put("bar:w_01", State.FATAL, pid=0)
    rollout = a_rollout(fleet, max_unavailable=WAVE_OF_2)
    assert fleet.look(rollout) == NOTHING
    assert rollout.is_done
    result = rollout.result()
    assert not result.ok
    assert result.untouched == ("bar:w_00",)
    assert "last running process of its program" in result.halted


def test_rollout__those_that_are_down_count_against_the_wave() -> None:
    fleet = a_fleet(4)
    fleet.put("bar:w_02", State.STOPPED, pid=0)
    rollout = a_rollout(fleet, max_unavailable=WAVE_OF_2)
    assert fleet.look(rollout) == (("bar:w_00",), ())
    fleet.cycle(rollout, "bar:w_00")
    assert fleet.look(rollout) == (("bar:w_01",), ())


def test_rollout__those_that_are_down_are_reported_and_not_started() -> None:
    fleet = a_fleet(4)
    fleet.put("bar:w_02", State.FATAL, pid=0, spawnerr="Exited too quickly")
    rollout = a_rollout(fleet, max_unavailable=WAVE_OF_2)
    for name in ("bar:w_00", "bar:w_01", "bar:w_03"):
        fleet.look(rollout)
        fleet.cycle(rollout, name)
    fleet.look(rollout)
    assert fleet.starts == ["bar:w_00", "bar:w_01", "bar:w_03"]
    result = rollout.result()
    assert result.down == (
        ProcessDown(name="bar:w_02", state=State.FATAL, detail="Exited too quickly"),
    )
    assert result.ok


def test_rollout__too_many_down_for_the_wave_says_what_to_do() -> None:
    fleet = a_fleet(4)
    fleet.put("bar:w_02", State.STOPPED, pid=0)
    rollout = a_rollout(fleet)
    assert fleet.look(rollout) == NOTHING
    assert rollout.is_done
    assert "1 of 4 processes are down (bar:w_02)" in rollout.result().halted
    assert "--max-unavailable 2" in rollout.result().halted


def test_rollout__nothing_running_is_no_success() -> None:
    fleet = a_fleet(1)
    fleet.put("bar:w_00", State.STOPPED, pid=0)
    rollout = a_rollout(fleet)
    assert fleet.look(rollout) == NOTHING
    assert rollout.is_done
    assert not rollout.result().ok


def test_rollout__waits_for_one_that_is_starting() -> None:
    fleet = a_fleet(2)
    fleet.put("bar:w_00", State.STARTING)
    rollout = a_rollout(fleet)
    assert fleet.look(rollout) == NOTHING
    assert not rollout.is_done
    fleet.up("bar:w_00")
    assert fleet.look(rollout) == (("bar:w_00",), ())


def test_rollout__waits_for_one_that_has_just_recycled_itself() -> None:
    fleet = a_fleet(2)
    fleet.put("bar:w_00", State.EXITED, pid=0, exitstatus=75, stop=50, now=51)
    rollout = a_rollout(fleet)
    assert fleet.look(rollout) == NOTHING
    assert not rollout.is_done
    fleet.put("bar:w_00", State.RUNNING, pid=500)
    assert fleet.look(rollout) == (("bar:w_00",), ())


def test_rollout__one_that_stays_exited_is_down() -> None:
    fleet = a_fleet(2)
    fleet.put("bar:w_00", State.EXITED, pid=0, exitstatus=3, stop=50, now=52)
    fleet.look(a_rollout(fleet))
    assert ProcessDown(name="bar:w_00", state=State.EXITED) in fleet.events


@pytest.mark.parametrize(
    ("state", "spawnerr", "exitstatus", "reason"),
    [
        (State.BACKOFF, "Exited too quickly", 0, "Exited too quickly"),
        (State.FATAL, "can't find command", 0, "can't find command"),
        (State.EXITED, "", 3, "it ended with exit status 3"),
        (State.STOPPED, "", 0, "somebody stopped it again"),
    ],
)
def test_rollout__halts_when_a_process_does_not_come_back(
    state: State, spawnerr: str, exitstatus: int, reason: str
) -> None:
    fleet = a_fleet(4)
    rollout = a_rollout(fleet)
    fleet.look(rollout)
    fleet.stopped("bar:w_00")
    fleet.look(rollout)
    fleet.put("bar:w_00", state, pid=0, spawnerr=spawnerr, exitstatus=exitstatus)
    assert fleet.look(rollout) == NOTHING
    assert rollout.is_done
    result = rollout.result()
    assert result.failed == (ProcessFailed(name="bar:w_00", state=state, reason=reason),)
    assert result.untouched == ("bar:w_01", "bar:w_02", "bar:w_03")
    assert result.halted == "bar:w_00 did not come back"
    assert not result.ok


def test_rollout__sees_the_others_of_the_wave_through_after_a_failure() -> None:
    fleet = a_fleet(4)
    rollout = a_rollout(fleet, max_unavailable=WAVE_OF_2)
    fleet.look(rollout)
    fleet.stopped("bar:w_00")
    fleet.look(rollout)
    fleet.put("bar:w_00", State.FATAL, pid=0)
    fleet.look(rollout)
    assert not rollout.is_done  # bar:w_01 is still finishing its job
    fleet.stopped("bar:w_01")
    assert fleet.look(rollout) == ((), ("bar:w_01",))
    fleet.up("bar:w_01")
    assert fleet.look(rollout) == NOTHING
    assert [back.name for back in rollout.result().restarted] == ["bar:w_01"]
    assert fleet.stops == ["bar:w_00", "bar:w_01"]


def test_rollout__recycling_right_after_the_start_is_no_failure() -> None:
    fleet = a_fleet(2)
    rollout = a_rollout(fleet)
    fleet.look(rollout)
    fleet.stopped("bar:w_00")
    fleet.look(rollout)
    fleet.put("bar:w_00", State.EXITED, pid=0, exitstatus=75)
    assert fleet.look(rollout) == NOTHING
    fleet.put("bar:w_00", State.RUNNING, pid=777)
    assert fleet.look(rollout) == (("bar:w_01",), ())


def test_rollout__a_start_that_takes_too_long_fails() -> None:
    fleet = a_fleet(2)
    rollout = a_rollout(fleet, timeout=5, limits={"bar:w_00": Limits(startsecs=10)})
    fleet.look(rollout)
    fleet.stopped("bar:w_00")
    fleet.look(rollout)
    fleet.now += 15
    fleet.look(rollout)
    assert not rollout.is_done
    fleet.now += 0.1
    fleet.look(rollout)
    assert rollout.result().failed[0].reason == "it does not run after 5 s"


def test_rollout__a_stop_that_never_ends_fails() -> None:
    fleet = a_fleet(2)
    rollout = a_rollout(fleet, limits={"bar:w_00": Limits(stopwaitsecs=100)})
    fleet.look(rollout)
    fleet.now += 110
    fleet.look(rollout)
    assert not rollout.is_done
    fleet.now += 1
    fleet.look(rollout)
    assert rollout.result().failed == (
        ProcessFailed(name="bar:w_00", state=State.STOPPING, reason="it has not stopped for 111 s"),
    )


def test_rollout__waits_until_the_new_pid_is_registered() -> None:
    fleet = a_fleet(2)
    fleet.registered = {registration(100), registration(101)}
    rollout = a_rollout(fleet)
    fleet.look(rollout)
    assert not rollout.needs_registrations(fleet.members)
    fleet.cycle(rollout, "bar:w_00")
    assert rollout.needs_registrations(fleet.members)
    assert fleet.look(rollout) == NOTHING
    fleet.registered.add(registration(901, host="web2"))  # the same pid on another host
    assert fleet.look(rollout) == NOTHING
    fleet.registered.add(registration(901))
    assert fleet.look(rollout) == (("bar:w_01",), ())


def test_rollout__a_process_that_no_job_server_knew_needs_none() -> None:
    fleet = a_fleet(2)
    fleet.registered = {registration(101)}
    rollout = a_rollout(fleet)
    fleet.look(rollout)
    fleet.cycle(rollout, "bar:w_00")
    assert not rollout.needs_registrations(fleet.members)
    assert fleet.look(rollout) == (("bar:w_01",), ())


def test_rollout__one_that_runs_but_is_not_registered_is_away() -> None:
    fleet = a_fleet(2)
    fleet.registered = {registration(100)}
    rollout = a_rollout(fleet, timeout=5, max_unavailable=WAVE_OF_2)
    fleet.look(rollout)
    fleet.cycle(rollout, "bar:w_00")
    assert fleet.look(rollout) == NOTHING  # else none of the program would serve
    fleet.now += 7
    fleet.look(rollout)
    assert rollout.result().failed == (
        ProcessFailed(
            name="bar:w_00",
            state=State.RUNNING,
            reason="it is not registered at a job server after 5 s",
        ),
    )


def test_rollout__a_killed_job_is_reported_and_makes_it_fail() -> None:
    fleet = a_fleet(1)
    rollout = a_rollout(fleet, limits={"bar:w_00": Limits(stopwaitsecs=8)})
    fleet.look(rollout)
    fleet.now += 8.5
    fleet.stopped("bar:w_00", exitstatus=-1)
    fleet.look(rollout)
    fleet.up("bar:w_00")
    fleet.look(rollout)
    result = rollout.result()
    assert result.killed == (ProcessKilled(name="bar:w_00", seconds=8.5),)
    assert len(result.restarted) == 1
    assert not result.ok


def test_rollout__a_quick_death_by_the_stop_signal_is_no_kill() -> None:
    fleet = a_fleet(1)
    rollout = a_rollout(fleet, limits={"bar:w_00": Limits(stopwaitsecs=8)})
    fleet.look(rollout)
    fleet.now += 0.2
    fleet.stopped("bar:w_00", exitstatus=-1)
    fleet.look(rollout)
    fleet.up("bar:w_00")
    fleet.look(rollout)
    assert rollout.result().ok


def test_rollout__one_that_died_before_it_was_told_to_stop_and_was_respawned() -> None:
    fleet = a_fleet(2)
    rollout = a_rollout(fleet)
    fleet.look(rollout)
    fleet.put("bar:w_00", State.STARTING, pid=555)
    assert fleet.look(rollout) == NOTHING
    fleet.up("bar:w_00")
    assert fleet.look(rollout) == (("bar:w_01",), ())
    assert rollout.result().restarted[0].pid_after == 555


def test_rollout__one_that_vanishes_fails() -> None:
    fleet = a_fleet(2)
    rollout = a_rollout(fleet)
    fleet.look(rollout)
    del fleet.members[0]
    fleet.look(rollout)
    assert "removed from supervisord" in rollout.result().failed[0].reason


def test_rollout__one_that_vanishes_untouched_is_reported() -> None:
    fleet = a_fleet(3)
    rollout = a_rollout(fleet)
    fleet.look(rollout)
    del fleet.members[2]
    fleet.cycle(rollout, "bar:w_00")
    fleet.look(rollout)
    assert ProcessDown(name="bar:w_02", state=State.UNKNOWN, detail="it is gone") in fleet.events


def test_rollout__a_refused_start_is_a_failure_with_supervisords_words() -> None:
    fleet = a_fleet(2)
    rollout = a_rollout(fleet)
    fleet.look(rollout)
    fleet.stopped("bar:w_00")
    fleet.look(rollout)
    events = rollout.refused([Refusal(name="bar:w_00", code=20, text="NO_FILE: /x")])
    assert events[0] == ProcessFailed(
        name="bar:w_00", state=State.STOPPED, reason="supervisord refused: NO_FILE: /x"
    )
    assert rollout.is_done


def test_rollout__interrupted_starts_again_what_was_stopped_and_no_more() -> None:
    fleet = a_fleet(4)
    rollout = a_rollout(fleet, max_unavailable=WAVE_OF_2)
    fleet.look(rollout)
    fleet.stopped("bar:w_00")
    rollout.halt("interrupted by SIGINT")
    assert fleet.look(rollout) == ((), ("bar:w_00",))
    assert Halted(reason="interrupted by SIGINT", waiting_for=("bar:w_00", "bar:w_01")) in (
        fleet.events
    )
    assert fleet.look(rollout) == NOTHING
    assert rollout.under_way == ("bar:w_01",)
    fleet.stopped("bar:w_01")
    assert fleet.look(rollout) == ((), ("bar:w_01",))
    fleet.look(rollout)
    assert rollout.is_done
    result = rollout.result()
    assert [process.name for process in result.resumed] == ["bar:w_00", "bar:w_01"]
    assert result.untouched == ("bar:w_02", "bar:w_03")
    assert not result.ok


def test_rollout__interrupted_twice_says_again_what_it_waits_for() -> None:
    fleet = a_fleet(2)
    rollout = a_rollout(fleet)
    fleet.look(rollout)
    rollout.halt("interrupted by SIGINT")
    rollout.halt("interrupted by SIGTERM")
    fleet.look(rollout)
    halts = [event for event in fleet.events if isinstance(event, Halted)]
    assert [halt.waiting_for for halt in halts] == [("bar:w_00",), ("bar:w_00",)]
    assert rollout.result().halted == "interrupted by SIGINT"


def test_rollout__a_start_that_was_lost_is_sent_again_while_putting_back() -> None:
    fleet = a_fleet(2)
    rollout = a_rollout(fleet)
    fleet.look(rollout)
    fleet.stopped("bar:w_00")
    fleet.look(rollout)
    fleet.put("bar:w_00", State.STOPPED, pid=0)  # the request never arrived
    rollout.halt("timed out")
    assert fleet.look(rollout) == ((), ("bar:w_00",))
    fleet.look(rollout)
    assert isinstance(fleet.events[-1], ProcessStarted)
    assert rollout.is_done


def test_rollout__a_stop_that_was_lost_is_forgotten_while_putting_back() -> None:
    fleet = a_fleet(2)
    rollout = a_rollout(fleet)
    fleet.look(rollout)
    fleet.put("bar:w_00", State.RUNNING)
    rollout.halt("timed out")
    fleet.look(rollout)
    assert not rollout.is_done  # it may still be under way
    fleet.now += 3
    fleet.look(rollout)
    assert rollout.is_done
    assert rollout.result().untouched == ("bar:w_00", "bar:w_01")


def test_rollout__one_process_of_a_group() -> None:
    fleet = a_fleet(4)
    rollout = a_rollout(fleet, ["bar:w_02"])
    assert fleet.look(rollout) == (("bar:w_02",), ())
    fleet.cycle(rollout, "bar:w_02")
    fleet.look(rollout)
    assert rollout.is_done
    assert rollout.result().ok


def test_rollout__other_groups_are_no_business_of_it() -> None:
    fleet = a_fleet(2)
    fleet.members += [
        replace(process, state=State.FATAL) for process in running("foo", "w_00", "w_01")
    ]
    assert fleet.look(a_rollout(fleet, ["bar:w_00"])) == (("bar:w_00",), ())


def test_rollout__result_before_the_first_look() -> None:
    rollout = Rollout("bar", ["bar:w_00"])
    rollout.halt("interrupted by SIGHUP")
    assert rollout.is_done
    assert rollout.result().untouched == ("bar:w_00",)


def test_process__value_of_supervisords_struct() -> None:
    info = {
        "group": "bar", "name": "w_00", "statename": "BACKOFF", "state": 30, "pid": 0, "start": 1,
        "stop": 2, "now": 3, "exitstatus": 0, "spawnerr": "no", "description": "no", "logfile": "",
    }  # fmt: skip
    assert Process.from_info(info) == Process(
        group="bar", name="w_00", state=State.BACKOFF, start=1, stop=2, now=3,
        spawnerr="no", description="no",
    )  # fmt: skip
