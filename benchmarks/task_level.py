"""Tasks of gearfleet beside plain jobs of libgearman, in interleaved rounds.

    python benchmarks/task_level.py [--rounds 5] [--scale 1.0]

Ours are signed JSON envelopes with one int, and a task that only counts, in a real
``gearfleet worker``. Theirs are 100 bytes that nobody looks at, and a function
that returns at once. gearmand has CPU 0, everything else CPU 1.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from dataclasses import dataclass
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
        prefetch: of our worker.
        results: where our worker keeps results.
    """

    title: str
    mode: str
    count: int
    target: float | None = None
    prefetch: int = 1
    results: str = "none"


WORKLOADS = (
    Workload(title="submit_many", mode="bulk", count=20000, target=0.8),
    Workload(title="worker", mode="drain", count=15000, target=0.85),
    Workload(title="worker, prefetch 16", mode="drain", count=30000, target=3.0, prefetch=16),
    Workload(title="worker, results in SQLite", mode="drain", count=15000, results="sqlite"),
    Workload(
        title="worker, prefetch 16, results in SQLite",
        mode="drain",
        count=30000,
        prefetch=16,
        results="sqlite",
    ),
)
#: Jobs of one run of the yardstick.
YARDSTICK_COUNT = {"bulk": 20000, "drain": 10000}


class Bench:
    """A gearmand, and both sides."""

    def __init__(self, port: int, folder: Path, yardstick: str | None, scale: float) -> None:
        self._port = port
        self._folder = folder
        self._yardstick = yardstick
        self._scale = scale
        self._names = (f"yardstick-{number}" for number in itertools.count())

    def ours(self, work: Workload) -> float:
        """Return the jobs per second of one run of gearfleet."""
        count = self._scaled(work.count)
        project = Project(self._folder, self._port, results=work.results, cpu=DRIVER_CPU)
        submitted = project.submit("many.py", str(count))
        drained = project.drain(count, work.prefetch)
        return submitted if work.mode == "bulk" else drained

    def theirs(self, work: Workload) -> float | None:
        """Return the jobs per second of one run of libgearman, if it is here."""
        if self._yardstick is None:
            return None
        count, function = self._scaled(YARDSTICK_COUNT[work.mode]), next(self._names)
        if work.mode == "drain":
            self._floor("fill", function, count)
        rate = rate_of(self._run([self._yardstick], work.mode, function, count))
        if work.mode == "bulk":
            self._floor("drain16", function, count)
        return rate

    def _floor(self, mode: str, function: str, count: int) -> None:
        self._run([sys.executable, str(HERE / "floor.py")], mode, function, count)

    def _run(self, driver: list[str], mode: str, function: str, count: int) -> dict[str, float]:
        return run_driver([*DRIVER_CPU, *driver, mode, str(self._port), function, str(count)])

    def _scaled(self, count: int) -> int:
        return max(1000, int(count * self._scale))


def line(work: Workload, ours: list[float], theirs: list[float]) -> str:
    """Return a line of the table."""
    found = ratio(ours, theirs)
    wanted = "-" if work.target is None or not theirs else verdict(found, work.target)
    shown = f"{found:.2f}" if theirs else "-"
    return row([work.title, spread(ours), spread(theirs), shown, wanted])


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of jobs")
    args = parser.parse_args()
    found: dict[str, tuple[list[float], list[float]]] = {work.title: ([], []) for work in WORKLOADS}
    with tempfile.TemporaryDirectory() as name, gearmand(Path(name)) as port:
        bench = Bench(port, Path(name), build_yardstick(Path(name)), args.scale)
        print(machine(), flush=True)
        for number in range(args.rounds):
            for work in WORKLOADS:
                ours, theirs = found[work.title]
                ours.append(bench.ours(work))
                if (rate := bench.theirs(work)) is not None:
                    theirs.append(rate)
            say(f"round {number + 1} of {args.rounds} done")
    print(row(["tasks", "gearfleet", "libgearman", "to libgearman", "wanted"]))
    print("|---|---|---|---|---|")
    print("\n".join(line(work, *found[work.title]) for work in WORKLOADS))


if __name__ == "__main__":
    try:
        main()
    except Failed as error:
        sys.exit(str(error))
