"""One group on its way to what the configuration says.

Processes that are no longer wanted drain and are dropped. Added ones start at
once. Changed ones are replaced a few at a time, those without a job in hand
first, the next when the one before is RUNNING and, if a job server knew the old
one, known there; and the last running one of a program only if no other can come
up. A process that somebody stopped stays stopped, with its new configuration.

After a failure no further process is taken, and those that had been told to stop
come back as they were. At every moment the group's configuration in supervisord
is that of its processes: so `reread` tells what is still missing, and the next
attempt does just that.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from gearfleet.supervisor.machine import START_TIMEOUT
from gearfleet.supervisor.processes import namespec, program_of
from gearfleet.supervisor.reconcile import internals
from gearfleet.supervisor.reconcile.difference import difference
from gearfleet.supervisor.reconcile.taken import (
    Taken,
    due,
    is_busy,
    is_registered,
    says_when_it_serves,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from gearfleet.supervisor.waves import MaxUnavailable

    #: Called with process, what happened to it, and words about it.
    Report = Callable[[str, str, str], None]


class Phase(StrEnum):
    """What a process is waiting for."""

    LEAVING = "to end, and be dropped"
    STOPPING = "to end, and be started again"
    ARRIVING = "to serve"


class Job:
    """The change of one group; `step` is called on every pass of supervisord's loop.

    Attributes:
        failure: why it was halted; empty while all is well.
        is_done: nothing is under way, and nothing more will be taken.
    """

    def __init__(
        self,
        supervisord: Any,
        name: str,
        *,
        share: MaxUnavailable,
        report: Report,
        clock: Callable[[], float],
    ) -> None:
        self.name = name
        self.failure = ""
        self.is_done = False
        self._supervisord = supervisord
        self._group: Any = None
        self._target: Any = None
        self._want: dict[str, Any] = {}
        self._share = share
        self._report = report
        self._clock = clock
        self._phases: dict[str, Phase] = {}
        self._taken: dict[str, Taken] = {}
        self._todo: list[str] = []

    @property
    def untouched(self) -> tuple[str, ...]:
        """The processes that still have to be replaced."""
        return tuple(self._todo)

    def aim(self, target: Any | None, *, share: MaxUnavailable) -> None:
        """Make the group as `target` says, or drop it where that is None.

        A job under way changes its aim: what it stopped comes back, unless it is to go.
        """
        self.failure, self.is_done, self._share = "", False, share
        self._target = target
        self._want = {each.name: each for each in target.process_configs} if target else {}
        self._group = self._supervisord.process_groups.get(self.name)
        found = difference(self._group, target)
        self._todo = [name for name in found.replace if not self._is_ours(name)]
        self._phases = {name: self._phase_now(name, phase) for name, phase in self._phases.items()}
        for name in found.adjust:
            internals.adjust(self._process(name), self._want[name])
            self._say(name, "adjusted")
        self._phases.update(dict.fromkeys(found.remove, Phase.LEAVING))
        self._add(found.add)
        self.step()

    def _is_ours(self, name: str) -> bool:
        return self._phases.get(name) in {Phase.LEAVING, Phase.STOPPING}

    def _phase_now(self, name: str, phase: Phase) -> Phase:
        return Phase.STOPPING if phase is Phase.LEAVING and name in self._want else phase

    def _add(self, names: tuple[str, ...]) -> None:
        if self._group is None and self._target is not None:
            self._supervisord.add_process_group(self._target)
            self._group = self._supervisord.process_groups[self.name]
        else:
            for name in names:
                internals.add(self._group, self._want[name])
        self._phases.update(dict.fromkeys(names, Phase.ARRIVING))

    def step(self) -> None:
        """Do what can be done now; never wait."""
        if self.is_done:
            return
        live = self._supervisord.process_groups.get(self.name)
        if live is not self._group:
            is_as_wanted = live is None and self._target is None
            self._end("" if is_as_wanted else "somebody replaced or removed the group meanwhile")
            return
        if self._is_being_stopped():
            self._describe()
            self.give_up("somebody stops the whole group meanwhile")
            return
        for name, phase in list(self._phases.items()):
            self._advance(name, phase)
        if self._todo and not self.failure:
            self._take()
        self._describe()
        if not self._phases and (self.failure or not self._todo):
            self._drop_if_empty()
            self._end(self.failure)

    def _is_being_stopped(self) -> bool:
        """Tell whether somebody stops all of it: `stop bar:*`, or the first half of an `update`."""
        others = [self._state(name) for name in self._want if name not in self._phases]
        return internals.STOPPING in others and not internals.STOPPABLE.intersection(others)

    def give_up(self, reason: str) -> None:
        """Take nothing more, and leave alone what is under way."""
        self._end(reason)

    def _end(self, failure: str) -> None:
        self.failure, self.is_done = failure, True
        self._phases.clear()

    def _drop_if_empty(self) -> None:
        if self._target is None and self._group is not None and not self._group.processes:
            self._supervisord.remove_process_group(self.name)

    def _describe(self) -> None:
        if self._group is not None:
            source = self._target if self._target is not None else self._group.config
            internals.describe(self._group, priority=source.priority, order=self._want)

    # One process

    def _advance(self, name: str, phase: Phase) -> None:
        process = self._process(name)
        if process is None:
            del self._phases[name]
        elif phase is Phase.ARRIVING:
            self._arrive(name, process)
        elif process.get_state() in internals.STOPPABLE:
            self._stop(name, process)  # autorestart, or somebody, was faster
        elif process.get_state() in internals.ENDED and not process.pid:
            self._ended(name, process, phase)
        elif process.get_state() != internals.STOPPING:
            self._fail(name, "supervisord has lost track of it")

    def _ended(self, name: str, process: Any, phase: Phase) -> None:
        self._say_if_killed(name, process)
        if phase is Phase.LEAVING:
            del self._group.processes[name]
            self._settle(name, "removed")
        elif self.failure:
            process.spawn()
            self._settle(name, "resumed")
        else:
            self._renew(name, process)

    def _renew(self, name: str, process: Any) -> None:
        config = self._want[name]
        internals.renew(process, config)
        if name in self._taken:
            self._taken[name] = replace(self._taken[name], due=due(config, self._clock()))
        self._phases[name] = Phase.ARRIVING

    def _arrive(self, name: str, process: Any) -> None:
        state = process.get_state()
        if state == internals.RUNNING:
            self._run(name, process)
        elif state in {internals.BACKOFF, internals.FATAL}:
            self._fail(name, process.spawnerr or "it does not stay up")
        elif state == internals.EXITED:
            self._exited(name, process)
        elif state == internals.STOPPED:
            self._stopped(name, process)
        elif state not in {internals.STARTING, internals.STOPPING}:
            self._fail(name, "supervisord has lost track of it")

    def _run(self, name: str, process: Any) -> None:
        """It is RUNNING; but one whose predecessor took jobs has to do so, too."""
        taken = self._taken.get(name)
        must_register = taken and taken.was_registered and says_when_it_serves(process.config)
        if not taken or not must_register or is_registered(process):
            self._settle(name, self._arrived(name), _pid(process))
        elif self._clock() > taken.due:
            self._fail(name, f"no job server knows it after {START_TIMEOUT:g} s; its log says why")

    def _stopped(self, name: str, process: Any) -> None:
        if process.laststart:
            self._settle(name, "stopped", "by somebody")
        elif not process.config.autostart:
            self._settle(name, "added", "not started: autostart is false")

    def _exited(self, name: str, process: Any) -> None:
        """It has been RUNNING, or it would not be EXITED."""
        if process.exitstatus and not internals.respawns(process):
            self._fail(name, f"it ended with exit status {process.exitstatus}")
        else:
            self._settle(name, self._arrived(name))

    def _arrived(self, name: str) -> str:
        return "replaced" if name in self._taken else "added"

    def _stop(self, name: str, process: Any) -> None:
        self._take_note(name, process)
        if problem := process.stop():
            self._fail(name, problem)

    def _take_note(self, name: str, process: Any) -> None:
        if name not in self._taken:
            self._taken[name] = Taken(
                since=self._clock(), pid=process.pid, was_registered=is_registered(process)
            )

    # Waves

    def _take(self) -> None:
        away = self._away()
        spare = self._share.of(len(self._want)) - len(away)
        coming = {program_of(name) for name in away}
        running = Counter(program_of(name) for name in self._want if self._is_up(name))
        for name in self._idle_first() if spare > 0 else ():
            process, program = self._process(name), program_of(name)
            if not self._is_to_be_replaced(name, process) or spare <= 0:
                continue
            # The last one of a program waits while another is on its way.
            if self._is_up(name) and running[program] == 1 and program in coming:
                continue
            running[program] -= self._is_up(name)
            coming.add(program)
            spare -= 1
            self._go(name, process)

    def _idle_first(self) -> list[str]:
        def is_occupied(name: str) -> bool:
            process = self._process(name)
            return process is not None and is_busy(process)

        return sorted(self._todo, key=is_occupied)

    def _is_to_be_replaced(self, name: str, process: Any) -> bool:
        """Return whether a stop is needed; one that is not running just changes."""
        if process is None:
            self._todo.remove(name)  # somebody removed it
            return False
        if process.get_state() in {internals.STOPPED, internals.EXITED}:
            self._todo.remove(name)
            internals.adjust(process, self._want[name])
            self._say(name, "adjusted", "it is not running")
            return False
        # Whoever stops it now wants it stopped, or will start it again.
        return bool(process.get_state() != internals.STOPPING)

    def _go(self, name: str, process: Any) -> None:
        self._todo.remove(name)
        self._take_note(name, process)
        self._phases[name] = Phase.STOPPING
        self._advance(name, Phase.STOPPING)

    def _away(self) -> list[str]:
        return [
            name
            for name, phase in self._phases.items()
            if phase is Phase.STOPPING or (phase is Phase.ARRIVING and name in self._taken)
        ]

    def _is_up(self, name: str) -> bool:
        return bool(self._state(name) == internals.RUNNING)

    # Words

    def _process(self, name: str) -> Any:
        return self._group.processes.get(name) if self._group is not None else None

    def _state(self, name: str) -> Any:
        process = self._process(name)
        return process.get_state() if process is not None else None

    def _fail(self, name: str, reason: str) -> None:
        self.failure = self.failure or f"{namespec(self.name, name)}: {reason}"
        self._settle(name, "failed", reason)

    def _settle(self, name: str, what: str, detail: str = "") -> None:
        self._phases.pop(name, None)
        taken = self._taken.pop(name, None)
        if taken is not None and what in {"replaced", "removed", "resumed"}:
            pids = f"pid {taken.pid} -> {detail.removeprefix('pid ')}, " if detail else ""
            detail = f"{pids}{self._clock() - taken.since:.1f} s"
        self._say(name, what, detail)

    def _say(self, name: str, what: str, detail: str = "") -> None:
        self._report(namespec(self.name, name), what, detail)

    def _say_if_killed(self, name: str, process: Any) -> None:
        seconds = self._clock() - self._taken[name].since if name in self._taken else 0.0
        if process.exitstatus == -1 and seconds >= process.config.stopwaitsecs:
            self._say(name, "killed", f"after {seconds:.0f} s")


def _pid(process: Any) -> str:
    return f"pid {process.pid}"
