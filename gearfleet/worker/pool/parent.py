"""The parent of a pool: it keeps the slots filled, hands signals on, and waits for everybody.

    TERM, INT     every worker drains; a second one interrupts them; exit 0 when all are gone
    HUP           a new nursery imports the code again; when it has, the workers are replaced
    TSTP, CONT    no worker takes a job any more, or they do again; also those to come
    USR1          say who is there; each worker says what it runs

Strategy. One loop, which waits for signals, messages and the clock. Deaths are
told by the kernel alone (`linux.reap`), everything else by `wire`. A message
may be on its way when its sender dies: so deaths are collected first, messages
read second, and deaths taken note of third.
"""

from __future__ import annotations

import logging
import select
import signal
import time
from math import inf
from typing import TYPE_CHECKING, Self

from gearfleet.errors import EXIT_FAILED, EXIT_RECYCLED
from gearfleet.worker import prometheus
from gearfleet.worker.pool import linux, news
from gearfleet.worker.pool.ear import Ear
from gearfleet.worker.pool.nurseries import Nurseries, own_command
from gearfleet.worker.pool.slots import Slots, Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gearfleet.worker.pool.linux import Death
    from gearfleet.worker.pool.nurseries import Nursery
    from gearfleet.worker.pool.wire import Message
    from gearfleet.worker.rungs import Limits

logger = logging.getLogger(__name__)

_STOPS = (signal.SIGTERM, signal.SIGINT)
_QUIET, _RESUME, _TELL = signal.SIGTSTP, signal.SIGCONT, signal.SIGUSR1
_SIGNALS = (*_STOPS, _QUIET, _RESUME, _TELL, signal.SIGHUP, signal.SIGCHLD)

#: Seconds beyond its own limits that a worker has until the parent kills it. It
#: ends itself 3 seconds after the last of them (`lifecycle.LAST_CALL`).
PATIENCE = 5.0


class Pool:
    """N workers of one worker module, and the nursery that they come from.

    Example:
        with Pool(8, limits=limits) as pool:
            code = pool.run() if pool.is_parent else be_the_nursery()

    Attributes:
        is_parent: False in the process that is to import the code, if it is a fork of this one.
    """

    is_parent = True

    def __init__(
        self,
        size: int,
        *,
        limits: Limits,
        command: Sequence[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare a pool.

        Args:
            size: how many workers run.
            limits: of the workers' steps of stopping.
            command: that becomes a nursery; without it, that of this process.
            clock: monotonic seconds.
        """
        self._ear = Ear(_SIGNALS)
        self._limits = limits
        self._clock = clock
        self._slots = Slots(size)
        self._workers: dict[int, Worker] = {}
        self._nurseries = Nurseries(command or own_command(), clock)
        self._stops = 0
        self._reason = ""
        self._code = 0
        self._killed = 0
        #: Of workers that nobody had told to end, and that were not to be renewed.
        self._deaths = 0
        self._is_quiet = False
        self._is_settled = False

    def __enter__(self) -> Self:
        """Take the signals, and have the code imported; there is time until it is.

        Call it from the main thread.

        Raises:
            UsageError: this is not Linux.
        """
        linux.become_subreaper()
        # So that none is lost, and none that comes to a nursery is heard by its parent.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            self.is_parent = self._nurseries.begin()
            if self.is_parent:
                self._ear.__enter__()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self.is_parent:
            self._ear.__exit__(*exc_info)

    def run(self) -> int:
        """Keep the pool until it is told to stop; return the exit code of the process."""
        news.started(self._slots.size)
        while not self._is_over:
            select.select([self._ear.socket, *self._nurseries.ends], [], [], self._timeout())
            self._turn()
        news.stopped(self._reason, self._killed, self._code)
        return self._code

    # One turn of the loop

    @property
    def _is_over(self) -> bool:
        return bool(self._stops) and not self._workers and not self._nurseries

    def _timeout(self) -> float | None:
        now = self._clock()
        due = min(
            self._slots.next_due(now),
            self._nurseries.due_at if self._nurseries.is_missing and not self._stops else inf,
            *(worker.kill_at for worker in self._workers.values()),
            *(nursery.kill_at for nursery in self._nurseries),
        )
        return None if due == inf else max(0.0, due - now)

    def _turn(self) -> None:
        for number in self._ear.heard():
            self._handle(number)
        deaths = tuple(linux.reap())
        for nursery, message in self._nurseries.heard():
            self._read(nursery, message)
        for death in deaths:
            self._handle_death(death)
        self._kill_overdue()
        self._tend()

    def _tend(self) -> None:
        """Start what is missing."""
        if self._stops:
            return
        now = self._clock()
        if self._nurseries.is_missing and now >= self._nurseries.due_at:
            self._nurseries.start()
        for slot in self._slots.stillborn(now):
            news.stillborn(slot.number, slot.fail(now))
        if nursery := self._nurseries.current:
            for slot in self._slots.wanting(nursery.generation, now, self._workers.values()):
                slot.ordered_at, slot.is_quiet = now, self._is_quiet
                slot.is_ordered = nursery.order(slot.number, is_quiet=slot.is_quiet)

    # Signals

    def _handle(self, number: signal.Signals) -> None:
        if number in _STOPS:
            self._handle_stop(number.name)
        elif number is signal.SIGHUP:
            self._handle_hup()
        elif number is _TELL:
            self._handle_tell()
        elif number in (_QUIET, _RESUME) and not self._stops:
            self._handle_quiet(is_quiet=number is _QUIET)

    def _handle_stop(self, name: str) -> None:
        if self._stops:
            news.interrupted(name)
        else:
            self._reason = name
            news.draining(name, len(self._workers), self._limits.drain_timeout)
        self._stop_all()

    def _handle_hup(self) -> None:
        if self._stops:
            news.reload_refused()
            return
        news.reloading()
        self._nurseries.generation += 1
        self._nurseries.start()

    def _handle_quiet(self, *, is_quiet: bool) -> None:
        self._is_quiet = is_quiet
        news.quiet(is_quiet)
        self._hand_on(_QUIET if is_quiet else _RESUME)

    def _handle_tell(self) -> None:
        news.state(self._slots, self._workers.values(), self._clock(), self._deaths)
        self._hand_on(_TELL)

    def _hand_on(self, number: signal.Signals) -> None:
        for worker in self._workers.values():
            if worker.is_up:
                linux.send(worker.pid, number)

    # Messages

    def _read(self, nursery: Nursery, message: Message) -> None:
        if message.word == "imported":
            self._handle_imported(nursery)
        elif message.word == "unborn":
            self._handle_unborn(*message.numbers)
        elif message.word == "born":
            self._handle_born(nursery, *message.numbers)
        elif worker := self._workers.get(message.numbers[0]):
            self._handle_news(worker, message.word)

    def _handle_imported(self, nursery: Nursery) -> None:
        if nursery is not self._nurseries.incoming:
            return  # it was dismissed meanwhile
        news.imported(self._clock() - nursery.started_at)
        self._nurseries.install()
        self._is_settled = False
        self._slots.forget_orders()
        for worker in self._slots.superseded(nursery.generation):
            self._stop(worker)

    def _handle_unborn(self, slot: int, error: int) -> None:
        news.unborn(slot, error, self._slots[slot].fail(self._clock()))

    def _handle_born(self, nursery: Nursery, slot: int, pid: int) -> None:
        worker = Worker(pid=pid, slot=slot, generation=nursery.generation, born_at=self._clock())
        self._workers[pid] = worker
        if self._stops or not self._slots[slot].take(worker):
            self._stop(worker)

    def _handle_news(self, worker: Worker, word: str) -> None:
        if word == "up":
            worker.is_up = True
            if self._is_quiet != self._slots[worker.slot].is_quiet and not worker.stops:
                linux.send(worker.pid, _QUIET if self._is_quiet else _RESUME)
        elif word == "serving" and not self._stops:
            worker.is_serving = True
            if replaced := self._slots[worker.slot].serve(worker):
                self._stop(replaced)
            self._maybe_settle()

    def _maybe_settle(self) -> None:
        """Say once that every slot has a worker of the newest code, and they all serve."""
        nursery = self._nurseries.current
        if self._is_settled or nursery is None or self._nurseries.incoming:
            return
        if self._slots.all_serve(nursery.generation):
            self._is_settled = True
            news.ready(self._slots.size, self._clock() - nursery.started_at)

    # Deaths

    def _handle_death(self, death: Death) -> None:
        prometheus.mark_dead(death.pid)
        if worker := self._workers.pop(death.pid, None):
            self._handle_worker_death(worker, death)
        elif nursery := self._nurseries.bury(death):
            self._handle_nursery_death(nursery, death)
        else:  # we are PID 1, or it is what a nursery left that was killed
            logger.debug("Reaped process %d: %s", death.pid, death.cause)

    def _handle_worker_death(self, worker: Worker, death: Death) -> None:
        now = self._clock()
        delay = None
        self._deaths += not worker.stops and death.code != EXIT_RECYCLED
        if not self._stops:
            delay = self._slots[worker.slot].lose(worker, death.code, now)
        news.death(worker, death, now - worker.born_at, delay)
        if delay is not None:
            self._is_settled = False
            if code := self._slots.incurable:
                self._end(code, "no worker could start")

    def _handle_nursery_death(self, nursery: Nursery, death: Death) -> None:
        if nursery is self._nurseries.current:
            self._slots.forget_orders()
            self._nurseries.lose_current(death)
        elif nursery is not self._nurseries.incoming:
            return  # it was dismissed
        elif self._workers or self._nurseries.current:
            self._nurseries.give_up_incoming(death)
            self._maybe_settle()
        else:
            self._end(max(death.code, EXIT_FAILED), f"its nursery has ended, {death.cause}")

    # Ending

    def _end(self, code: int, why: str) -> None:
        """Stop by ourselves, with an exit code that says why."""
        self._code, self._reason = code, why
        news.failed(code, why)
        self._stop_all()

    def _stop_all(self) -> None:
        """Have every worker drain that does not yet; have all interrupt their jobs the next time."""
        self._stops += 1
        self._nurseries.dismiss_all()
        self._slots.forget_orders()
        for worker in self._workers.values():
            if self._stops > 1 or not worker.stops:
                self._stop(worker)

    def _stop(self, worker: Worker) -> None:
        """Have a worker drain; told again, it interrupts its job."""
        worker.stops += 1
        limits = self._limits
        draining = limits.drain_timeout if worker.stops == 1 else 0.0
        ending = limits.interrupt_grace + limits.hook_timeout + PATIENCE
        worker.kill_at = min(worker.kill_at, self._clock() + draining + ending)
        # Another one the second time: of two alike, the kernel keeps one while it is pending.
        linux.send(worker.pid, signal.SIGTERM if worker.stops == 1 else signal.SIGINT)

    def _kill_overdue(self) -> None:
        now = self._clock()
        for one in (*self._workers.values(), *self._nurseries):
            if one.kill_at <= now:
                one.kill_at = inf
                self._killed += one.pid in self._workers
                news.killed(one.pid)
                linux.send(one.pid, signal.SIGKILL)
