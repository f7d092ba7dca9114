"""The nouns of the embedded job server: a job, its function, and the peer at a connection.

A job stands in exactly one place at any time: one of its function's priority
lists, `Function.delayed` or `Function.running`. What the server reports is the
length of those places, so no counter can drift from the truth.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from gearfleet.gearman.protocol import Command
    from gearfleet.gearman.server.timers import Timer

#: Where a job stands; ordered, so that a list can be left at any position at once.
Place: TypeAlias = "OrderedDict[Job, None]"

#: What makes two submits one job. A tuple holds the payload itself: the submit said "-".
UniqueKey: TypeAlias = bytes | tuple[bytes]

NO_UNIQUE = b""


class Priority(enum.IntEnum):
    """Which of a function's lists a job waits in, the first served first."""

    HIGH = 0
    NORMAL = 1
    LOW = 2


class Send(Protocol):
    """Delivers one packet to the other end of a connection."""

    def __call__(self, command: Command, /, *args: bytes) -> None: ...


@dataclass(slots=True, eq=False)
class Job:
    """One accepted job; `clients` has an entry for each foreground submit that waits for it."""

    handle: bytes
    function: Function
    unique: bytes
    key: UniqueKey
    data: bytes
    priority: Priority
    background: bool = False
    reducer: bytes | None = None
    clients: tuple[Peer, ...] = ()
    worker: Peer | None = None
    timer: Timer | None = None
    numerator: int = 0
    denominator: int = 0
    retries: int = 0
    place: Place = field(init=False)

    def __post_init__(self) -> None:
        self.place = self.function.queued[self.priority]

    @property
    def is_running(self) -> bool:
        """Whether a worker has the job in hand."""
        return self.worker is not None

    @property
    def is_abandoned(self) -> bool:
        """Whether nobody wants the result: no background submit, and every client is gone."""
        return not self.background and not self.clients

    def move(self, place: Place) -> None:
        """Leave the present place, if the job is there, for the tail of another."""
        self.place.pop(self, None)
        place[self] = None
        self.place = place


@dataclass(slots=True, eq=False)
class Function:
    """What the server knows under one function name."""

    name: bytes
    queued: tuple[Place, Place, Place] = field(
        default_factory=lambda: (OrderedDict(), OrderedDict(), OrderedDict())
    )
    #: Jobs that are not yet due. Among the NORMAL jobs, as in gearmand, they
    #: would hide the LOW ones from every worker (F6).
    delayed: Place = field(default_factory=OrderedDict)
    running: Place = field(default_factory=OrderedDict)
    uniques: dict[UniqueKey, Job] = field(default_factory=dict)
    #: Workers that are to get a NOOP when a job comes.
    sleepers: dict[Peer, None] = field(default_factory=dict)
    #: How often CAN_DO was said; gearmand counts a repeated one as another worker.
    registrations: int = 0
    #: `maxqueue` for each priority; 0 is no limit.
    limits: tuple[int, int, int] = (0, 0, 0)

    @property
    def total(self) -> int:
        """All jobs: queued, delayed and running."""
        return sum(map(len, self.queued)) + len(self.delayed) + len(self.running)

    @property
    def is_runnable(self) -> bool:
        """Whether a worker that asked now would get a job."""
        high, normal, low = self.queued
        return bool(high or normal or low)

    def first(self) -> Job | None:
        """Return the job that is next, where it stands."""
        for place in self.queued:
            if place:
                return next(iter(place))
        return None

    def is_full(self, priority: Priority) -> bool:
        """Whether `maxqueue` forbids one more job; the limit is compared with all jobs."""
        limit = self.limits[priority]
        return 0 < limit <= self.total


@dataclass(slots=True, eq=False)
class Peer:
    """One connection as the queues know it: a client, a worker, or both."""

    send: Send
    fd: int = -1
    host: str = "-"
    client_id: bytes = b"-"
    wants_exceptions: bool = False
    asleep: bool = False
    #: The functions in the order of grabbing: the last registered first.
    abilities: list[Function] = field(default_factory=list)
    #: Seconds that a job may take, for functions registered with CAN_DO_TIMEOUT.
    time_limits: dict[Function, float] = field(default_factory=dict)
    #: Jobs in hand, as a worker.
    holds: dict[Job, None] = field(default_factory=dict)
    #: Jobs waited for, as a foreground client.
    awaits: dict[Job, None] = field(default_factory=dict)
