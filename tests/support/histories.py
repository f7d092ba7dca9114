"""A supervisord of values, for histories: what a machine wants happens when the test says so."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from gearfleet.supervisor.pools import Evidence
from gearfleet.supervisor.processes import Process, State

if TYPE_CHECKING:
    from gearfleet.supervisor.events import Event
    from gearfleet.supervisor.machine import Machine
    from gearfleet.supervisor.registrations import Registration
    from gearfleet.supervisor.workers import WorkerSeen


def running(group: str, *names: str) -> list[Process]:
    """Return RUNNING processes with pids 100, 101, ..."""
    return [
        Process(group=group, name=name, state=State.RUNNING, pid=100 + number)
        for number, name in enumerate(names)
    ]


@dataclass
class Fleet:
    """Processes, a clock, and a machine that looks at them."""

    members: list[Process]
    now: float = 0.0
    registered: set[Registration] = field(default_factory=set)
    events: list[Event] = field(default_factory=list)
    stops: list[str] = field(default_factory=list)
    starts: list[str] = field(default_factory=list)
    renewals: list[str] = field(default_factory=list)
    seen: list[WorkerSeen] = field(default_factory=list)
    next_pid: int = 900

    @property
    def evidence(self) -> Evidence:
        return Evidence(registered=frozenset(self.registered), seen=tuple(self.seen))

    def clock(self) -> float:
        return self.now

    def __getitem__(self, name: str) -> Process:
        return next(process for process in self.members if process.namespec == name)

    def put(self, name: str, state: State, **changes: object) -> None:
        """Let a process be in `state` from now on."""
        at = next(i for i, process in enumerate(self.members) if process.namespec == name)
        self.members[at] = replace(self.members[at], state=state, **changes)  # type: ignore[arg-type]

    def look(self, machine: Machine) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Show the machine the present state, do what it wants, return what that was."""
        step = machine.observe(self.members, self.evidence)
        self.events += step.events
        self.stops += step.stop
        self.starts += step.start
        self.renewals += step.renew
        for name in step.stop:
            self.put(name, State.STOPPING)
        for name in step.start:
            self.next_pid += 1
            self.put(name, State.STARTING, pid=self.next_pid)
        return step.stop, step.start

    def stopped(self, *names: str, exitstatus: int = 0) -> None:
        """Let processes that are STOPPING end."""
        for name in names:
            assert self[name].state is State.STOPPING
            self.put(name, State.STOPPED, pid=0, exitstatus=exitstatus)

    def up(self, *names: str) -> None:
        """Let processes that are STARTING run."""
        for name in names:
            assert self[name].state is State.STARTING
            self.put(name, State.RUNNING)

    def cycle(self, machine: Machine, *names: str) -> None:
        """Take processes that were told to stop all the way to RUNNING."""
        self.stopped(*names)
        self.look(machine)
        self.up(*names)
