"""The three rules of the rolling restart, held against random lives of random fleets."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from gearfleet.supervisor.processes import Process, State
from gearfleet.supervisor.rollout import Rollout
from gearfleet.supervisor.waves import MaxUnavailable
from tests.support.histories import Fleet

MOVES: dict[State, list[State]] = {
    State.STOPPING: [State.STOPPING, State.STOPPED],
    State.STARTING: [State.STARTING, State.RUNNING, State.RUNNING, State.RUNNING, State.BACKOFF],
    State.BACKOFF: [State.FATAL],
}

fleets = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from([State.RUNNING] * 6 + [State.STOPPED, State.FATAL, State.STARTING]),
    ),
    min_size=1,
    max_size=12,
)


def build(rows: list[tuple[str, State]]) -> Fleet:
    numbers: Counter[str] = Counter()
    members = []
    for program, state in rows:
        name = f"{program}_{numbers[program]:02}"
        numbers[program] += 1
        pid = 100 + len(members) if state in (State.RUNNING, State.STARTING) else 0
        members.append(Process(group="bar", name=name, state=state, pid=pid))
    return Fleet(members)


def live(fleet: Fleet, chance: Random, stopping: Counter[str]) -> None:
    """Let each process take its next step; supervisord kills after ten seconds."""
    for process in list(fleet.members):
        if process.state not in MOVES:
            continue
        state = chance.choice(MOVES[process.state])
        stopping[process.name] += process.state is State.STOPPING
        if process.state is State.STOPPING and stopping[process.name] > 20:
            state = State.STOPPED
        stays = state in (State.RUNNING, State.STARTING, State.STOPPING)
        fleet.put(process.namespec, state, pid=process.pid if stays else 0)
    fleet.now += 0.5


@settings(max_examples=300, deadline=None)
@given(
    rows=fleets,
    wave=st.integers(1, 6),
    interrupt_at=st.one_of(st.none(), st.integers(0, 8)),
    seed=st.integers(),
)
def test_rollout__rules_hold_at_every_moment(
    rows: list[tuple[str, State]], wave: int, interrupt_at: int | None, seed: int
) -> None:
    fleet = build(rows)
    names = [process.namespec for process in fleet.members]
    rollout = Rollout("bar", names, max_unavailable=MaxUnavailable(count=wave), clock=fleet.clock)
    chance, stopping = Random(seed), Counter[str]()
    sizes = Counter(process.program for process in fleet.members)
    for turn in range(300):
        if turn == interrupt_at:
            rollout.halt("interrupted")
        before = Counter(p.program for p in fleet.members if p.is_running)
        stop, _ = fleet.look(rollout)
        after = Counter(p.program for p in fleet.members if p.is_running)
        for program, size in sizes.items():
            if size > 1 and before[program]:
                assert after[program], f"{program} lost its last running process"
        if stop:
            assert sum(not p.is_running for p in fleet.members) <= wave
        if rollout.is_done:
            break
        live(fleet, chance, stopping)
    assert rollout.is_done, "the rollout hangs"
    result = rollout.result()
    taken = set(fleet.stops)
    assert fleet.stops == [*dict.fromkeys(fleet.stops)], "a process was stopped twice"
    assert not any(fleet[name].state in (State.STOPPED, State.STOPPING) for name in taken)
    accounted = [
        *(event.name for event in (*result.restarted, *result.failed)),
        *(event.name for event in (*result.resumed, *result.down)),
        *result.untouched,
    ]
    assert sorted(accounted) == sorted(names)
    if result.ok:
        assert taken == {back.name for back in result.restarted}
