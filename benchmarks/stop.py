"""How long an idle worker of a Django project takes to stop: from SIGTERM to the end of its process.

    python benchmarks/stop.py [TIMES]

The worker is that of the example shop. Beside it stands an interpreter that has only set Django
up: it looks through all that it has imported once more at its end, which a worker keeps its
garbage collector from.
"""

from __future__ import annotations

import os
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bed import gearmand, say
from pool import LIMIT, Shop, wait_for

#: Sets Django up, says so, and ends when it is told to.
BARE = """
import signal, sys, time, django
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
django.setup()
print("up", flush=True)
time.sleep(1000)
"""


def main() -> None:
    """Print a table."""
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    found: dict[str, list[float]] = {"a worker": [], "Django alone": []}
    with tempfile.TemporaryDirectory() as folder, gearmand(Path(folder), cpu=()) as port:
        shop = Shop(Path(folder), port)
        for _ in range(times):
            found["a worker"].append(of_worker(shop))
            found["Django alone"].append(of_django(shop))
    say("| ms from SIGTERM to the end | median | least | most |\n|---|---|---|---|")
    for name, seconds in found.items():
        shown = (statistics.median(seconds), min(seconds), max(seconds))
        say(f"| {name} | {' | '.join(f'{each * 1e3:.0f}' for each in shown)} |")


def of_worker(shop: Shop) -> float:
    """Return the seconds that an idle worker takes."""
    with shop.started("separate", 1, shop.folder / "stop.log") as (pid,):
        wait_for(lambda: shop.registered() == 1, "the worker")
        seconds = seconds_to_end(pid)
    wait_for(lambda: shop.registered() == 0, "the job server to notice")
    return seconds


def of_django(shop: Shop) -> float:
    """Return the seconds that an interpreter takes which has only set Django up."""
    process = subprocess.Popen(
        [sys.executable, "-c", BARE],
        cwd=shop.folder / "shop",
        env=shop.env,
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        return seconds_to_end(process.pid)


def seconds_to_end(pid: int) -> float:
    """Tell a process to stop, and return how long it took."""
    ended = os.pidfd_open(pid)
    try:
        began = time.perf_counter()
        os.kill(pid, signal.SIGTERM)
        select.select([ended], [], [], LIMIT)
        return time.perf_counter() - began
    finally:
        os.close(ended)


if __name__ == "__main__":
    main()
