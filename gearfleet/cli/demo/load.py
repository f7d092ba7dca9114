"""The demo's customers: foreground and background jobs that flow until they are told to stop."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from typing import TYPE_CHECKING

from gearfleet.errors import GearfleetError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gearfleet.client import Client

#: What is asked for again and again: the task, and how its ledger entry begins.
BACKGROUND = (("shop.worker_bar.thumbnail", "thumbnail"), ("shop.worker_foo.invoice", "invoice"))
FOREGROUND = (("post.worker_bar2.confirm", "confirm"),)
#: A pause after each submit, so that jobs flow for as long as a restart takes.
PAUSE = 0.03
#: More jobs than this do not wait: a slow machine shall not work through a backlog for minutes.
BACKLOG = 40


class Load:
    """Jobs in flow: who submitted what, how often it was done, and what went wrong.

    Every job is known by the line that its task writes into the ledger, such
    as ``thumbnail 12``; no two jobs have the same.
    """

    def __init__(self, client: Client, ledger: Path) -> None:
        self.submitted: list[str] = []
        self.failures: list[str] = []
        self._client = client
        self._ledger = ledger
        self._done = 0
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._customer, args=(jobs, wait), daemon=True)
            for jobs, wait in ((_orders(BACKGROUND), False), (_orders(FOREGROUND), True))
        ]

    def start(self) -> None:
        """Let the jobs flow."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Submit no more; return when the last foreground result is there."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def in_background(self) -> int:
        """How many of the jobs nobody waits for: their results are recorded."""
        entries = tuple(f"{entry} " for _, entry in BACKGROUND)
        return sum(job.startswith(entries) for job in self.submitted)

    def times_done(self) -> Counter[str]:
        """Return how often each job stands in the ledger, as far as it does."""
        wanted = set(self.submitted)
        exists = self._ledger.exists()
        lines = self._ledger.read_text(encoding="utf-8").splitlines() if exists else []
        counts = Counter(line for line in lines if line in wanted)
        self._done = len(counts)
        return counts

    def _customer(self, jobs: Iterator[tuple[str, str, int]], wait: bool) -> None:
        while not self._stop.wait(PAUSE):
            if len(self.submitted) - self._done < BACKLOG:
                self._submit(*next(jobs), wait=wait)

    def _submit(self, task: str, entry: str, order: int, *, wait: bool) -> None:
        job = f"{entry} {order}"
        self.submitted.append(job)
        try:
            if wait:
                self._client.submit(task, order)
            else:
                self._client.delay(task, order)
        except GearfleetError as error:
            self.failures.append(f"{job}: {error}")


def _orders(tasks: tuple[tuple[str, str], ...]) -> Iterator[tuple[str, str, int]]:
    """Yield each task for order 1, each for order 2, and so on."""
    for order in itertools.count(1):
        for task, entry in tasks:
            yield task, entry, order
