"""What a state machine over processes looks like to the loop that drives it.

The machines (`Rollout`, `Stopping`, `Starting`) see values and want things;
they do no I/O, so that their lifecycles are tested as histories with a fake
clock. `drive` carries out what they want.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Protocol, TypeVar

from gearfleet.errors import EXIT_RECYCLED, UsageError
from gearfleet.supervisor.processes import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from gearfleet.supervisor.events import Event
    from gearfleet.supervisor.pools import Evidence
    from gearfleet.supervisor.processes import Process, Refusal

    Clock = Callable[[], float]

E = TypeVar("E")

#: supervisord sends SIGKILL after stopwaitsecs; what is not gone this much
#: later cannot be killed, or supervisord itself is stuck.
STOP_MARGIN = 10.0

#: Default of `timeout`: importing a large Django project takes seconds, on a
#: busy host tens of them.
START_TIMEOUT = 60.0


def parse_timeout(text: str) -> float:
    """Return the seconds that the option --timeout gives.

    Raises:
        UsageError: It is not a number above 0.
    """
    seconds = _number(text)
    if not 0 < seconds < inf:
        raise UsageError(f"--timeout is a number of seconds above 0, not '{text}'")
    return seconds


def parse_pause(text: str) -> float:
    """Return the seconds that the option --pause gives.

    Raises:
        UsageError: It is not a number from 0.
    """
    seconds = _number(text)
    if not 0 <= seconds < inf:
        raise UsageError(f"--pause is a number of seconds from 0, not '{text}'")
    return seconds


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return -1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a machine wants after an observation.

    Attributes:
        stop: processes to stop.
        start: processes to start.
        renew: pools to give new code, by SIGHUP.
        events: to report.
    """

    stop: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    renew: tuple[str, ...] = ()
    events: tuple[Event, ...] = ()


class History:
    """The events of a machine, told once and remembered for its result."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._told = 0

    def add(self, event: Event) -> None:
        self._events.append(event)

    def news(self) -> tuple[Event, ...]:
        """Return what happened since the last call."""
        news = tuple(self._events[self._told :])
        self._told = len(self._events)
        return news

    def past(self, kind: type[E]) -> tuple[E, ...]:
        """Return all events of one kind."""
        return tuple(event for event in self._events if isinstance(event, kind))


class Machine(Protocol):
    """A change to some processes, seen through to its end."""

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do or to wait for."""

    @property
    def under_way(self) -> tuple[str, ...]:
        """The processes that were told to stop or to start and are not there yet."""

    def needs_registrations(self, processes: Sequence[Process]) -> bool:
        """Return whether the next `observe` wants to know who is registered."""

    def needs_boards(self) -> bool:
        """Return whether the next `observe` wants to know what the workers of this host do."""

    def observe(self, processes: Sequence[Process], evidence: Evidence) -> Step:
        """Take note of the present state, and return what to do about it."""

    def refused(self, refusals: Iterable[Refusal]) -> tuple[Event, ...]:
        """Take note of what supervisord did not do of the last step."""

    def halt(self, reason: str) -> None:
        """Begin nothing more, and end as soon as nothing is left stopped."""


def start_failure(process: Process) -> str | None:
    """Say why a process that was started will not serve, or None while it may still.

    One that recycled itself right after startsecs is respawned by supervisord.
    """
    match process.state:
        case State.BACKOFF | State.FATAL:
            return process.spawnerr or "it does not stay up"
        case State.EXITED if process.exitstatus != EXIT_RECYCLED:
            return f"it ended with exit status {process.exitstatus}"
        case State.STOPPED:
            return "somebody stopped it again"
        case State.UNKNOWN:
            return "supervisord has lost track of it"
        case _:
            return None


def was_killed(process: Process, *, seconds: float, stopwaitsecs: float) -> bool:
    """Return whether a process that stopped after `seconds` was ended by supervisord's SIGKILL.

    Supervisor does not tell; -1 stands for every death by a signal.
    """
    return process.exitstatus == -1 and seconds >= stopwaitsecs
