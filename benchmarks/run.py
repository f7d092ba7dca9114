"""Run every workload with every driver, in interleaved rounds, and print ratios.

    make bench                               all workloads, 5 rounds
    python benchmarks/run.py --rounds 3 fg drain

gearmand has CPU 0, the drivers share CPU 1. A round runs each driver once
through each workload; a ratio is the median of the ratios within the rounds, so
that what else the machine did in a round touches both sides. A single figure
is worth little, see README.md beside this file.
"""

from __future__ import annotations

import argparse
import itertools
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bed import (
    DRIVER_CPU,
    HERE,
    Failed,
    build_yardstick,
    gearmand,
    machine,
    rate_of,
    ratio,
    row,
    run_driver,
    say,
    spread,
    verdict,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One thing to measure.

    Attributes:
        mode: of the drivers.
        count: how many jobs one run has.
        target: the ratio to the floor that gearfleet has to reach.
        worker: the mode of the same driver's worker that has to run meanwhile.
        fills: whether the queue is filled beforehand.
    """

    title: str
    mode: str
    count: int
    target: float
    worker: str | None = None
    fills: bool = False
    bytes: int = 100


WORKLOADS = (
    Workload(title="foreground, one in flight", mode="fg", count=3000, target=0.9, worker="echo"),
    Workload(title="background, one by one", mode="bg", count=8000, target=0.9),
    Workload(title="background, bulk", mode="bulk", count=20000, target=0.85),
    Workload(title="drain", mode="drain", count=15000, target=0.95, fills=True),
    Workload(title="drain, prefetch 16", mode="drain16", count=40000, target=0.6, fills=True),
    Workload(
        title="echo of 32 MiB",
        mode="big",
        count=5,
        target=1 / 1.3,
        worker="big_echo",
        bytes=32 * 1024 * 1024,
    ),
)
#: libgearman has no prefetch, so its plain drain is the yardstick; and its
#: socket buffers of 32 KiB make a big payload a measurement of something else.
C_MODES = {"fg": "fg", "bg": "bg", "bulk": "bulk", "drain": "drain", "drain16": "drain"}

Rates = dict[str, list[float]]


class Bench:
    """A gearmand and the drivers that work with it."""

    def __init__(self, port: int, folder: Path) -> None:
        self.drivers: dict[str, list[str]] = {
            "gearfleet": [sys.executable, str(HERE / "ours.py")],
            "floor": [sys.executable, str(HERE / "floor.py")],
        }
        if yardstick := build_yardstick(folder):
            self.drivers["libgearman"] = [yardstick]
        self._port = port
        self._names = (f"bench-{number}" for number in itertools.count())

    def rate(self, driver: str, work: Workload) -> float:
        """Return the jobs per second of one run."""
        function = next(self._names)
        mode = C_MODES[work.mode] if driver == "libgearman" else work.mode
        count = work.count if mode == work.mode else work.count // 4
        if work.fills:
            self._run("floor", "fill", function, count, work.bytes)
        with self._worker(driver, work, function):
            result = self._run(driver, mode, function, count, work.bytes)
        if left := int(self._status(function)[0]):
            self._run("floor", "drain16", function, left, work.bytes)
        return rate_of(result)

    def idle_cpu(self, seconds: int = 10) -> float:
        """Return the share of a CPU that an idle worker of gearfleet takes."""
        return float(self._run("gearfleet", "idle", next(self._names), seconds, 100)["cpu"])

    def _command(self, driver: str, mode: str, function: str, count: int, size: int) -> list[str]:
        words = (mode, str(self._port), function, str(count), str(size))
        return [*DRIVER_CPU, *self.drivers[driver], *words]

    def _run(self, driver: str, mode: str, function: str, count: int, size: int) -> dict[str, Any]:
        return run_driver(self._command(driver, mode, function, count, size))

    @contextmanager
    def _worker(self, driver: str, work: Workload, function: str) -> Iterator[None]:
        if work.worker is None:
            yield
            return
        process = subprocess.Popen(self._command(driver, work.worker, function, 0, work.bytes))
        try:
            while self._status(function)[2] != "1":
                time.sleep(0.02)
            time.sleep(0.2)  # until it sleeps too
            yield
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()

    def _status(self, function: str) -> list[str]:
        """Return total, running and workers of a function."""
        with socket.create_connection(("127.0.0.1", self._port)) as connection:
            connection.sendall(b"status\r\n")
            text = b""
            while not text.endswith(b".\n"):
                text += connection.recv(65536)
        rows = [line.split("\t") for line in text.decode().splitlines()]
        return next((row[1:] for row in rows if row[0] == function), ["0", "0", "0"])


def measure(bench: Bench, workloads: list[Workload], rounds: int) -> dict[str, Rates]:
    """Return, by workload and driver, the jobs per second of each round."""
    found: dict[str, Rates] = {
        work.mode: {name: [] for name in bench.drivers} for work in workloads
    }
    for number in range(rounds):
        for work in workloads:
            for driver in bench.drivers:
                if driver != "libgearman" or work.mode in C_MODES:
                    found[work.mode][driver].append(bench.rate(driver, work))
        say(f"round {number + 1} of {rounds} done")
    return found


def table(workloads: list[Workload], found: dict[str, Rates]) -> str:
    """Return the results as a table: rates are medians [min-max] of jobs per second."""
    lines = [
        "| workload | gearfleet | floor | libgearman | to floor | wanted | to libgearman |",
        "|---|---|---|---|---|---|---|",
    ]
    for work in workloads:
        rates = found[work.mode]
        to_floor = ratio(rates["gearfleet"], rates["floor"])
        cells = [
            work.title,
            *(spread(rates.get(name, [])) for name in ("gearfleet", "floor", "libgearman")),
            f"{to_floor:.2f}",
            verdict(to_floor, work.target),
            f"{ratio(rates['gearfleet'], rates.get('libgearman', [])):.2f}"
            if rates.get("libgearman")
            else "-",
        ]
        lines.append(row(cells))
    return "\n".join(lines)


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("modes", nargs="*", help=", ".join(work.mode for work in WORKLOADS))
    args = parser.parse_args()
    workloads = [work for work in WORKLOADS if not args.modes or work.mode in args.modes]
    with tempfile.TemporaryDirectory() as name, gearmand(Path(name)) as port:
        bench = Bench(port, Path(name))
        print(machine(), flush=True)
        print(table(workloads, measure(bench, workloads, args.rounds)))
        if not args.modes:
            print(f"\nCPU of an idle worker: {bench.idle_cpu():.2%} (wanted: below 0.2%)")


if __name__ == "__main__":
    try:
        main()
    except Failed as error:
        sys.exit(str(error))
