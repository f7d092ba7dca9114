"""gearfleet's driver of `submit_many`: batches of jobs, as the yardstick's `bulk`.

python benchmarks/many.py COUNT
"""

from __future__ import annotations

import sys
import time

from clock import report
from noop.tasks import tick

from gearfleet import Client

BATCH = 1000


def submit(count: int) -> None:
    """Submit so many jobs, and print how long it took."""
    client = Client()
    began = time.perf_counter()
    for start in range(0, count, BATCH):
        size = min(BATCH, count - start)
        handles = client.submit_many(tick.call(number) for number in range(size))
        assert len(handles) == size
    report(count, time.perf_counter() - began)


if __name__ == "__main__":
    submit(int(sys.argv[1]))
