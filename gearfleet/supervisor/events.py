"""What happens while processes are restarted, stopped and started, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gearfleet.supervisor.processes import State


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutStarted:
    """A group is about to be restarted.

    Attributes:
        names: those of the processes asked for that are RUNNING.
        awaited: those that are about to be, or to end.
        wave: how many processes of the group may be away at the same time.
        singles: those of `names` that are the only process of their program,
            which is away while it restarts.
        pools: those of `names` that stay, and replace their workers.
        at_least: seconds that the starts take; jobs in hand come on top.
    """

    group: str
    names: tuple[str, ...]
    awaited: tuple[str, ...] = ()
    wave: int
    singles: tuple[str, ...]
    pools: tuple[str, ...] = ()
    at_least: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStopping:
    """A process was told to stop; a worker finishes its job first."""

    name: str
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessBack:
    """A process serves again, `seconds` after it was told to stop, or a pool to renew itself.

    Attributes:
        pid_before: of the process before.
        pid_after: of the process now; that of a pool stays.
        workers: how many workers of a pool are new; 0 for another process.
    """

    name: str
    pid_before: int
    pid_after: int
    seconds: float
    workers: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolRenewing:
    """A pool was told to take new code, and replaces its `workers` one after the other."""

    name: str
    pid: int
    workers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLeft:
    """Nobody waits any more for a pool that goes on replacing its workers by itself."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlreadyCurrent:
    """Processes run the release already that new ones would run, so they are left alone."""

    group: str
    names: tuple[str, ...]
    release: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessKilled:
    """A process outlived its stopwaitsecs, and supervisord ended it and its job by SIGKILL."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessFailed:
    """A process did not do what was asked; `reason` says how it was found."""

    name: str
    state: State
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessDown:
    """A process was not running before, so it is left as it is."""

    name: str
    state: State
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStarted:
    """A process was started; it runs as `pid`, `seconds` after it was told to."""

    name: str
    pid: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStopped:
    """A process stopped, `seconds` after it was told to."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessUnchanged:
    """A process was already as it should be."""

    name: str
    state: State


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessQuiet:
    """The workers of a process take no job any more, or take jobs again.

    Attributes:
        is_quiet: which of both.
        workers: how many they are: one, or those of a pool.
        tasks: of the jobs that they have in hand.
    """

    name: str
    is_quiet: bool
    workers: int
    tasks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessTold:
    """A process was sent a signal, and what came of it cannot be seen from here."""

    name: str
    signal: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Halted:
    """No further process is touched; `waiting_for` are still stopping and are started after that."""

    reason: str
    waiting_for: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobServerSilent:
    """A job server cannot be asked who is registered there."""

    server: str
    reason: str


Event = (
    RolloutStarted
    | ProcessStopping
    | ProcessBack
    | PoolRenewing
    | PoolLeft
    | AlreadyCurrent
    | ProcessKilled
    | ProcessFailed
    | ProcessDown
    | ProcessStarted
    | ProcessStopped
    | ProcessUnchanged
    | ProcessQuiet
    | ProcessTold
    | Halted
    | JobServerSilent
)

#: Who is told; it may print, count or draw.
Report = Callable[[Event], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutResult:
    """What came of the rolling restart of one group.

    Attributes:
        restarted: with pids before and after, in the order in which they came back.
        failed: those that did not come back, or could not be stopped.
        killed: those whose job was cut short; most of them are also restarted.
        down: those that were not running, and were left alone.
        resumed: started again after an interruption; nobody waited until they served.
        renewing: pools that nobody waited for after an interruption.
        current: those that run the new release already, and were left alone.
        untouched: those that run as before.
        total: how many processes the group has.
        lowest_running: the fewest of them that were seen RUNNING.
        halted: why it ended early, or empty.
    """

    group: str
    restarted: tuple[ProcessBack, ...] = ()
    failed: tuple[ProcessFailed, ...] = ()
    killed: tuple[ProcessKilled, ...] = ()
    down: tuple[ProcessDown, ...] = ()
    resumed: tuple[ProcessStarted, ...] = ()
    renewing: tuple[str, ...] = ()
    current: tuple[str, ...] = ()
    untouched: tuple[str, ...] = ()
    total: int = 0
    lowest_running: int = 0
    seconds: float = 0.0
    halted: str = ""

    @property
    def ok(self) -> bool:
        """Whether all that ran runs new code, at least one, and no job was cut short."""
        is_any = bool(self.restarted or self.current)
        return is_any and not (self.failed or self.killed or self.halted)


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchResult:
    """What came of stopping or starting processes.

    Attributes:
        changed: those that did what was asked.
        unchanged: those that were as asked before.
        failed: those that did not do it.
        killed: those whose job was cut short, all of them also `changed`.
        pending: those that nobody waited for after an interruption.
    """

    changed: tuple[ProcessStarted | ProcessStopped, ...] = ()
    unchanged: tuple[ProcessUnchanged, ...] = ()
    failed: tuple[ProcessFailed, ...] = ()
    killed: tuple[ProcessKilled, ...] = ()
    pending: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether every process is as asked, and no job was cut short."""
        return not (self.failed or self.killed or self.pending)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietResult:
    """What came of telling workers to be quiet, or to resume.

    Attributes:
        done: those whose boards show it.
        told: those of which nothing can be seen from here.
        failed: those that were not told, or do not show it.
        down: those that were not running.
    """

    done: tuple[ProcessQuiet, ...] = ()
    told: tuple[ProcessTold, ...] = ()
    failed: tuple[ProcessFailed, ...] = ()
    down: tuple[ProcessDown, ...] = ()

    @classmethod
    def of(cls, events: Iterable[Event]) -> QuietResult:
        """Return the result that these events make."""
        kept = tuple(events)
        return cls(
            done=tuple(event for event in kept if isinstance(event, ProcessQuiet)),
            told=tuple(event for event in kept if isinstance(event, ProcessTold)),
            failed=tuple(event for event in kept if isinstance(event, ProcessFailed)),
            down=tuple(event for event in kept if isinstance(event, ProcessDown)),
        )

    @property
    def ok(self) -> bool:
        """Whether at least one was told, and none failed."""
        return bool(self.done or self.told) and not self.failed
