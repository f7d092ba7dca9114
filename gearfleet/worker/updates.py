"""`Updates`: sends what jobs say while they run.

Strategy. It is sent by a thread of its own. The connection belongs to the
worker's loop, which stands still while a task runs, so the thread has it then;
`end` gives it back before the loop goes on. Not the thread that runs the
task: there, between any two lines, the handler of a signal may raise (the stop
ladder's, a time limit's, the task's own), and half a packet would be lost.
Nobody waits for the job server: what it does not take waits in the link.
"""

from __future__ import annotations

import logging
import os
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from gearfleet.gearman.worker import GearmanWorker
    from gearfleet.tasks.current import CurrentJob

logger = logging.getLogger(__name__)


class Updates:
    """Takes what the jobs of one worker say, from any thread.

    Attributes:
        in_hand: the job that may say something, as the Gearman layer has it.
        is_used: whether a job has said something since the last one ended.
    """

    def __init__(self, gearman: GearmanWorker) -> None:
        """Send through the worker `gearman`; no thread is started before there is need."""
        self.in_hand: object = None
        self.is_used = False
        self._gearman = gearman
        self._pid = os.getpid()
        # A signal's handler may say something while its thread is saying something.
        self._saying = threading.RLock()
        self._waiting: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._progress: tuple[CurrentJob, int, int] | None = None
        self._thread: threading.Thread | None = None

    def begin(self, assignment: object) -> None:
        """Let the job say something from now on."""
        self.in_hand = assignment

    def end(self, _assignment: object) -> None:
        """Let it say nothing more; send the rest of what it has said."""
        self.in_hand = None
        if self.is_used:
            self._settle()

    def progress(self, job: CurrentJob, numerator: int, denominator: int) -> None:
        """Send a progress; it takes the place of one that is still waiting."""
        self._refuse_fork(job)
        with self._saying:
            if self._progress is not None or self._say(job, self._send_progress):
                self._progress = (job, numerator, denominator)

    def data(self, job: CurrentJob, data: bytes) -> None:
        """Send a part of the result."""
        send = self._gearman.send_job_data
        self._say(job, lambda: send(job.assignment, data, timeout=0))

    def warning(self, job: CurrentJob, data: bytes) -> None:
        """Send a warning."""
        send = self._gearman.send_job_warning
        self._say(job, lambda: send(job.assignment, data, timeout=0))

    def _settle(self) -> None:
        """Send the rest of what was said; afterwards the connection is the caller's."""
        with self._saying:
            self.is_used = False
            if self._thread is None:
                return
            is_sent = threading.Event()
            self._waiting.put(is_sent.set)
        is_sent.wait()

    def close(self) -> None:
        """End the thread."""
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join()
            self._thread = None

    def _refuse_fork(self, job: CurrentJob) -> None:
        if os.getpid() != self._pid:
            raise RuntimeError(
                f"{job!r} is in hand of process {self._pid}, and only that process may speak for "
                "it; tell that one what this one has to say"
            )

    def _say(self, job: CurrentJob, send: Callable[[], object]) -> bool:
        self._refuse_fork(job)
        with self._saying:
            # In this order: either we see that the job is over, or it is seen that we are used.
            self.is_used = True
            if job.assignment is not self.in_hand:
                logger.debug("%r is over: nothing is sent for it", job)
                return False
            if self._thread is None:
                self._thread = threading.Thread(target=self._send, name="job updates", daemon=True)
                self._thread.start()
            self._waiting.put(send)
            return True

    def _send_progress(self) -> None:
        with self._saying:
            said, self._progress = self._progress, None
        if said is not None:
            job, numerator, denominator = said
            self._gearman.send_job_status(job.assignment, numerator, denominator, timeout=0)

    def _send(self) -> None:
        while (send := self._waiting.get()) is not None:
            try:
                send()
            except Exception:
                logger.exception("What a job said could not be sent")
