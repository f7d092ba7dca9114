"""gearfleet's own driver, through its public classes only.

python benchmarks/ours.py MODE PORT FUNCTION COUNT [BYTES]
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from clock import Latencies, report

from gearfleet.gearman import GearmanClient, GearmanWorker

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH = 1000


def echo(server: str, function: str, count: int, data: bytes) -> None:
    """Answer jobs with their payload, until killed."""
    worker = GearmanWorker([server])
    worker.register_task(function, lambda worker, job: job.data)
    worker.work()


def fg(server: str, function: str, count: int, data: bytes) -> None:
    """Submit one foreground job at a time and wait for its result."""
    client = GearmanClient([server])

    def one() -> None:
        assert len(client.submit_job(function, data).result) == len(data)

    for _ in range(100 if len(data) < 1_000_000 else 1):
        one()
    Latencies(one).run(count)


def bg(server: str, function: str, count: int, data: bytes) -> None:
    """Submit one background job at a time and wait until it is accepted."""
    client = GearmanClient([server])
    Latencies(lambda: client.submit_job(function, data, background=True)).run(count)


def bulk(server: str, function: str, count: int, data: bytes) -> None:
    """Submit batches of background jobs."""
    client = GearmanClient([server])
    client.submit_job(function, data, background=True)  # connects
    batch = [{"task": function, "data": data}] * BATCH
    began = time.perf_counter()
    for _ in range(0, count, BATCH):
        assert all(job.complete for job in client.submit_multiple_jobs(batch, background=True))
    report(count, time.perf_counter() - began)


class Counter:
    """Stops a worker after the last job, and knows when the first one came."""

    def __init__(self, worker: GearmanWorker, count: int) -> None:
        self.began = 0.0
        self._worker = worker
        self._left = count

    def __call__(self, worker: Any, job: Any) -> bytes:
        self.began = self.began or time.perf_counter()
        self._left -= 1
        if not self._left:
            self._worker.shutdown()
        return b""


def drain(server: str, function: str, count: int, data: bytes, prefetch: int = 1) -> None:
    """Take jobs from a full queue; `work` returns when the server has processed the last one."""
    worker = GearmanWorker([server], prefetch=prefetch)
    counter = Counter(worker, count)
    worker.register_task(function, counter)
    worker.work()
    report(count, time.perf_counter() - counter.began)


def drain16(server: str, function: str, count: int, data: bytes) -> None:
    """The same with a prefetch of 16."""
    drain(server, function, count, data, prefetch=16)


def idle(server: str, function: str, count: int, data: bytes) -> None:
    """Wait `count` seconds for jobs that do not come; the CPU time is the result."""
    worker = GearmanWorker([server])
    worker.register_task(function, lambda worker, job: b"")
    began, spent = time.perf_counter(), time.process_time()
    worker.after_poll = lambda any_activity: time.perf_counter() - began < count  # type: ignore[method-assign]
    worker.work(poll_timeout=float(count))
    seconds = time.perf_counter() - began
    report(1, seconds, cpu=(time.process_time() - spent) / seconds)


MODES: dict[str, Callable[[str, str, int, bytes], None]] = {
    "echo": echo,
    "big_echo": echo,
    "fg": fg,
    "big": fg,
    "bg": bg,
    "bulk": bulk,
    "drain": drain,
    "drain16": drain16,
    "idle": idle,
}

if __name__ == "__main__":
    mode, port, name, count, *size = sys.argv[1:]
    MODES[mode](f"127.0.0.1:{port}", name, int(count), b"x" * int(*size or ["100"]))
