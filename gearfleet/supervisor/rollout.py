"""The rolling restart of one group.

Supervisor's own `restart` stops a whole group before it starts anything. This
one takes a few processes at a time: tells them to stop (a worker finishes its
job first), starts them when they have stopped, and takes the next one only when
they serve again, that is, when they are RUNNING and, if they were known to a
job server before, known there again. Those that have no job in hand go first. A pool stays: it is told to take
new code, and the next one goes when all of its workers are new. Three rules hold
at every moment:

- At most `wave` processes of the group are away, counting those that were down
  from the start.
- A program's last running process is never taken, unless it is its only one.
- After a failure or an interruption nothing more is taken, and what was stopped
  is started again.
"""

from __future__ import annotations

import time
from math import ceil
from typing import TYPE_CHECKING

from gearfleet.supervisor.events import (
    Halted,
    PoolLeft,
    PoolRenewing,
    ProcessBack,
    ProcessDown,
    ProcessFailed,
    ProcessKilled,
    ProcessStarted,
    ProcessStopping,
    RolloutResult,
    RolloutStarted,
)
from gearfleet.supervisor.flights import Flight
from gearfleet.supervisor.machine import (
    START_TIMEOUT,
    STOP_MARGIN,
    History,
    Step,
    start_failure,
    was_killed,
)
from gearfleet.supervisor.pools import Evidence, Members, Pools, is_busy, killed_among
from gearfleet.supervisor.processes import STOPPED_STATES, Limits, Process, State
from gearfleet.supervisor.waves import DEFAULT_MAX_UNAVAILABLE, blockage, next_wave, singles

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gearfleet.supervisor.events import Event
    from gearfleet.supervisor.machine import Clock
    from gearfleet.supervisor.processes import Refusal
    from gearfleet.supervisor.waves import MaxUnavailable

#: A stop that was sent shows as STOPPING at once; a process still RUNNING this
#: much later was never told, because the request was lost.
UNTOLD_SECONDS = 2.0


class Rollout:
    """The restart of the processes `names` of one group, as a `Machine`.

    Args:
        group: the group; the wave is a share of all its processes.
        names: those to restart, in this order.
        max_unavailable: how many processes of the group may be away.
        pause: how many seconds nothing is taken after a process has come back.
        timeout: how many seconds a process may take, beyond its startsecs, from
            its start until it is RUNNING and registered.
        limits: startsecs and stopwaitsecs by process, as far as they are known.
        before: what is known of the workers before anything is touched.
        host: of supervisord, as the job servers show it; empty where nobody knows.
        current: processes that are left out, because they run the new release already.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        group: str,
        names: Iterable[str],
        *,
        max_unavailable: MaxUnavailable = DEFAULT_MAX_UNAVAILABLE,
        pause: float = 0.0,
        timeout: float = START_TIMEOUT,
        limits: Mapping[str, Limits] | None = None,
        before: Evidence | None = None,
        host: str = "",
        current: Sequence[str] = (),
        clock: Clock = time.monotonic,
    ) -> None:
        self.group = group
        self._todo = list(names)
        self._max_unavailable = max_unavailable
        self._pause = pause
        self._timeout = timeout
        self._limits = limits or {}
        self._evidence = before or Evidence()
        self._current = tuple(current)
        self._clock = clock
        self._pools = Pools(host=host, limits=self._limits)
        self._processes: Sequence[Process] = ()
        self._flights: dict[str, Flight] = {}
        self._hosts: dict[str, frozenset[str]] = {}
        self._pool_names: frozenset[str] = frozenset()
        self._rested_at = 0.0
        self._began: float | None = None
        self._total = self._wave = self._lowest = 0
        self._halted = ""
        self._is_interrupted = False
        self._history = History()

    @property
    def is_done(self) -> bool:
        return not self._flights and bool(self._halted or not self._todo)

    @property
    def under_way(self) -> tuple[str, ...]:
        return tuple(self._flights)

    def needs_registrations(self, processes: Sequence[Process]) -> bool:
        """Return whether a process runs again that a job server knew before, or a pool is due."""
        if any(name in self._pool_names for name in (*self._flights, *self._todo)):
            return True
        flights = ((self._flights.get(p.namespec), p) for p in processes if p.is_running)
        return any(
            flight and flight.started is not None and self._hosts[process.namespec]
            for flight, process in flights
        )

    def needs_boards(self) -> bool:
        """Return whether somebody is to be chosen, or a pool is being renewed."""
        flights = self._flights.values()
        has_room = len(flights) < self._wave or any(each.started is not None for each in flights)
        return (bool(self._todo) and has_room) or any(each.pool for each in flights)

    def observe(self, processes: Sequence[Process], evidence: Evidence | None = None) -> Step:
        """Take note of the group's state; return what to do and to report."""
        members = {p.namespec: p for p in processes if p.group == self.group}
        self._processes = processes
        if self._began is None:
            self._begin(members)  # by what was known before, a moment ago
        else:
            self._evidence = evidence or Evidence()
        self._lowest = min(self._lowest, sum(p.is_running for p in members.values()))
        start = [
            flight.name
            for flight in list(self._flights.values())
            if self._wants_start(flight, members.get(flight.name))
        ]
        stop, renew = ((), ()) if self._halted else self._take(members)
        return Step(stop=stop, start=tuple(start), renew=renew, events=self._history.news())

    def refused(self, refusals: Iterable[Refusal]) -> tuple[Event, ...]:
        """Count the processes that supervisord would not stop or start as failed."""
        for refusal in refusals:
            if flight := self._flights.get(refusal.name):
                state = State.RUNNING if flight.started is None else State.STOPPED
                self._fail(flight, state, f"supervisord refused: {refusal.text}")
        return self._history.news()

    def halt(self, reason: str) -> None:
        """Take nothing more, start again what was stopped, and do not wait until it serves."""
        self._is_interrupted = True
        self._halt(reason)

    def result(self) -> RolloutResult:
        """Return what came of it so far."""
        began = self._clock() if self._began is None else self._began
        return RolloutResult(
            group=self.group,
            restarted=self._history.past(ProcessBack),
            failed=self._history.past(ProcessFailed),
            killed=self._history.past(ProcessKilled),
            down=self._history.past(ProcessDown),
            resumed=self._history.past(ProcessStarted),
            renewing=tuple(left.name for left in self._history.past(PoolLeft)),
            current=self._current,
            untouched=tuple(self._todo),
            total=self._total,
            lowest_running=self._lowest,
            seconds=self._clock() - began,
            halted=self._halted,
        )

    # Beginning

    def _begin(self, members: Mapping[str, Process]) -> None:
        self._began = self._clock()
        self._total = self._lowest = len(members)
        self._wave = self._max_unavailable.of(len(members))
        self._hosts = {name: self._hosts_of(process) for name, process in members.items()}
        alone = singles(members.values())
        known = [members[name] for name in self._todo if name in members]
        running = [process.namespec for process in known if process.is_running]
        awaited = [process.namespec for process in known if process.is_unsettled]
        self._pool_names = frozenset(p.namespec for p in known if self._members_of(p))
        self._history.add(
            RolloutStarted(
                group=self.group,
                names=tuple(running),
                awaited=tuple(awaited),
                wave=self._wave,
                singles=tuple(
                    name
                    for name in running
                    if members[name].program in alone and name not in self._pool_names
                ),
                pools=tuple(name for name in running if name in self._pool_names),
                at_least=ceil(len(running + awaited) / self._wave)
                * self._longest_start(running + awaited),
            )
        )

    def _hosts_of(self, process: Process) -> frozenset[str]:
        """Return the hosts from which the process is registered: one, or none.

        XML-RPC does not tell the host's name, and pids are unique on a host only.
        """
        registered = self._evidence.registered
        return frozenset(r.host for r in registered if process.pid and r.pid == process.pid)

    def _members_of(self, process: Process) -> Members | None:
        return self._pools.members(process, self._processes, self._evidence)

    def _longest_start(self, names: Iterable[str]) -> float:
        return max((self._limits_of(name).startsecs for name in names), default=0.0)

    def _limits_of(self, name: str) -> Limits:
        return self._limits.get(name, Limits())

    # Taking

    def _take(self, members: Mapping[str, Process]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return which to stop, and which to renew, because they are pools."""
        self._leave_down(members)
        if self._clock() < self._rested_at:
            return (), ()
        group = list(members.values())
        taken = next_wave(
            group,
            todo=self._idle_first(members),
            away=self._flights,
            wave=self._wave,
            pools=self._pool_names,
        )
        pools = [process.namespec for process in taken if self._take_off(process)]
        is_stuck = not (taken or self._flights or any(p.is_unsettled for p in group))
        if self._todo and is_stuck:
            self._halt(blockage(group, todo=self._todo, wave=self._wave))
        away = [process.namespec for process in taken if process.namespec in self._flights]
        return tuple(name for name in away if name not in pools), tuple(pools)

    def _idle_first(self, members: Mapping[str, Process]) -> list[str]:
        seen = self._evidence.seen
        return sorted(self._todo, key=lambda name: is_busy(members[name], seen))

    def _take_off(self, process: Process) -> bool:
        """Take a process, if it may go now; return whether it is a pool that is renewed."""
        name, now = process.namespec, self._clock()
        workers = self._members_of(process) if name in self._pool_names else None
        if workers is None and name in self._pool_names:
            self._pool_names -= {name}  # nobody sees its workers any more: like any other, then
            return False
        if workers and workers.pools > 1 and self._is_renewing(process.program):
            return False  # nobody could tell whose the new workers are
        self._todo.remove(name)
        if workers is None:
            self._flights[name] = Flight(before=process, since=now)
            self._history.add(ProcessStopping(name=name, pid=process.pid))
            return False
        self._flights[name] = Flight.of_pool(process, workers, now)
        count = len(workers.pids) // workers.pools
        self._history.add(PoolRenewing(name=name, pid=process.pid, workers=count))
        return True

    def _is_renewing(self, program: str) -> bool:
        return any(each.pool and each.before.program == program for each in self._flights.values())

    def _leave_down(self, members: Mapping[str, Process]) -> None:
        """Strike those from the list that are down; what the administrator stopped stays so."""
        for name in list(self._todo):
            process = members.get(name)
            if process is None:
                self._strike(ProcessDown(name=name, state=State.UNKNOWN, detail="it is gone"))
            elif not (process.is_running or process.is_unsettled):
                self._strike(ProcessDown(name=name, state=process.state, detail=process.spawnerr))

    def _strike(self, down: ProcessDown) -> None:
        self._todo.remove(down.name)
        self._history.add(down)

    # Under way

    def _wants_start(self, flight: Flight, process: Process | None) -> bool:
        if process is None:
            self._fail(flight, State.UNKNOWN, "it was removed from supervisord meanwhile")
            return False
        if flight.started is None:
            return self._has_stopped(flight, process)
        if flight.pool and process.pid != flight.before.pid:
            flight.land_elsewhere(self._clock())
        if flight.pool:
            self._follow_pool(flight, process)
            return False
        return self._must_start_again(flight, process)

    def _follow_pool(self, flight: Flight, process: Process) -> None:
        assert flight.pool is not None
        now = self._clock()
        workers = self._members_of(process) or Members(pools=flight.pool.pools)
        flight.note(workers, now)
        limits = self._limits_of(flight.name)
        if workers.are_renewed(flight.pool):
            self._note_killed_workers(flight, process, now - flight.since)
            self._land(flight, process, workers=len(workers.serving) // workers.pools)
        elif self._is_interrupted:
            del self._flights[flight.name]
            self._history.add(PoolLeft(name=flight.name))
        elif late := flight.lateness_of_pool(now, timeout=self._timeout, limits=limits):
            self._fail(flight, process.state, late)

    def _note_killed_workers(self, flight: Flight, process: Process, seconds: float) -> None:
        assert flight.pool is not None
        if killed_among(flight.pool.pids, process, self._evidence.seen):
            self._history.add(ProcessKilled(name=flight.name, seconds=seconds))

    def _has_stopped(self, flight: Flight, process: Process) -> bool:
        now = self._clock()
        seconds = now - flight.since
        stopwaitsecs = self._limits_of(flight.name).stopwaitsecs
        if process.state in STOPPED_STATES:
            flight.started = now
            self._note_kill(flight, process, seconds=seconds, stopwaitsecs=stopwaitsecs)
            return True
        if process.pid != flight.before.pid:
            # It ended by itself before it was told, and supervisord respawned it.
            flight.started = now
        elif seconds > stopwaitsecs + STOP_MARGIN:
            self._fail(flight, process.state, f"it has not stopped for {seconds:.0f} s")
        elif self._is_interrupted and process.is_running and seconds > UNTOLD_SECONDS:
            self._release(flight)
        return False

    def _note_kill(
        self, flight: Flight, process: Process, *, seconds: float, stopwaitsecs: float
    ) -> None:
        if was_killed(process, seconds=seconds, stopwaitsecs=stopwaitsecs):
            self._history.add(ProcessKilled(name=flight.name, seconds=seconds))

    def _release(self, flight: Flight) -> None:
        del self._flights[flight.name]
        self._todo.insert(0, flight.name)

    def _must_start_again(self, flight: Flight, process: Process) -> bool:
        assert flight.started is not None
        late = self._clock() - flight.started > (
            self._timeout + self._limits_of(flight.name).startsecs
        )
        failure = start_failure(process)
        if self._halted and process.state is State.STOPPED and not late:
            return True  # the start was lost with whatever halted the rollout
        if failure:
            self._fail(flight, process.state, failure)
        elif process.is_running and self._is_known(process):
            self._land(flight, process)
        elif self._is_interrupted:
            self._resume(flight, process)
        elif late:
            self._fail(flight, process.state, self._lateness(process))
        return False

    def _is_known(self, process: Process) -> bool:
        hosts = self._hosts[process.namespec]
        return not hosts or any(
            each.pid == process.pid and each.host in hosts for each in self._evidence.registered
        )

    def _lateness(self, process: Process) -> str:
        if process.is_running:
            return f"it is not registered at a job server after {self._timeout:g} s"
        return f"it does not run after {self._timeout:g} s"

    # Ending

    def _land(self, flight: Flight, process: Process, *, workers: int = 0) -> None:
        del self._flights[flight.name]
        self._rested_at = self._clock() + self._pause
        self._history.add(
            ProcessBack(
                name=flight.name,
                pid_before=flight.before.pid,
                pid_after=process.pid,
                seconds=self._clock() - flight.since,
                workers=workers,
            )
        )

    def _resume(self, flight: Flight, process: Process) -> None:
        del self._flights[flight.name]
        seconds = self._clock() - flight.since
        self._history.add(ProcessStarted(name=flight.name, pid=process.pid, seconds=seconds))

    def _fail(self, flight: Flight, state: State, reason: str) -> None:
        del self._flights[flight.name]
        self._history.add(ProcessFailed(name=flight.name, state=state, reason=reason))
        if not self._halted:
            self._halt(f"{flight.name} did not come back")

    def _halt(self, reason: str) -> None:
        self._halted = self._halted or reason
        waiting = tuple(name for name, flight in self._flights.items() if flight.started is None)
        self._history.add(Halted(reason=reason, waiting_for=waiting))
