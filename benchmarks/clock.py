"""What every driver does with time: take it, and print one line of JSON."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def report(count: int, seconds: float, **more: float | str) -> None:
    """Print the result of a driver."""
    print(json.dumps({"count": count, "seconds": seconds, **more}), flush=True)


class Latencies:
    """Runs one call again and again, and keeps how long each took."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call

    def run(self, count: int) -> None:
        """Run the call `count` times and print the result."""
        call, now = self._call, time.perf_counter
        times = []
        began = before = now()
        for _ in range(count):
            call()
            after = now()
            times.append(after - before)
            before = after
        times.sort()
        report(
            count,
            before - began,
            p50_us=times[count // 2] * 1e6,
            p99_us=times[int(count * 0.99)] * 1e6,
        )
