"""The loop that carries out what a state machine over processes wants.

Whatever ends it early (Ctrl-C, SIGTERM, the hang-up of a terminal, a reader
that closed its pipe, an error of ours), the machine is halted and driven on
until nothing is left stopped; then the cause is raised again. Only SIGKILL can
leave a process stopped.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any

from gearfleet.errors import SupervisorError
from gearfleet.supervisor.pools import Evidence
from gearfleet.supervisor.processes import State
from gearfleet.supervisor.registrations import nobody
from gearfleet.supervisor.workers import nothing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType

    from gearfleet.supervisor.control import Supervisor
    from gearfleet.supervisor.events import Event, Report
    from gearfleet.supervisor.machine import Clock, Machine
    from gearfleet.supervisor.processes import Process
    from gearfleet.supervisor.registrations import Ask
    from gearfleet.supervisor.workers import Look

logger = logging.getLogger(__name__)

#: A look at the few processes that are under way takes supervisord a millisecond.
POLL_SECONDS = 0.03

#: A look at thousands of processes takes supervisord a second; so it is left in
#: peace for four times as long as a look took. To start processes may take long,
#: too, but they are ready sooner the sooner one looks.
REST_FACTOR = 4
LONGEST_REST = 4.0

#: All processes are looked at when one that is under way has got somewhere, and
#: at least so often, for the deadlines.
TURN_SECONDS = 0.5

#: In these states supervisord is at work, and there is nothing to do but wait.
ON_THEIR_WAY = frozenset({State.STARTING, State.STOPPING})

#: How long a supervisord that no longer answers is asked to start what was stopped:
#: a `reload` closes its sockets for a moment.
GIVE_UP_SECONDS = 15.0

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def drive(
    machine: Machine,
    control: Supervisor,
    *,
    report: Report,
    ask: Ask = nobody,
    look: Look = nothing,
    sleep: Callable[[float], None] = time.sleep,
    clock: Clock = time.monotonic,
) -> None:
    """Do what `machine` wants until it is done, and report each event.

    SIGINT, SIGTERM and SIGHUP halt the machine; while it puts things back they
    are answered by a report of what is still awaited.

    Raises:
        SupervisorError: supervisord cannot be asked any longer.
    """
    with _noted_signals() as signals:
        loop = _Loop(
            machine=machine,
            control=control,
            report=report,
            ask=ask,
            look=look,
            sleep=sleep,
            clock=clock,
            signals=signals,
        )
        try:
            loop.run()
        except BaseException as error:
            loop.put_back(error)
            raise


@dataclass(kw_only=True)
class _Loop:
    machine: Machine
    control: Supervisor
    report: Report
    ask: Ask
    look: Look
    sleep: Callable[[float], None]
    clock: Clock
    signals: deque[str]
    answered: float = field(init=False)
    looked: float = field(init=False, default=0.0)
    turned: float = field(init=False, default=-inf)

    def __post_init__(self) -> None:
        self.answered = self.clock()

    def run(self) -> None:
        while not self.machine.is_done:
            self._heed_signals()
            if self.clock() - self.turned >= TURN_SECONDS or self._has_news():
                self.turned = self.clock()
                self._turn()
            if not self.machine.is_done:
                self.sleep(min(max(POLL_SECONDS, REST_FACTOR * self.looked), LONGEST_REST))
        self._heed_signals()

    def put_back(self, cause: BaseException) -> None:
        """Drive on until nothing is left stopped; in silence, for the reader may be what failed."""
        self.report = _silent
        self.machine.halt(str(cause) or type(cause).__name__)
        self.turned = -inf
        while not self.machine.is_done:
            try:
                self.run()
            except SupervisorError as error:
                if self.clock() - self.answered > GIVE_UP_SECONDS:
                    self._give_up(error)
                    return
                self.sleep(POLL_SECONDS)

    def _heed_signals(self) -> None:
        while self.signals:
            self.turned = -inf
            self.machine.halt(f"interrupted by {self.signals.popleft()}")

    def _has_news(self) -> bool:
        names = self.machine.under_way
        if not names:
            return True
        began = self.clock()
        processes = self.control.processes_named(names)
        self._answered_since(began)
        is_on_its_way = [process.state in ON_THEIR_WAY for process in processes]
        return len(is_on_its_way) < len(names) or not all(is_on_its_way)

    def _answered_since(self, began: float) -> None:
        self.answered = self.clock()
        self.looked = self.answered - began

    def _turn(self) -> None:
        began = self.clock()
        processes = self.control.processes()
        self._answered_since(began)
        step = self.machine.observe(processes, self._evidence(processes))
        refusals = (
            *self.control.start(step.start),
            *self.control.stop(step.stop),
            *self.control.signal(step.renew, "HUP"),
        )
        # Last, because a report may fail, and what was decided must be done before.
        for event in (*step.events, *self.machine.refused(refusals)):
            self.report(event)

    def _evidence(self, processes: Sequence[Process]) -> Evidence:
        is_asked = self.machine.needs_registrations(processes)
        return Evidence(
            registered=self.ask() if is_asked else frozenset(),
            seen=self.look() if self.machine.needs_boards() else (),
        )

    def _give_up(self, error: SupervisorError) -> None:
        left = ", ".join(self.machine.under_way)
        logger.error(
            "These may be left stopped, because supervisord no longer answers: %s (%s)",
            left,
            error,
            extra={"action": "processes_left_stopped"},
        )


def _silent(_event: Event) -> None:
    pass


@contextmanager
def _noted_signals() -> Iterator[deque[str]]:
    """Note the names of signals instead of acting on them; only the main thread can."""
    noted: deque[str] = deque()
    previous: dict[signal.Signals, Any] = {}

    def note(number: int, _frame: FrameType | None) -> None:
        noted.append(signal.Signals(number).name)

    if threading.current_thread() is threading.main_thread():
        # What nohup ignores stays ignored; None is a handler that is not Python's.
        previous = {
            number: handler
            for number in SIGNALS
            if (handler := signal.getsignal(number)) not in (signal.SIG_IGN, None)
        }
    try:
        for number in previous:
            signal.signal(number, note)
        yield noted
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
