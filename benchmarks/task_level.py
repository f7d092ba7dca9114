"""Tasks of gearfleet beside plain jobs of libgearman, in interleaved rounds.

    python benchmarks/task_level.py [--rounds 5] [--scale 1.0]

Ours are signed JSON envelopes with one int, and a task that only counts, in a real
``gearfleet worker``. Theirs are 100 bytes that nobody looks at, and a function
that returns at once. The floor is the least Python that runs such envelopes (see
``task_floor.py``). gearmand has CPU 0, everything else CPU 1.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

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
from project import Project


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One thing to measure.

    Attributes:
        mode: of the yardstick.
        count: how many jobs one run of ours has.
        target: the ratio to libgearman that gearfleet has to reach; None for no claim.
        floor: mode of the floor; empty where it has none.
        prefetch: of our worker.
        results: where our worker keeps results.
    """

    title: str
    mode: str
    count: int
    target: float | None = None
    floor: str = ""
    prefetch: int = 1
    results: str = "none"


WORKLOADS = (
    Workload(title="submit_many", mode="bulk", count=20000, target=0.8, floor="bulk"),
    Workload(title="worker", mode="drain", count=15000, target=0.85, floor="drain"),
    Workload(
        title="worker, prefetch 16",
        mode="drain",
        count=30000,
        target=3.0,
        floor="drain16",
        prefetch=16,
    ),
    Workload(title="worker, results in SQLite", mode="drain", count=15000, results="sqlite"),
    Workload(
        title="worker, prefetch 16, results in SQLite",
        mode="drain",
        count=30000,
        prefetch=16,
        results="sqlite",
    ),
)
#: Jobs of one run of the others.
COUNTS = {"bulk": 20000, "drain": 10000, "drain16": 40000}


@dataclass(frozen=True, slots=True)
class Rates:
    """The jobs per second of one workload, round by round; no rounds where there is nobody."""

    ours: list[float] = field(default_factory=list)
    floor: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)


class Bench:
    """A gearmand, and all sides."""

    def __init__(self, port: int, folder: Path, yardstick: str | None, scale: float) -> None:
        self._port = port
        self._folder = folder
        self._yardstick = yardstick
        self._scale = scale
        self._names = (f"other-{number}" for number in itertools.count())

    def ours(self, work: Workload) -> float:
        """Return the jobs per second of one run of gearfleet."""
        count = self._scaled(work.count)
        project = Project(self._folder, self._port, results=work.results, cpu=DRIVER_CPU)
        submitted = project.submit("many.py", str(count))
        drained = project.drain(count, work.prefetch)
        return submitted if work.mode == "bulk" else drained

    def measure(self, work: Workload, rates: Rates) -> None:
        """Add one round of all sides."""
        rates.ours.append(self.ours(work))
        if work.floor:
            rates.floor.append(self._rate(_python("task_floor.py"), "task_floor.py", work.floor))
        if self._yardstick is not None:
            rates.theirs.append(self._rate([self._yardstick], "floor.py", work.mode))

    def _rate(self, driver: list[str], filler: str, mode: str) -> float:
        """Return the jobs per second of one run, and leave none in the queue."""
        count, function = self._scaled(COUNTS[mode]), next(self._names)
        if mode != "bulk":
            self._run(_python(filler), "fill", function, count)
        rate = rate_of(self._run(driver, mode, function, count))
        if mode == "bulk":
            self._run(_python("floor.py"), "drain16", function, count)
        return rate

    def _run(self, driver: list[str], mode: str, function: str, count: int) -> dict[str, float]:
        return run_driver([*DRIVER_CPU, *driver, mode, str(self._port), function, str(count)])

    def _scaled(self, count: int) -> int:
        return max(1000, int(count * self._scale))


HEADINGS = (
    "tasks", "gearfleet", "floor", "libgearman", "to floor", "floor to libgearman",
    "to libgearman", "wanted",
)  # fmt: skip


def _python(file: str) -> list[str]:
    return [sys.executable, str(HERE / file)]


def line(work: Workload, rates: Rates) -> str:
    """Return a line of the table."""
    found = ratio(rates.ours, rates.theirs)
    is_measured = work.target is not None and rates.theirs
    return row(
        [
            work.title,
            *map(spread, (rates.ours, rates.floor, rates.theirs)),
            _shown(rates.ours, rates.floor),
            _shown(rates.floor, rates.theirs),
            _shown(rates.ours, rates.theirs),
            verdict(found, work.target) if is_measured else "-",
        ]
    )


def _shown(these: list[float], those: list[float]) -> str:
    return f"{ratio(these, those):.2f}" if these and those else "-"


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of jobs")
    args = parser.parse_args()
    found = {work.title: Rates() for work in WORKLOADS}
    with tempfile.TemporaryDirectory() as name, gearmand(Path(name)) as port:
        bench = Bench(port, Path(name), build_yardstick(Path(name)), args.scale)
        print(machine(), flush=True)
        for number in range(args.rounds):
            for work in WORKLOADS:
                bench.measure(work, found[work.title])
            say(f"round {number + 1} of {args.rounds} done")
    print(row(HEADINGS))
    print("|---" * len(HEADINGS) + "|")
    print("\n".join(line(work, found[work.title]) for work in WORKLOADS))


if __name__ == "__main__":
    try:
        main()
    except Failed as error:
        sys.exit(str(error))
