"""The stop ladder: how a worker that is told to stop gets there.

    TERM, INT            drain: take no new job, finish the one in hand
    a second one, or     interrupt: `JobInterrupted` is raised in the task, the connection
    drain_timeout        is closed, so that the job server gives the job to another worker
    interrupt_grace      the task is still there: it is raised once more
    3 seconds later      the process ends hard, with its stacks on stderr

Beside it:

    HUP                  drain as well, and end with the code that asks for new code
    TSTP                 quiet: take no new job, finish the one in hand, stay
    CONT                 take jobs again
    USR1                 log what is running, with the stacks of all threads

After the job, whatever became of it, come the shutdown hooks, within `hook_timeout`.

Strategy. A signal becomes a byte on a socket (`signal.set_wakeup_fd`), written
by Python's C code the moment it arrives; a small thread reads it and climbs the
ladder. So the first signal is answered in the log at once, and the clock runs,
even while the main thread sits in a library that never returns to Python. Our
handlers do nothing, with one exception: the one that interrupts (`main_thread`).
"""

from __future__ import annotations

import select
import signal
import socket
import threading
import time
from contextlib import contextmanager
from math import inf
from typing import TYPE_CHECKING, Protocol

from gearfleet.errors import EXIT_RECYCLED
from gearfleet.worker import sentences
from gearfleet.worker.hard_end import HardEnd
from gearfleet.worker.main_thread import Inside, MainThread
from gearfleet.worker.rungs import Limits, Phase, Rung

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from gearfleet.worker.soft_limit import SoftLimit

#: Seconds between the last call to the main thread and the hard end; leaving
#: the job servers may take 2 of them.
LAST_CALL = 3.0

# Bytes that the main thread sends to the ladder's; signals end at 64.
_RECYCLE, _LOOK, _END, _HOOKS = 252, 253, 254, 255
#: What the ladder's thread finds by itself.
_ORPHANED = 251


class Interruptible(Protocol):
    """Threads that run jobs."""

    @property
    def in_hand(self) -> int:
        """How many jobs they run."""

    def interrupt(self) -> None:
        """Raise `JobInterrupted` in the jobs."""


class StopLadder:
    """Watches for the signals that stop a worker; enter it before the first job can come.

    Attributes:
        reason: why the worker stops, such as ``"SIGTERM"``; empty while it does not.
        is_interrupted: whether jobs have to go back to the job server.
        is_quiet: whether the worker was told to take no jobs for a while.
        exit_code: what the process ends with.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        drain: Callable[[], None],
        quiet: Callable[[], None] = lambda: None,
        resume: Callable[[], None] = lambda: None,
        tell: Callable[[str], None] = lambda state: None,
        crew: Interruptible | None = None,
        on_drain: Callable[[str], None] | None = None,
        hard_end: HardEnd | None = None,
        lifeline: int | None = None,
    ) -> None:
        """Watch when it is entered; the functions are called from the ladder's thread.

        Args:
            limits: of each step.
            drain: lets the worker take no more jobs, and end.
            quiet: lets it take no more jobs.
            resume: undoes `quiet`.
            tell: is told each new state: quiet, idle, draining, interrupted.
            crew: runs the jobs where the main thread does not.
            on_drain: is called in a thread of its own, with the reason, when a drain begins;
                `shutting_down` waits for it.
            hard_end: of the process, which time limits use too.
            lifeline: a descriptor that is at its end when the parent of the pool is gone; the
                worker then drains.
        """
        self.reason = ""
        self.is_interrupted = False
        self.is_quiet = False
        self.exit_code = 0
        self._limits = limits
        self._drain = drain
        self._quiet = quiet
        self._resume = resume
        self._tell_state = tell
        self._crew = crew
        self._on_drain = on_drain
        self._drain_hooks: threading.Thread | None = None
        self._hard_end = hard_end or HardEnd()
        self._lifeline = lifeline
        self._is_told_to_stop = False
        #: Before that the process may not end in order to be renewed.
        self._renews_from = time.monotonic() + limits.startsecs
        self._renewal_at = inf
        self._recycling = ""
        self._is_recycled = threading.Event()
        self._main = MainThread(self._look_by)
        self._rung = Rung.RUNNING
        self._deadline = inf
        #: When the thread looks again by itself; whoever needs it earlier has to wake it.
        self._looks_at = inf

    def __enter__(self) -> StopLadder:
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        self._hard_end.wake_by(self._look_again)
        self._main.take_signals(self._writer)
        # Not select(), which knows no descriptor above 1023.
        self._poll = select.poll()
        self._poll.register(self._reader, select.POLLIN)
        if self._lifeline is not None:
            self._poll.register(self._lifeline, select.POLLIN)
        self._thread = threading.Thread(target=self._watch, name="stop ladder", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._main.give_signals_back()
        self._writer.send(bytes([_END]))
        self._thread.join(LAST_CALL)
        self._hard_end.close()
        self._reader.close()
        self._writer.close()

    # What the main thread calls

    def starting(self) -> Inside:
        """Return a context in which the first signal already raises `JobInterrupted`."""
        return Inside(self._main, Phase.STARTING)

    def job(self) -> Inside:
        """Return the context to run a job in; `JobInterrupted` is raised within when it has to end."""
        return self._main.job

    def limit(self, seconds: float) -> SoftLimit:
        """Return the context to call a task in; `SoftTimeLimitExceeded` is raised within, once."""
        return self._main.limit(seconds)

    def recycle(self, reason: str) -> bool:
        """Drain, to be started again; return False if this is no time for it.

        Call it from the main thread, between two jobs. Those that other threads
        have in hand may take as long as they need.
        """
        is_young = time.monotonic() < self._renews_from
        if self._rung is not Rung.RUNNING or self.is_quiet or is_young:
            return False
        self._recycling = reason
        self._is_recycled.clear()
        self._writer.send(bytes([_RECYCLE]))
        return self._is_recycled.wait(LAST_CALL)

    @contextmanager
    def shutting_down(self) -> Iterator[None]:
        """Bound the shutdown hooks: `JobInterrupted` is raised within after `hook_timeout`."""
        self._writer.send(bytes([_HOOKS]))
        with Inside(self._main, Phase.HOOKS):
            yield
            if self._drain_hooks is not None:
                self._drain_hooks.join()

    def _look_by(self, moment: float) -> None:
        if moment < self._looks_at:
            self._look_again()

    def _look_again(self) -> None:
        self._writer.send(bytes([_LOOK]))

    # The ladder's thread

    def _watch(self) -> None:
        while (number := self._next()) != _END:
            try:
                self._handle(number)
            except Exception:  # of a log: a task may have closed stderr, and we stop all the same
                continue

    def _handle(self, number: int | None) -> None:
        if number is None:
            self._handle_silence()
        elif number == _HOOKS:
            self._handle_hooks()
        elif number == _RECYCLE:
            self._handle_recycling()
        elif number == _ORPHANED:
            self._handle_orphaned()
        elif number in _HANDLED:
            _HANDLED[number](self, signal.Signals(number).name)

    def _next(self) -> int | None:
        """Return the next byte, or None if none came until something is due."""
        # In this order: either we see a limit that begins now, or we are woken for it.
        self._looks_at = inf
        self._looks_at = self._next_look()
        left = max(0.0, self._looks_at - time.monotonic())
        ready = self._poll.poll(None if left == inf else left * 1000)
        for descriptor, _ in ready:
            if descriptor == self._lifeline:
                self._poll.unregister(descriptor)  # it would be ready for ever
                return _ORPHANED
        return self._reader.recv(1)[0] if ready else None

    def _next_look(self) -> float:
        own = min(self._deadline, self._renewal_at)
        return min(own, self._main.looks_at, self._hard_end.looks_at)

    def _handle_stop(self, name: str) -> None:
        if self._rung is Rung.HOOKS:
            return
        if self._rung is Rung.INTERRUPTED:
            self._main.call()
        elif self._is_told_to_stop:
            self._interrupt(f"second signal, {name}")
        else:
            self._is_told_to_stop = True
            self.exit_code = 0  # also of a worker that was about to be renewed
            self._start_draining(name, self._limits.drain_timeout)

    def _handle_orphaned(self) -> None:
        if not self._is_told_to_stop:
            sentences.pool_lost()
            self._handle_stop(signal.SIGTERM.name)

    def _handle_hangup(self, name: str) -> None:
        """Let the process end, so that whoever supervises it starts the new code."""
        wait = self._renews_from - time.monotonic()
        if self._rung is not Rung.RUNNING:
            sentences.ignored(name, self.reason)
        elif wait > 0:
            self._renewal_at = self._renews_from
            sentences.waiting_to_renew(name, wait)
        else:
            self._renew(name, self._limits.drain_timeout)

    def _handle_recycling(self) -> None:
        try:
            if self._rung is Rung.RUNNING:
                self._renew(self._recycling, inf)
        finally:
            self._is_recycled.set()

    def _handle_quiet(self, name: str) -> None:
        if self._rung is not Rung.RUNNING:
            sentences.ignored(name, self.reason)
            return
        self.is_quiet = True
        self._quiet()
        self._tell_state("quiet")
        sentences.quiet(self.in_hand)

    def _handle_resume(self, name: str) -> None:
        # It also follows every SIGSTOP, so it is no news by itself.
        if self._rung is Rung.RUNNING and self.is_quiet:
            self.is_quiet = False
            self._resume()
            self._tell_state("idle")
            sentences.resumed(name)

    def _handle_report(self, _name: str) -> None:
        from gearfleet.worker.stacks import report  # for those who ask

        is_quiet = self.is_quiet and self._rung is Rung.RUNNING
        state = "quiet" if is_quiet else self._rung.name.lower()
        sentences.state(state, self.in_hand, report())

    def _handle_silence(self) -> None:
        self._look_for_overdue()
        self._main.look()
        now = time.monotonic()
        if now >= self._renewal_at:
            self._renewal_at = inf
            if self._rung is Rung.RUNNING:
                self._renew("SIGHUP", self._limits.drain_timeout)
        if now >= self._deadline:
            self._deadline = inf
            self._handle_deadline()

    def _look_for_overdue(self) -> None:
        self._hard_end.tidy()
        if (found := self._hard_end.overdue()) is not None:
            sentences.time_limit_reached(*found)
            self._hard_end.end_now()

    def _handle_deadline(self) -> None:
        if self._rung is Rung.DRAINING:
            self._interrupt(f"not done after {self._limits.drain_timeout:g} s")
        elif self._rung is Rung.INTERRUPTED:
            self._call_jobs()
            sentences.stuck(self._limits.interrupt_grace, LAST_CALL)
        else:
            self._main.end(Phase.HOOKS)
            self._main.call()

    def _handle_hooks(self) -> None:
        self._rung = Rung.HOOKS
        self._deadline = time.monotonic() + self._limits.hook_timeout
        self._hard_end.last_call(self._limits.hook_timeout + LAST_CALL)

    def _start_draining(self, name: str, timeout: float) -> None:
        is_first = self._rung is Rung.RUNNING
        self._rung, self.reason = Rung.DRAINING, name
        self._main.end(Phase.STARTING)
        self._deadline = min(self._deadline, time.monotonic() + timeout)
        if is_first:
            self._drain()
            self._tell_state("draining")
            self._begin_drain_hooks(name)
        is_immediate = self._is_told_to_stop and self._limits.stop == "immediate"
        if not (is_immediate and self.in_hand):
            sentences.draining(name, self.in_hand, timeout, self.exit_code)
        if self._main.phase is Phase.STARTING:
            self._main.call()
        elif is_immediate:
            self._interrupt(f"{name}, and the option stop is immediate")

    def _begin_drain_hooks(self, reason: str) -> None:
        if self._on_drain is not None:
            self._drain_hooks = threading.Thread(
                target=self._on_drain, args=(reason,), name="on_drain hooks", daemon=True
            )
            self._drain_hooks.start()

    def _renew(self, reason: str, timeout: float) -> None:
        self.exit_code = EXIT_RECYCLED
        self._start_draining(reason, timeout)

    def _interrupt(self, why: str) -> None:
        grace = self._limits.interrupt_grace
        self._rung, self.is_interrupted = Rung.INTERRUPTED, True
        self._main.end(Phase.JOB)
        self._deadline = time.monotonic() + grace
        self._hard_end.last_call(grace + LAST_CALL)
        self._tell_state("interrupted")
        in_hand = self.in_hand
        self._call_jobs()
        if in_hand:
            sentences.interrupting(why, in_hand, grace)

    def _call_jobs(self) -> None:
        self._main.call()
        if self._crew is not None:
            self._crew.interrupt()

    @property
    def in_hand(self) -> int:
        if self._crew is not None:
            return self._crew.in_hand
        return 1 if self._main.phase is Phase.JOB else 0


#: What each signal does.
_HANDLED: Mapping[int, Callable[[StopLadder, str], None]] = {
    signal.SIGTERM: StopLadder._handle_stop,
    signal.SIGINT: StopLadder._handle_stop,
    signal.SIGHUP: StopLadder._handle_hangup,
    signal.SIGTSTP: StopLadder._handle_quiet,
    signal.SIGCONT: StopLadder._handle_resume,
    signal.SIGUSR1: StopLadder._handle_report,
}
