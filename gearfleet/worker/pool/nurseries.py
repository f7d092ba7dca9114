"""The nurseries as their parent sees them: the one that forks, and the one that takes its place.

The first one is a fork of the parent, which has imported a part of what it needs. All
others are fresh interpreters: they are there to import other code.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from gearfleet.worker.pool import linux, wire
from gearfleet.worker.pool.member import VARIABLE, become_nursery
from gearfleet.worker.pool.slots import DELAYS, LIVED_WELL

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Sequence

    from gearfleet.worker.pool.linux import Death
    from gearfleet.worker.pool.wire import Message

logger = logging.getLogger(__name__)

#: Where the code is; without it, where the parent was started.
DIRECTORY = "GEARFLEET_DIRECTORY"
#: Seconds that a nursery has to end; it has nothing in hand.
PATIENCE = 5.0


@dataclass(slots=True, eq=False)
class Nursery:
    """A process that imports the worker module, and then forks a worker for each order.

    Attributes:
        pid: of the process.
        end: of the pair of sockets; its workers write to the other one, also when it is gone.
        generation: of the code that it imports.
        started_at: on the parent's clock.
        kill_at: when the parent's patience with it ends.
    """

    pid: int
    end: socket.socket
    generation: int
    started_at: float
    kill_at: float = inf

    @classmethod
    def spawn(
        cls, command: Sequence[str], lifeline: int, *, generation: int, now: float
    ) -> Nursery:
        """Start `command` as a nursery; `lifeline` is what it reads from.

        Like each nursery it has a process group of its own, so that Ctrl-C reaches
        the parent alone, and the workers hear of it once.

        Raises:
            OSError: there is no room for another process.
        """
        end, other = wire.pair()
        try:
            with other:
                other.set_inheritable(True)
                pid = os.posix_spawn(
                    sys.executable,
                    [*command],
                    {**os.environ, VARIABLE: f"{other.fileno()},{lifeline}"},
                    setpgroup=0,
                    setsigmask=(),
                )
        except OSError:
            end.close()
            raise
        return cls(pid, end, generation, now)

    @classmethod
    def fork(cls, lifeline: int, held: int, *, generation: int, now: float) -> Nursery | None:
        """Let a fork of this process be a nursery, and return None in it.

        It reads from `lifeline`, whose other end, `held`, only the parent keeps.

        Raises:
            OSError: there is no room for another process.
        """
        for stream in (sys.stdout, sys.stderr):
            stream.flush()  # or both would say what waits there
        end, other = wire.pair()
        with other:
            try:
                pid = os.fork()
            except OSError:
                end.close()
                raise
            if pid:
                return cls(pid, end, generation, now)
            end.close()
            os.close(held)
            os.setpgid(0, 0)
            become_nursery(other.detach(), lifeline)
        return None

    def order(self, slot: int, *, is_quiet: bool) -> bool:
        """Have a worker forked for a slot; False if nobody is there to do it."""
        try:
            wire.tell(self.end, "fork", slot, is_quiet)
        except OSError:
            return False
        return True


class Nurseries:
    """All nurseries of a pool: two while the code is imported again, and those that end.

    Attributes:
        current: it forks the workers; None while there is none.
        incoming: it imports the code, and then takes the place of `current`.
        generation: of the newest code that was asked for.
        due_at: when the next one starts, where there is none.
    """

    def __init__(self, command: Sequence[str], clock: Callable[[], float]) -> None:
        self.current: Nursery | None = None
        self.incoming: Nursery | None = None
        self.generation = 0
        self.due_at = 0.0
        self._command = command
        #: Nurseries and workers have the first end, and see it when the second is closed with us.
        self._lifeline, self._held = os.pipe()
        os.set_inheritable(self._lifeline, True)
        self._clock = clock
        self._living: dict[int, Nursery] = {}
        self._open: list[Nursery] = []
        self._failures = 0

    def __iter__(self) -> Iterator[Nursery]:
        """Iterate over the processes that live."""
        return iter(tuple(self._living.values()))

    def __bool__(self) -> bool:
        return bool(self._living)

    @property
    def is_missing(self) -> bool:
        return not (self.current or self.incoming)

    @property
    def ends(self) -> list[socket.socket]:
        """What may have messages."""
        return [nursery.end for nursery in self._open]

    def begin(self) -> bool:
        """Start the first nursery; return False in it, if it is a fork of this process.

        Call it with all signals blocked that its parent listens to.
        """
        if linux.has_one_thread():
            return self._start(self._fork)
        return self._start(self._spawn)  # a fork would be without the other threads

    def start(self) -> None:
        """Start a nursery that takes the place of the current one when it has imported the code."""
        if self.incoming:
            self.dismiss(self.incoming)
        self.incoming = None
        self._start(self._spawn)

    def _start(self, make: Callable[[], Nursery | None]) -> bool:
        """Take what `make` returns; return False where that is None."""
        try:
            if directory := os.environ.get(DIRECTORY):
                os.chdir(directory)  # again, because it may be a link to the newest release
            nursery = make()
        except OSError as error:
            self._go_on_without(f"it cannot be started: {error}")
            return True
        if nursery is None:
            return False
        self.incoming = self._living[nursery.pid] = nursery
        self._open.append(nursery)
        return True

    def _spawn(self) -> Nursery:
        return Nursery.spawn(
            self._command, self._lifeline, generation=self.generation, now=self._clock()
        )

    def _fork(self) -> Nursery | None:
        return Nursery.fork(
            self._lifeline, self._held, generation=self.generation, now=self._clock()
        )

    def heard(self) -> Iterator[tuple[Nursery, Message]]:
        """Yield the messages that have come, each with the nursery whose process or child sent it."""
        for nursery in tuple(self._open):
            try:
                for message in wire.heard(nursery.end):
                    yield nursery, message
            except EOFError:  # it is gone, and so are all of its workers
                self._open.remove(nursery)
                nursery.end.close()

    def install(self) -> None:
        """Let the incoming nursery be the current one."""
        if self.current:
            self.dismiss(self.current)
        self.current, self.incoming = self.incoming, None

    def dismiss(self, nursery: Nursery) -> None:
        """Have a nursery end; its workers live on."""
        if nursery.kill_at == inf:
            nursery.kill_at = self._clock() + PATIENCE
            linux.send(nursery.pid, signal.SIGTERM)

    def dismiss_all(self) -> None:
        """Have every nursery end, and start no other."""
        self.current = self.incoming = None
        for nursery in self:
            self.dismiss(nursery)

    def bury(self, death: Death) -> Nursery | None:
        """Take note of a death; return the nursery if it was one."""
        return self._living.pop(death.pid, None)

    def give_up_incoming(self, death: Death) -> None:
        """Go on with the current nursery."""
        self.incoming = None
        self._go_on_without(death.cause)

    def _go_on_without(self, why: str) -> None:
        """Go on with the current nursery; where there is none, start one later."""
        if self.current is None:
            self._wait(why)
            return
        self.generation = self.current.generation
        logger.error(
            "The new code cannot be imported (%s): the pool goes on with the old. "
            "Mend it and send SIGHUP again.",
            why,
            extra={"action": "pool_reload_failed", "reason": why},
        )

    def lose_current(self, death: Death) -> None:
        """Go on without a nursery, until there is another one."""
        assert self.current is not None
        if self._clock() - self.current.started_at >= LIVED_WELL:
            self._failures = 0
        self.current = None
        if self.incoming is None:
            self._wait(death.cause)

    def _wait(self, why: str) -> None:
        self._failures += 1
        delay = DELAYS[min(self._failures, len(DELAYS)) - 1]
        self.due_at = self._clock() + delay
        logger.error(
            "The nursery is gone (%s): the workers go on; a new one starts in %g s",
            why,
            delay,
            extra={"action": "pool_nursery_lost", "reason": why, "delay": delay},
        )


def own_command() -> list[str]:
    """Return the command that this process was started with."""
    return [sys.executable, *sys.orig_argv[1:]]
