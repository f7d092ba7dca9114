"""What the rolling restart makes of the workers behind the processes: who is idle, whose pool."""

from __future__ import annotations

import pytest

from gearfleet.supervisor import report
from gearfleet.supervisor.events import PoolLeft, PoolRenewing, ProcessBack, RolloutStarted
from gearfleet.supervisor.pools import Evidence, Members, names_a_pool, runs
from gearfleet.supervisor.processes import Limits, Process, State
from gearfleet.supervisor.registrations import Registration
from gearfleet.supervisor.rollout import Rollout
from gearfleet.supervisor.waves import MaxUnavailable
from gearfleet.supervisor.workers import WorkerSeen
from tests.support.histories import Fleet, running

POOL = "gearfleet worker -a shop -n w --processes 2"


def seen(process: str, pid: int, owner: int | None = None, **values: object) -> WorkerSeen:
    owner = pid if owner is None else owner
    return WorkerSeen(process=process, pid=pid, owner=owner, **values)  # type: ignore[arg-type]


def a_rollout(fleet: Fleet, **options: object) -> Rollout:
    names = [process.namespec for process in fleet.members]
    before = fleet.evidence
    return Rollout("bar", names, before=before, clock=fleet.clock, **options)  # type: ignore[arg-type]


# Idle first


def test_rollout__takes_those_first_that_have_no_job_in_hand() -> None:
    fleet = Fleet(running("bar", "w_00", "w_01", "w_02"))
    fleet.seen = [
        seen("w_00", 100, state="busy", tasks=("shop.resize",)),
        seen("w_01", 101),
        seen("w_02", 102, state="busy", tasks=("shop.resize",)),
    ]
    rollout = a_rollout(fleet)
    assert fleet.look(rollout)[0] == ("bar:w_01",)
    assert not rollout.needs_boards()  # nobody is chosen while the wave is full
    fleet.seen[2] = seen("w_02", 102)
    fleet.cycle(rollout, "bar:w_01")
    assert rollout.needs_boards()  # for with it comes back, the next one is chosen
    assert fleet.look(rollout)[0] == ("bar:w_02",)


def test_rollout__is_not_misled_by_another_process_with_the_same_pid() -> None:
    fleet = Fleet(running("bar", "w_00", "w_01"))
    fleet.seen = [seen("x_00", 100, state="busy", tasks=("shop.resize",))]
    assert fleet.look(a_rollout(fleet))[0] == ("bar:w_00",)


# A pause between waves


def test_rollout__takes_nothing_for_as_long_as_the_pause() -> None:
    fleet = Fleet(running("bar", "w_00", "w_01"))
    rollout = a_rollout(fleet, pause=10)
    fleet.look(rollout)
    fleet.cycle(rollout, "bar:w_00")
    assert fleet.look(rollout)[0] == ()
    assert not rollout.is_done
    fleet.now += 9
    assert fleet.look(rollout)[0] == ()
    fleet.now += 1
    assert fleet.look(rollout)[0] == ("bar:w_01",)
    fleet.cycle(rollout, "bar:w_01")
    fleet.look(rollout)
    assert rollout.is_done  # nothing is left to wait for


# Pools on this host, seen by their boards


def a_pool(fleet: Fleet, *pids: int, **values: object) -> None:
    fleet.seen = [seen("w_00", pid, 100, **values) for pid in pids]


def test_pool__is_renewed_and_keeps_its_pid() -> None:
    fleet = Fleet(running("bar", "w_00"))
    a_pool(fleet, 201, 202)
    rollout = a_rollout(fleet)
    assert fleet.look(rollout) == ((), ())
    assert fleet.renewals == ["bar:w_00"]
    started, renewing = fleet.events
    assert isinstance(started, RolloutStarted)
    assert (started.singles, started.pools) == ((), ("bar:w_00",))
    assert renewing == PoolRenewing(name="bar:w_00", pid=100, workers=2)

    a_pool(fleet, 201, 202, 203)  # the new one is there, the old one finishes its job
    fleet.look(rollout)
    a_pool(fleet, 202, 203, 204)
    fleet.look(rollout)
    a_pool(fleet, 203, 204)
    fleet.seen[1] = seen("w_00", 204, 100, state="starting")
    fleet.look(rollout)
    assert not rollout.is_done
    a_pool(fleet, 203, 204)
    fleet.look(rollout)
    assert rollout.is_done
    result = rollout.result()
    assert result.ok
    assert result.restarted == (
        ProcessBack(name="bar:w_00", pid_before=100, pid_after=100, seconds=0, workers=2),
    )
    said = report.text(result.restarted[0])
    assert said == "bar:w_00: renewed (pid 100 stays, 2 new workers, 0.0 s)"
    assert fleet.stops == fleet.starts == []


def test_pool__may_go_although_it_is_the_last_one_that_runs() -> None:
    fleet = Fleet(running("bar", "w_00", "w_01"))
    fleet.put("bar:w_01", State.STOPPED, pid=0)
    a_pool(fleet, 201)
    fleet.look(a_rollout(fleet, max_unavailable=MaxUnavailable(count=2)))
    assert fleet.renewals == ["bar:w_00"]


def test_pool__whose_workers_are_not_seen_any_more_is_not_taken_as_the_last_one() -> None:
    fleet = Fleet(running("bar", "w_00", "w_01"))
    fleet.seen = [seen("w_00", 201, 100), seen("w_01", 301, 101)]
    rollout = a_rollout(fleet)
    fleet.look(rollout)
    fleet.seen = [seen("w_00", 202, 100)]
    fleet.look(rollout)  # the first is back; of the second nobody sees a worker
    fleet.put("bar:w_00", State.STOPPED, pid=0)
    assert fleet.look(rollout) == ((), ())
    assert rollout.is_done
    assert rollout.result().untouched == ("bar:w_01",)


def test_pool__whose_new_code_does_not_import_fails_after_a_while() -> None:
    fleet = Fleet(running("bar", "w_00"))
    a_pool(fleet, 201, 202)
    rollout = a_rollout(fleet, timeout=30, limits={"bar:w_00": Limits(startsecs=2)})
    fleet.look(rollout)
    fleet.now += 32
    fleet.look(rollout)
    assert not rollout.is_done
    fleet.now += 1
    fleet.look(rollout)
    (failed,) = rollout.result().failed
    assert failed.state is State.RUNNING
    assert "it keeps the code that it has when the new one does not import" in failed.reason


def test_pool__has_the_time_of_a_job_for_each_worker_that_is_replaced() -> None:
    fleet = Fleet(running("bar", "w_00"))
    a_pool(fleet, 201, 202)
    limits = {"bar:w_00": Limits(stopwaitsecs=600)}
    rollout = a_rollout(fleet, timeout=30, limits=limits)
    fleet.look(rollout)
    for pids in ((201, 202, 203), (202, 203, 204)):
        a_pool(fleet, *pids)
        fleet.look(rollout)
        fleet.now += 600
        fleet.look(rollout)
        assert not rollout.is_done
    a_pool(fleet, 203, 204)
    fleet.look(rollout)
    assert rollout.result().ok


def test_pool__interrupted_goes_on_by_itself() -> None:
    fleet = Fleet(running("bar", "w_00", "w_01"))
    fleet.seen = [seen("w_00", 201, 100), seen("w_01", 301, 101)]
    rollout = a_rollout(fleet)
    fleet.look(rollout)
    rollout.halt("interrupted by SIGINT")
    fleet.look(rollout)
    assert rollout.is_done
    result = rollout.result()
    assert result.renewing == ("bar:w_00",)
    assert result.untouched == ("bar:w_01",)
    assert PoolLeft(name="bar:w_00") in fleet.events


def test_pool__that_ends_meanwhile_is_awaited_like_any_process() -> None:
    fleet = Fleet(running("bar", "w_00"))
    a_pool(fleet, 201)
    rollout = a_rollout(fleet)
    fleet.look(rollout)
    fleet.seen = []
    fleet.put("bar:w_00", State.BACKOFF, pid=0, spawnerr="Exited too quickly")
    fleet.look(rollout)
    (failed,) = rollout.result().failed
    assert failed.reason == "Exited too quickly"


def test_pool__worker_that_was_killed_makes_it_a_failure() -> None:
    fleet = Fleet(running("bar", "w_00"))
    a_pool(fleet, 201)
    rollout = a_rollout(fleet)
    fleet.look(rollout)
    fleet.seen = [seen("w_00", 202, 100), seen("w_00", 201, 0, was_killed=True)]
    fleet.now += 70
    fleet.look(rollout)
    result = rollout.result()
    assert [killed.name for killed in result.killed] == ["bar:w_00"]
    assert not result.ok


# Pools elsewhere, seen by the job servers


def register(fleet: Fleet, *pids: int, host: str = "web1") -> None:
    fleet.registered = {Registration(host=host, program="w", pid=pid) for pid in pids}


@pytest.mark.parametrize(
    "command",
    [POOL, "gearfleet worker -a shop -n w", "manage.py gearman_worker"],  # by GEARFLEET_PROCESSES
)
def test_pool__elsewhere_is_renewed_when_the_job_servers_know_new_workers_only(
    command: str,
) -> None:
    fleet = Fleet(running("bar", "w_00"))
    register(fleet, 201, 202)
    limits = {"bar:w_00": Limits(command=command)}
    rollout = a_rollout(fleet, host="web1", limits=limits)
    fleet.look(rollout)
    assert fleet.renewals == ["bar:w_00"]
    assert rollout.needs_registrations(fleet.members)
    register(fleet, 202, 203, 204)
    fleet.look(rollout)
    assert not rollout.is_done
    register(fleet, 203, 204)
    fleet.look(rollout)
    assert rollout.result().ok


def test_pool__elsewhere_goes_alone_because_nobody_tells_whose_a_worker_is() -> None:
    fleet = Fleet(running("bar", "w_00", "w_01", "w_02", "w_03"))
    register(fleet, *range(201, 209))
    limits = {process.namespec: Limits(command=POOL) for process in fleet.members}
    wave = MaxUnavailable(count=2)
    rollout = a_rollout(fleet, host="web1", limits=limits, max_unavailable=wave)
    fleet.look(rollout)
    assert fleet.renewals == ["bar:w_00"]
    register(fleet, *range(203, 211))
    fleet.look(rollout)
    fleet.look(rollout)
    assert fleet.renewals == ["bar:w_00", "bar:w_01"]


@pytest.mark.parametrize(
    ("host", "command", "registered"),
    [
        ("web2", POOL, (201,)),  # workers of another host
        ("", POOL, (201,)),  # whose host nobody knows
        ("web1", "gearfleet worker -a shop -n w", (100, 201)),  # the other was started by hand
        ("web1", "/srv/bin/foreman", (201,)),
        ("web1", POOL, ()),
    ],
)
def test_pool__that_nobody_sees_is_stopped_and_started(
    host: str, command: str, registered: tuple[int, ...]
) -> None:
    fleet = Fleet(running("bar", "w_00"))
    register(fleet, *registered)
    limits = {"bar:w_00": Limits(command=command)}
    assert fleet.look(a_rollout(fleet, host=host, limits=limits))[0] == ("bar:w_00",)
    assert fleet.renewals == []


def test_pool__is_none_where_a_single_worker_is_seen() -> None:
    """It is not registered yet; one that somebody started by hand is."""
    fleet = Fleet(running("bar", "w_00"))
    register(fleet, 201)
    fleet.seen = [seen("w_00", 100)]
    limits = {"bar:w_00": Limits(command="gearfleet worker -a shop -n w")}
    assert fleet.look(a_rollout(fleet, host="web1", limits=limits))[0] == ("bar:w_00",)


def test_members__of_one_of_two_pools_are_half_of_them() -> None:
    before = Members(pids=frozenset({1, 2, 3, 4}), serving=frozenset({1, 2, 3, 4}), pools=2)
    now = frozenset({3, 4, 5, 6})
    assert Members(pids=now, serving=now, pools=2).are_renewed(before)
    fewer = frozenset({2, 3, 4, 5})
    assert not Members(pids=fewer, serving=fewer, pools=2).are_renewed(before)


@pytest.mark.parametrize(
    ("command", "is_pool"),
    [("x worker -w 4", True), ("x worker -w4", True), ("x worker", False), ("x 'worker", False)],
)
def test_command__of_a_pool(command: str, is_pool: bool) -> None:
    assert names_a_pool(command) is is_pool


# Releases


def test_release__is_that_of_every_worker_behind_a_process() -> None:
    process = Process(group="bar", name="w_00", state=State.RUNNING, pid=100)

    def is_current(*workers: WorkerSeen, registered: tuple[Registration, ...] = ()) -> bool:
        known = Evidence(seen=workers, registered=frozenset(registered))
        return runs(process, known, "v2", host="web1")

    old, new = seen("w_00", 201, 100, release="v1"), seen("w_00", 202, 100, release="v2")
    assert is_current(new)
    assert not is_current(old, new)
    assert not is_current()  # nobody knows

    def registered(release: str, host: str = "web1", is_cut: bool = False) -> Registration:
        return Registration(host=host, program="w", pid=100, release=release, is_cut=is_cut)

    assert is_current(registered=(registered("v2"),))
    assert not is_current(registered=(registered("v2", host="web2"),))
    assert not is_current(registered=(registered("v"),))
    assert is_current(registered=(registered("v", is_cut=True),))
    assert not is_current(registered=(registered(""),))
