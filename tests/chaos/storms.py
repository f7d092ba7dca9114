"""A fleet of worker processes, a ledger of what they did, and trouble drawn from a seed."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from typing import TYPE_CHECKING

from gearfleet.errors import GearfleetError
from tests.support.waiting import wait_for
from tests.support.workers import WorkerProject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.processes import Process

#: Set another one to look for trouble that this one does not make.
SEED = int(os.environ.get("CHAOS_SEED", "1"))

#: Jobs that may wait: enough for every worker, few enough to be done soon.
BACKLOG = 40

#: Seconds within which the jobs that are left must be done after a storm.
CALM = 60.0

TASKS = """
@task(queue="foo")
def work(number, seconds):
    time.sleep(seconds)
    note(f"job {number}")
    return number
"""


class Storm:
    """Some workers of a project, and the jobs that job servers have accepted."""

    tasks = TASKS

    def __init__(self, folder: Path, *servers: str, workers: int = 3) -> None:
        self.random = random.Random(SEED)
        self.accepted: list[int] = []
        # The same job may well be in hand each time: that is the storm's doing, not its own.
        toml = "quarantine_after = 0\n"
        self.project = WorkerProject(folder, *servers, more=self.tasks, toml=toml)
        self._numbers = iter(range(10**6))
        self._workers = [self.project.start_ready() for _ in range(workers)]

    def rage(self, seconds: float, *troubles: Callable[[], None]) -> None:
        """For a while make trouble, and submit jobs all the time."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.random.choice(troubles)()
            pause = time.monotonic() + self.random.uniform(0.1, 0.4)
            while time.monotonic() < pause:
                if len(self.accepted) - len(self.done) < BACKLOG:
                    self.submit()
                else:
                    time.sleep(0.01)

    def submit(self) -> None:
        """Submit one short background job; count it if a job server accepts it."""
        number = next(self._numbers)
        try:
            self.project.delay("work", number, round(self.random.uniform(0, 0.03), 3))
        except GearfleetError:
            return  # not accepted; it may run or may not
        self.accepted.append(number)

    # Troubles

    def drain_one(self) -> None:
        """Stop a worker as supervisord does, or renew it, and start another one at once."""
        self._end(self.random.choice([signal.SIGTERM, signal.SIGINT, signal.SIGHUP]))

    def interrupt_one(self) -> None:
        """Stop a worker with two signals."""
        worker = self._end(signal.SIGTERM)
        worker.signal(signal.SIGTERM)

    def kill_one(self) -> None:
        self._end(signal.SIGKILL)

    def freeze_one(self) -> None:
        """Stop a worker's process for a moment."""
        worker = self.random.choice(self._workers)
        worker.pause()
        self.submit()
        worker.go_on()

    def _end(self, number: signal.Signals) -> Process:
        at = self.random.randrange(len(self._workers))
        worker = self._workers[at]
        worker.signal(number)
        self._workers[at] = self.project.start()
        return worker

    # The calm after it

    def wait_until_done(self) -> None:
        """Wait until every accepted job has been done."""

        def is_done() -> bool:
            return not set(self.accepted) - set(self.done)

        try:
            wait_for(is_done, "the accepted jobs", timeout=CALM)
        except AssertionError as error:
            lost = sorted(set(self.accepted) - set(self.done))
            raise AssertionError(
                f"seed {SEED}: {error}; not done: {lost[:50]}\n{self._logs()}"
            ) from error

    @property
    def done(self) -> Counter[int]:
        """How often each job was done."""
        notes = [note.split() for note in self.project.diary]
        return Counter(int(note[1]) for note in notes if note[0] == "job")

    def stop(self) -> Iterator[int]:
        """Drain all workers, and yield their exit codes."""
        for worker in self._workers:
            worker.signal(signal.SIGTERM)
        for worker in self._workers:
            yield worker.wait(timeout=CALM)

    def _logs(self) -> str:
        logs = sorted(self.project.folder.glob("worker.*.log"))
        return "\n".join(f"{log.name}: {log.read_text()[-600:]}" for log in logs[-4:])

    def close(self) -> None:
        self.project.close()
