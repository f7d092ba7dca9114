"""The steps of the stop ladder, as values: how long each may take, and where a worker stands."""

from __future__ import annotations

import enum
from typing import Literal, NamedTuple

#: What the first stop signal does with a job in hand: let it finish, or interrupt it.
Stop = Literal["drain", "immediate"]


class Limits(NamedTuple):
    """How a worker stops.

    Attributes:
        drain_timeout: seconds that the job in hand may take to finish.
        interrupt_grace: seconds that an interrupted task may take to clean up.
        hook_timeout: seconds that the shutdown hooks may take together.
        startsecs: seconds that the process is up before it ends to be renewed; sooner,
            Supervisor would take that for a start that failed.
        stop: what the first signal does.
    """

    drain_timeout: float = 60.0
    interrupt_grace: float = 5.0
    hook_timeout: float = 10.0
    startsecs: float = 2.0
    stop: Stop = "drain"


class Phase(enum.Enum):
    """What the main thread is doing, as far as stopping is concerned."""

    IDLE = enum.auto()  #: our own loop, which is woken, never interrupted
    STARTING = enum.auto()  #: hooks before the first job: nothing to drain
    JOB = enum.auto()
    HOOKS = enum.auto()  #: shutdown hooks: bounded anyway, signals change nothing


class Rung(enum.Enum):
    """How far down the ladder is."""

    RUNNING = enum.auto()
    DRAINING = enum.auto()
    INTERRUPTED = enum.auto()
    HOOKS = enum.auto()
