"""Several jobs at a time in one worker: `CrewWorker`, for tasks that wait more than they compute.

Strategy. The main thread keeps the connections and nothing else: it hands each
job to a thread of the `Crew`, and writes what comes back. So the job servers are
answered whatever the jobs do, and no other thread touches a connection. As many
GRABs are out as threads are free. Coroutines run on one event loop in a thread
of its own, while the threads that were given their jobs wait for them.

To interrupt, `JobInterrupted` is raised in the threads between two lines of
Python, and coroutines are cancelled where they wait. A thread that is in a
library then hears of it late; the stop ladder's hard end does not wait for it.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from gearfleet.errors import GearfleetError, JobInterrupted
from gearfleet.worker.equipment import TaskWorker

if TYPE_CHECKING:
    from collections.abc import Callable

    from gearfleet.config import Settings
    from gearfleet.gearman.hub import Hub
    from gearfleet.gearman.jobs import GearmanJob
    from gearfleet.gearman.link import Link
    from gearfleet.tasks.current import CurrentJob
    from gearfleet.worker.job import Outcome

logger = logging.getLogger(__name__)


class Crew:
    """Up to `size` threads that each do one thing at a time."""

    def __init__(self, size: int, ended: Callable[[], None]) -> None:
        """Start each thread when there is something for it to do; call `ended` when that is done."""
        self._size = size
        self._ended = ended
        self._given: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._busy = 0
        self._changing = threading.Lock()

    @property
    def in_hand(self) -> int:
        """How many things are being done, or wait to be."""
        return self._busy

    def run(self, call: Callable[[], None]) -> None:
        """Let a thread call `call`, which raises nothing."""
        with self._changing:
            self._busy += 1
            if self._busy > len(self._threads) and len(self._threads) < self._size:
                self._start()
        self._given.put(call)

    def _start(self) -> None:
        name = f"crew {len(self._threads) + 1}"
        # Daemons: one that is stuck must not keep the interpreter from its end.
        thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _serve(self) -> None:
        while True:
            call = self._given.get()
            try:
                call()
            finally:
                with self._changing:
                    self._busy -= 1
                self._ended()


class CrewWorker(TaskWorker):
    """Runs up to `size` jobs at a time, each in a thread.

    Attributes:
        crew: the threads.
    """

    def __init__(self, settings: Settings, name: str, *, size: int, prefetch: int = 1) -> None:
        """Use the job servers of `settings`, which show this worker as `name`."""
        super().__init__(settings, name, prefetch=max(size, prefetch))
        self.crew = Crew(size, ended=self._wake)
        #: What the main thread has to do, in this order.
        self._inbox: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._unkept: dict[Link, tuple[GearmanJob, GearfleetError]] = {}

    def call_soon(self, call: Callable[[], object]) -> None:
        """Let the main thread call `call`, which raises nothing; safe in any thread."""
        self._inbox.put(call)
        self._wake()

    def _step(self, hub: Hub, poll_timeout: float) -> bool:
        is_going_on = super()._step(hub, poll_timeout)
        # In this order: who is not busy any more has put what is to be done before.
        is_busy = self.crew.in_hand > 0
        while not self._inbox.empty():
            self._inbox.get()()
        if not is_busy:
            self._let_go_of_unkept()
        return (is_going_on and not self._is_stopping) or is_busy

    def _run_jobs(self, hub: Hub) -> bool:
        while hub.hand and not self._is_stopping:
            job = hub.hand.popleft()
            if not job.is_finished:
                self.crew.run(partial(self._run_in_crew, job))
        return True

    def _hand_out_grabs(self, hub: Hub, now: float) -> None:
        if self._unkept:
            hub.flush(now)
        else:
            super()._hand_out_grabs(hub, now)

    def _run_in_crew(self, job: GearmanJob) -> None:
        try:
            outcome = self._execute(job)
        except JobInterrupted:
            pass  # the connections are about to be closed: the job runs again elsewhere
        except GearfleetError as error:
            self._inbox.put(partial(self._keep, job, error))
        except BaseException:
            exc_info: Any = sys.exc_info()
            self._inbox.put(partial(self.on_job_exception, job, exc_info))
        else:
            self._inbox.put(partial(self._end, job, outcome))

    def _end(self, job: GearmanJob, outcome: Outcome) -> None:
        self.answer(job, outcome)
        machine = job.connection.machine
        if machine is not None:
            machine.finished_job(time.monotonic())
        self._is_behind = True
        if not self.after_job():
            self.shutdown()

    def _keep(self, job: GearmanJob, error: GearfleetError) -> None:
        """Keep a job that has to run again until the others of its connection have ended.

        Only the end of the connection gives it back, and that would give them back too.
        """
        self._unkept.setdefault(job.connection, (job, error))

    def _let_go_of_unkept(self) -> None:
        unkept, self._unkept = self._unkept, {}
        for link, (job, error) in unkept.items():
            link.flush(time.monotonic())  # the results of the others
            self.give_back(job, error)


class CrewUpdates:
    """Takes what the jobs of a crew say, and lets the main thread send it."""

    def __init__(self, worker: CrewWorker) -> None:
        """Send through `worker`."""
        self._worker = worker
        self._in_hand: set[object] = set()
        self._progress: dict[object, tuple[int, int]] = {}

    def begin(self, assignment: object) -> None:
        """Let the job say something from now on."""
        self._in_hand.add(assignment)

    def end(self, assignment: object) -> None:
        """Let it say nothing more; what it has said goes before its result."""
        self._in_hand.discard(assignment)

    def progress(self, job: CurrentJob, numerator: int, denominator: int) -> None:
        """Send a progress; it takes the place of one that is still waiting."""
        is_waiting = job.assignment in self._progress
        self._progress[job.assignment] = (numerator, denominator)
        if not is_waiting:
            self._say(job, partial(self._send_progress, job.assignment))

    def data(self, job: CurrentJob, data: bytes) -> None:
        """Send a part of the result."""
        self._say(job, partial(self._worker.send_job_data, job.assignment, data, timeout=0))

    def warning(self, job: CurrentJob, data: bytes) -> None:
        """Send a warning."""
        self._say(job, partial(self._worker.send_job_warning, job.assignment, data, timeout=0))

    def close(self) -> None:
        """Do nothing: the main thread has sent everything."""

    def _say(self, job: CurrentJob, send: Callable[[], object]) -> None:
        if job.assignment in self._in_hand:
            self._worker.call_soon(send)
        else:
            logger.debug("%r is over: nothing is sent for it", job)

    def _send_progress(self, assignment: Any) -> None:
        if (said := self._progress.pop(assignment, None)) is not None:
            self._worker.send_job_status(assignment, *said, timeout=0)
