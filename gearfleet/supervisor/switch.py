"""Stop and start: all processes at once, each seen through to its end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gearfleet.supervisor.events import (
    Halted,
    ProcessFailed,
    ProcessKilled,
    ProcessStarted,
    ProcessStopped,
    ProcessUnchanged,
    SwitchResult,
)
from gearfleet.supervisor.machine import (
    START_TIMEOUT,
    STOP_MARGIN,
    History,
    Step,
    start_failure,
    was_killed,
)
from gearfleet.supervisor.processes import STOPPED_STATES, Limits, Process, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gearfleet.supervisor.events import Event
    from gearfleet.supervisor.machine import Clock
    from gearfleet.supervisor.pools import Evidence
    from gearfleet.supervisor.processes import Refusal


class _Switch:
    """What stopping and starting have in common: names pending, and what was said about them."""

    def __init__(
        self,
        names: Iterable[str],
        *,
        limits: Mapping[str, Limits] | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._pending = dict.fromkeys(names)
        self._limits = limits or {}
        self._clock = clock
        self._began = clock()
        self._told: dict[str, float] = {}
        self._states: dict[str, State] = {}
        self._is_halted = False
        self._history = History()

    @property
    def is_done(self) -> bool:
        return self._is_halted or not self._pending

    @property
    def under_way(self) -> tuple[str, ...]:
        return tuple(self._pending)

    def needs_registrations(self, _processes: Sequence[Process]) -> bool:
        return False

    def needs_boards(self) -> bool:
        return False

    def refused(self, refusals: Iterable[Refusal]) -> tuple[Event, ...]:
        """Count the processes for which supervisord would not do it as failed."""
        for refusal in refusals:
            self._fail(refusal.name, f"supervisord refused: {refusal.text}")
        return self._history.news()

    def halt(self, reason: str) -> None:
        """Wait no longer; supervisord goes on with what it was told."""
        self._is_halted = True
        self._history.add(Halted(reason=reason))

    def _limits_of(self, name: str) -> Limits:
        return self._limits.get(name, Limits())

    def result(self) -> SwitchResult:
        """Return what came of it so far."""
        return SwitchResult(
            changed=(*self._history.past(ProcessStopped), *self._history.past(ProcessStarted)),
            unchanged=self._history.past(ProcessUnchanged),
            failed=self._history.past(ProcessFailed),
            killed=self._history.past(ProcessKilled),
            pending=tuple(self._pending),
            seconds=self._clock() - self._began,
        )

    def _seen(self, processes: Sequence[Process]) -> list[Process]:
        """Return the pending ones; those that are gone have failed."""
        members = {process.namespec: process for process in processes}
        self._states = {name: members[name].state for name in self._pending if name in members}
        for name in self._pending.keys() - members.keys():
            self._fail(name, "it was removed from supervisord meanwhile")
        return [members[name] for name in self._pending]

    def _fail(self, name: str, reason: str) -> None:
        state = self._states.get(name, State.UNKNOWN)
        self._settle(name, ProcessFailed(name=name, state=state, reason=reason))

    def _settle(self, name: str, event: Event) -> None:
        self._pending.pop(name, None)
        self._history.add(event)


class Stopping(_Switch):
    """The stop of the processes `names`, all at the same time; workers finish their jobs.

    Each has until its stopwaitsecs, when supervisord sends SIGKILL, and a little longer.
    """

    def observe(self, processes: Sequence[Process], _evidence: Evidence) -> Step:
        seen = self._seen(processes)
        stop = [process.namespec for process in seen if self._wants_stop(process)]
        return Step(stop=tuple(stop), events=self._history.news())

    def _wants_stop(self, process: Process) -> bool:
        name, now = process.namespec, self._clock()
        if process.state in STOPPED_STATES:
            # What ended by itself may be respawned; the next look tells.
            if not process.is_unsettled:
                self._stopped(process)
            return False
        first = self._told.setdefault(name, now)
        if now - first > self._limits_of(name).stopwaitsecs + STOP_MARGIN:
            self._fail(name, f"it has not stopped for {now - first:.0f} s")
            return False
        return process.state is not State.STOPPING

    def _stopped(self, process: Process) -> None:
        name = process.namespec
        if name not in self._told:
            self._settle(name, ProcessUnchanged(name=name, state=process.state))
            return
        seconds = self._clock() - self._told[name]
        stopwaitsecs = self._limits_of(name).stopwaitsecs
        if was_killed(process, seconds=seconds, stopwaitsecs=stopwaitsecs):
            self._history.add(ProcessKilled(name=name, seconds=seconds))
        self._settle(name, ProcessStopped(name=name, seconds=seconds))


class Starting(_Switch):
    """The start of the processes `names`, all at the same time.

    Each has `timeout` seconds beyond its startsecs.
    """

    def __init__(
        self,
        names: Iterable[str],
        *,
        timeout: float = START_TIMEOUT,
        limits: Mapping[str, Limits] | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        super().__init__(names, limits=limits, clock=clock)
        self._timeout = timeout

    def observe(self, processes: Sequence[Process], _evidence: Evidence) -> Step:
        seen = self._seen(processes)
        start = [process.namespec for process in seen if self._wants_start(process)]
        return Step(start=tuple(start), events=self._history.news())

    def _wants_start(self, process: Process) -> bool:
        name = process.namespec
        if process.is_running:
            self._running(process)
            return False
        if name not in self._told:
            return self._begin(process)
        if failure := start_failure(process):
            self._fail(name, failure)
        elif self._clock() - self._told[name] > self._timeout + self._limits_of(name).startsecs:
            self._fail(name, f"it does not run after {self._timeout:g} s")
        return False

    def _begin(self, process: Process) -> bool:
        if process.state is State.STOPPING:
            return False  # supervisord starts nothing that has not ended yet
        self._told[process.namespec] = self._clock()
        return process.state in STOPPED_STATES

    def _running(self, process: Process) -> None:
        name = process.namespec
        if name not in self._told:
            self._settle(name, ProcessUnchanged(name=name, state=process.state))
            return
        seconds = self._clock() - self._told[name]
        self._settle(name, ProcessStarted(name=name, pid=process.pid, seconds=seconds))
