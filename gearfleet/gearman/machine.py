"""The worker's side of one connection, without I/O: a strict state machine.

What is in `outgoing` has to be sent; what was read goes to `receive`; when
`deadline` has passed, `tick` says what that means. The rules are gearmand's
(reference "gearmand", section 5 "Wake-up", F5, F6, F10):

* NOOP is always answered by a GRAB, because gearmand sends no other NOOP before
  it; a NOOP that crosses a pending GRAB is dropped.
* A sleeping worker grabs on a period, because gearmand 1.1.20 wakes nobody when
  a delayed job falls due, and because wake-ups get lost.
* NOOP, GRAB, NO_JOB in a circle means that the job server counts a job which it
  does not hand out; the worker rests for a while instead of spinning.
* A connection is of no use until the job server has answered an ECHO on it: a
  stopped process takes connections and never answers, and a GRAB waiting there
  would keep the only free slot from the other job servers.
* Leaving is an ECHO too: when it comes back, the job server has read everything
  that was sent before it, and a close cannot take a result with it.
* RESET_ABILITIES is never sent, and CANT_DO only when no job of the function can
  be here or on its way: they put running jobs back into the queue.
"""

from __future__ import annotations

import enum
import random
from typing import TYPE_CHECKING, NamedTuple

from gearfleet import errors
from gearfleet.gearman.protocol import Command, Packet, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

NEVER = float("inf")

_C = Command
_GRAB = encode(_C.GRAB_JOB_UNIQ)
# An enum's attribute costs a fifth of a microsecond in Python 3.11, so those of every job are named once.
_ASSIGN, _NO_JOB, _NOOP = _C.JOB_ASSIGN_UNIQ, _C.NO_JOB, _C.NOOP
_PRE_SLEEP = encode(_C.PRE_SLEEP)
_PROBE = b"gearfleet probe"
_LEAVE = b"gearfleet leave"


class State(enum.Enum):
    """What the worker may do at one job server."""

    PROBING = "waits for the answer to an ECHO"
    AWAKE = "is about to grab"
    GRABBING = "waits for the answers to its GRABs"
    ASLEEP = "waits for a NOOP"
    RESTING = "rests, woken too often for nothing"
    LEAVING = "waits until the job server has read everything"
    GONE = "is about to close"

    #: An enum's own hashes the name, in Python, each time.
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return self.name


PROBING, AWAKE, GRABBING, ASLEEP, RESTING, LEAVING, GONE = State

#: What the job server may send in each state, and where it leads. While some of
#: several GRABs are unanswered, GRABBING goes on. ERROR is noted in every state.
RECEIVED: dict[State, dict[Command, State]] = {
    PROBING: {_C.ECHO_RES: AWAKE, _C.NOOP: PROBING},
    AWAKE: {_C.NOOP: AWAKE},
    GRABBING: {_C.JOB_ASSIGN_UNIQ: AWAKE, _C.NO_JOB: ASLEEP, _C.NOOP: GRABBING},
    ASLEEP: {_C.NOOP: AWAKE},
    RESTING: {_C.NOOP: RESTING},
    LEAVING: {
        _C.ECHO_RES: GONE,
        _C.NO_JOB: LEAVING,
        _C.JOB_ASSIGN_UNIQ: LEAVING,
        _C.NOOP: LEAVING,
    },
    GONE: {},
}


class Timing(NamedTuple):
    """The patience of a worker, in seconds."""

    grab_timeout: float = 1.0
    regrab_after: tuple[float, float] = (5.0, 10.0)
    heartbeat_interval: float = 30.0
    heartbeat_limit: float = 10.0
    leave_timeout: float = 2.0
    #: A NOOP that comes so soon after PRE_SLEEP answers it, and announces no new job.
    prompt: float = 0.02
    #: So many wake-ups for nothing in a row are chance.
    empty_wakes: int = 5
    shortest_rest: float = 0.05
    longest_rest: float = 2.0


class Machine:
    """One connection of a worker, from its registration to its end."""

    __slots__ = (
        "_client_id", "_draw", "_empty_wakes", "_functions", "_is_withdrawing", "_prefetch",
        "_slept_at", "_timing", "_was_prompt", "_window", "deadline", "grabs", "outgoing", "state",
    )  # fmt: skip

    def __init__(
        self,
        *,
        prefetch: int = 1,
        timing: Timing | None = None,
        draw: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.outgoing = bytearray()
        self.state = PROBING
        self.deadline = NEVER
        self._timing = timing or Timing()
        self._draw = draw
        self._prefetch = prefetch
        # Grabs grow from 1 to `prefetch` as jobs come, so that a job which wakes
        # a hundred workers is not asked for by a hundred times `prefetch` grabs.
        self._window = 1
        #: How many GRABs wait for their answer.
        self.grabs = 0
        #: What the job server was told.
        self._functions: set[bytes] = set()
        self._client_id: bytes | None = None
        self._is_withdrawing = False
        self._slept_at = 0.0
        self._was_prompt = False
        self._empty_wakes = 0

    def greet(self, functions: Iterable[bytes], client_id: bytes | None, now: float) -> None:
        """Register; the functions that come first are served first.

        gearmand hands out the function that was registered last before all
        others, so they are sent in reverse.
        """
        self._name(client_id)
        self._add(reversed(list(functions)))
        self._enter(PROBING, now)

    def renew(
        self,
        functions: Collection[bytes],
        client_id: bytes | None,
        in_hand: Collection[bytes],
        now: float,
    ) -> bool:
        """Tell what has changed in the registration; return whether all of it is told.

        A function goes when no job of it is `in_hand` and no GRAB is unanswered,
        which might bring one. Until then the worker grabs nothing here.
        """
        if self.state is LEAVING or self.state is GONE:
            return True
        self._name(client_id)
        new = [function for function in functions if function not in self._functions]
        self._add(new)
        if new and self.state is ASLEEP:
            self._enter(AWAKE, now)  # a CAN_DO wakes nobody
        gone = self._functions.difference(functions)
        unused = set() if self.grabs else gone.difference(in_hand)
        self._withdraw(unused)
        self._is_withdrawing = len(unused) < len(gone)
        return not self._is_withdrawing

    def _name(self, client_id: bytes | None) -> None:
        if client_id and client_id != self._client_id:
            self.outgoing += encode(_C.SET_CLIENT_ID, client_id)
            self._client_id = client_id

    def _add(self, functions: Iterable[bytes]) -> None:
        for function in functions:
            self.outgoing += encode(_C.CAN_DO, function)
            self._functions.add(function)

    def _withdraw(self, functions: Iterable[bytes]) -> None:
        for function in sorted(functions):
            self.outgoing += encode(_C.CANT_DO, function)
            self._functions.discard(function)

    @property
    def wanted_grabs(self) -> int:
        """How many GRABs may go out now."""
        if (self.state is AWAKE or self.state is GRABBING) and not self._is_withdrawing:
            return self._window - self.grabs
        return 0

    def grab(self, count: int, now: float) -> None:
        """Ask for `count` jobs; at most `wanted_grabs`."""
        self.outgoing += _GRAB * count
        self.grabs += count
        self.state = GRABBING
        self.deadline = now + self._timing.grab_timeout

    def receive(self, packet: Packet, now: float) -> Packet | None:
        """Take one packet; return it if it is a job to run.

        Raises:
            ProtocolError: the job server may not send this now.
        """
        command = packet[0]
        if command is _ASSIGN and self.state is GRABBING:
            self.grabs -= 1
            if self.grabs:
                self.deadline = now + self._timing.grab_timeout
            else:
                self._enter(AWAKE, now)
            if self._window < self._prefetch:
                self._window = min(self._window * 2, self._prefetch)
            self._empty_wakes = 0
            return packet
        following = RECEIVED[self.state].get(command)
        if following is None:
            if command is _C.ERROR:
                return None
            raise errors.ProtocolError(f"{command.name} came while the worker {self.state.value}")
        if command is _NO_JOB:
            self._no_job(following, now)
        elif command is _NOOP:
            self._noop(following, now)
        elif command is _C.ECHO_RES and packet.args[0] == self._echo_data:
            self._enter(following, now)
        return None

    @property
    def _echo_data(self) -> bytes:
        return _LEAVE if self.state is LEAVING else _PROBE

    def progress(self, now: float) -> None:
        """Note that bytes of a big packet move: the job server is busy, not silent."""
        if self.state is GRABBING:
            self.deadline = now + self._timing.grab_timeout
        elif self.state is PROBING:
            self.deadline = now + self._timing.heartbeat_limit
        elif self.state is LEAVING:
            self.deadline = now + self._timing.leave_timeout

    def tick(self, now: float) -> None:
        """Do what is due at `deadline`.

        Raises:
            errors.ConnectionError: the job server should have answered by now.
        """
        if now < self.deadline:
            return
        if self.state is ASLEEP or self.state is RESTING:
            self._enter(AWAKE, now)
        elif self.state is AWAKE:
            self._enter(PROBING, now)
        else:
            raise errors.ConnectionError(f"it does not answer; the worker {self.state.value}")

    def finished_job(self, now: float) -> None:
        """Note that time has passed in a job, which is no silence of the job server."""
        if self.state is AWAKE:
            self.deadline = now + self._timing.heartbeat_interval

    def leave(self, now: float) -> None:
        """Grab no more; become GONE when the job server has read all that was sent."""
        if self.state is not LEAVING and self.state is not GONE:
            self._enter(LEAVING, now)

    def _answered(self, following: State, now: float) -> None:
        self.grabs -= 1
        if self.grabs:
            self.deadline = now + self._timing.grab_timeout
        else:
            self._enter(following, now)

    def _no_job(self, following: State, now: float) -> None:
        if self.state is GRABBING:
            self._window = 1
            self._empty_wakes += self._was_prompt
            self._was_prompt = False
            self._answered(following, now)

    def _noop(self, following: State, now: float) -> None:
        if self.state is not ASLEEP:
            return
        # Woken later than at once, there is a new job, or was one that another
        # worker took. That is no circle.
        self._was_prompt = now - self._slept_at < self._timing.prompt
        if not self._was_prompt:
            self._empty_wakes = 0
        is_circle = self._empty_wakes >= self._timing.empty_wakes
        self._enter(RESTING if is_circle else following, now)

    def _enter(self, state: State, now: float) -> None:
        """Go to `state`: say what it says to the job server, and wait as long as it waits."""
        timing = self._timing
        self.state = state
        if state is AWAKE:
            self.deadline = now + timing.heartbeat_interval
        elif state is ASLEEP:
            self.outgoing += _PRE_SLEEP
            self._slept_at = now
            self.deadline = now + self._draw(*timing.regrab_after)
        elif state is RESTING:
            doublings = self._empty_wakes - timing.empty_wakes
            self.deadline = now + min(timing.shortest_rest * 2**doublings, timing.longest_rest)
        elif state is PROBING:
            self.outgoing += encode(_C.ECHO_REQ, _PROBE)
            self.deadline = now + timing.heartbeat_limit
        elif state is LEAVING:
            self.outgoing += encode(_C.ECHO_REQ, _LEAVE)
            self.deadline = now + timing.leave_timeout
        else:
            self.deadline = NEVER
