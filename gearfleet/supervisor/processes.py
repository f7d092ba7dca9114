"""What supervisord says about its processes, as values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

#: An exit after startsecs shows as EXITED until supervisord's main loop has come
#: round, which it does once a second; only then has it decided on a respawn.
RESPAWN_SECONDS = 2


class State(StrEnum):
    """Supervisor's own process states."""

    STOPPED = "STOPPED"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    BACKOFF = "BACKOFF"
    STOPPING = "STOPPING"
    EXITED = "EXITED"
    FATAL = "FATAL"
    UNKNOWN = "UNKNOWN"


#: Supervisor calls these stopped: nothing runs, and a start is possible.
STOPPED_STATES = frozenset({State.STOPPED, State.EXITED, State.FATAL, State.UNKNOWN})

#: What `status` calls healthy or on its way. supervisorctl counts BACKOFF as fine
#: too (Supervisor/supervisor#1223); a crash loop is not.
HEALTHY_STATES = frozenset({State.RUNNING, State.STARTING, State.STOPPING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process as supervisord saw it at `now`.

    Attributes:
        pid: 0 while nothing runs.
        start: when it was last started, in seconds since the epoch; 0 for never.
        stop: when it last ended, likewise.
        now: supervisord's clock.
        exitstatus: of the last exit; -1 for every death by a signal.
        spawnerr: why the last start failed, or empty.
        description: Supervisor's words, as in `supervisorctl status`.
    """

    group: str
    name: str
    state: State
    pid: int = 0
    start: int = 0
    stop: int = 0
    now: int = 0
    exitstatus: int = 0
    spawnerr: str = ""
    description: str = ""

    @classmethod
    def from_info(cls, info: Mapping[str, Any]) -> Process:
        """Return the value of one struct of getAllProcessInfo."""
        state = info["statename"]
        return cls(
            group=info["group"],
            name=info["name"],
            state=State(state) if state in State.__members__ else State.UNKNOWN,
            **{field: info[field] for field in _COPIED},
        )

    @property
    def namespec(self) -> str:
        """Supervisor's name for it: `group:name`, or `name` where both are the same."""
        return namespec(self.group, self.name)

    @property
    def program(self) -> str:
        return program_of(self.name)

    @property
    def is_running(self) -> bool:
        return self.state is State.RUNNING

    @property
    def is_healthy(self) -> bool:
        return self.state in HEALTHY_STATES

    @property
    def is_unsettled(self) -> bool:
        """Whether supervisord is about to change the state by itself.

        BACKOFF is not: it may last for minutes and end in FATAL.
        """
        if self.state is State.EXITED:
            return self.now - self.stop < RESPAWN_SECONDS
        return self.state in {State.STARTING, State.STOPPING}


_COPIED = ("pid", "start", "stop", "now", "exitstatus", "spawnerr", "description")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What supervisord's configuration says of one process.

    Attributes:
        startsecs: seconds until it counts as RUNNING.
        stopwaitsecs: seconds that it may take to stop.
        command: that it runs.
        directory: where it runs; empty for supervisord's own.
    """

    startsecs: float = 1
    stopwaitsecs: float = 10
    command: str = ""
    directory: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """supervisord did not do what was asked for one process."""

    name: str
    code: int
    text: str


def namespec(group: str, name: str) -> str:
    """Return the name by which supervisord knows the process `name` of `group`."""
    return name if group == name else f"{group}:{name}"


def program_of(process_name: str) -> str:
    """Return the program of a process: its name without the trailing `_NN`.

    XML-RPC tells the group, but not the program. gearfleet renders
    ``process_name=%(program_name)s_%(process_num)02d``, so what stands before
    the last number is the program. Without the underscore the number is part
    of the name: `worker_bar2` is not a process of `worker_bar`.
    """
    return re.sub(r"(?<=.)_\d+$", "", process_name)
