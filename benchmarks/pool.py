"""What a pool saves: its memory, and the time until all of its workers serve.

    python benchmarks/pool.py [--workers 32] [--jobs 20] [--rounds 3]

N workers of the example shop, a Django project, once as a pool and once as N
processes of their own. The time runs from the start of the first process until
the job server knows all N. Memory is the sum of PSS, that of the pool's parent
and nursery included, after the workers have run jobs: PSS divides each page by
the number of processes that share it (proc(5), smaps_rollup).
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bed import HERE, Failed, gearmand

if TYPE_CHECKING:
    from collections.abc import Iterator

SHOP = HERE.parent / "examples" / "shop"
FUNCTION = "shop.worker_foo.sales_report"
SUBMIT = """
from datetime import date
from shop.gearman_workers.worker_foo import sales_report
sales_report.map([date(2026, 3, 1 + n % 28) for n in range({count})])
"""
LIMIT = 120


@dataclass(frozen=True)
class Run:
    """The figures of one run."""

    seconds: float
    idle_mb: float
    worked_mb: float
    fewest_jobs: int


def main() -> None:
    """Measure, print each run, and the ratios of the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=32)
    parser.add_argument("--jobs", type=int, default=20, help="for each worker")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, gearmand(Path(folder), cpu=()) as port:
        shop = Shop(Path(folder), port)
        runs: dict[str, list[Run]] = {"separate": [], "pool": []}
        for _ in range(args.rounds):
            for kind, done in runs.items():
                done.append(shop.run(kind, args.workers, args.jobs))
                print(f"{kind:9}{show(done[-1])}", flush=True)
    medians = {kind: median(done) for kind, done in runs.items()}
    print(f"\nPython {sys.version.split()[0]}, {args.workers} workers, medians")
    for kind, run in medians.items():
        print(f"{kind:9}{show(run)}")
    for name, title in (("worked_mb", "memory after work"), ("seconds", "time until all serve")):
        share = getattr(medians["pool"], name) / getattr(medians["separate"], name)
        print(f"pool : separate, {title}: {share:.2f}")


def show(run: Run) -> str:
    return (
        f" up in {run.seconds:5.2f} s, PSS idle {run.idle_mb:6.1f} MB, after work "
        f"{run.worked_mb:6.1f} MB (at least {run.fewest_jobs} jobs each)"
    )


def median(runs: list[Run]) -> Run:
    return Run(
        statistics.median(run.seconds for run in runs),
        statistics.median(run.idle_mb for run in runs),
        statistics.median(run.worked_mb for run in runs),
        min(run.fewest_jobs for run in runs),
    )


class Shop:
    """The example shop, with orders, in a folder of its own."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        shutil.copytree(SHOP, folder / "shop", ignore=shutil.ignore_patterns("data"))
        self.env = {
            **os.environ,
            "SHOP_DATA": str(folder / "data"),
            "GEARFLEET_SERVERS": f"127.0.0.1:{port}",
            "GEARFLEET_RUN_DIR": str(folder / "run"),
            "DJANGO_SETTINGS_MODULE": "shop_project.settings",
            "PYTHONPATH": os.pathsep.join(
                filter(None, [str(HERE.parent), os.environ.get("PYTHONPATH")])
            ),
        }
        self._manage("open_shop")

    def run(self, kind: str, workers: int, jobs: int) -> Run:
        """Start workers, have them run jobs, end them."""
        log = self.folder / f"{kind}-{time.monotonic_ns()}.log"
        began = time.monotonic()
        with self.started(kind, workers, log) as sessions:
            wait_for(lambda: self.registered() == workers, f"{workers} workers; see {log}")
            seconds = time.monotonic() - began
            idle = pss_mb(sessions)
            self._manage("shell", "-c", SUBMIT.format(count=workers * jobs))
            wait_for(lambda: self._waiting() == 0, "the jobs to be done")
            worked = pss_mb(sessions)
        counts = [int(n) for n in re.findall(r": (\d+) jobs completed", log.read_text())]
        if len(counts) != workers or sum(counts) != workers * jobs:
            raise Failed(f"{kind}: {len(counts)} workers ran {sum(counts)} jobs; see {log}")
        return Run(seconds, idle, worked, min(counts))

    @contextmanager
    def started(self, kind: str, workers: int, log: Path) -> Iterator[set[int]]:
        """Run processes; yield their sessions, by which all that they start is found."""
        command = [sys.executable, "-m", "gearfleet", "worker", "-a", "shop", "-n", "worker_foo"]
        pool = ["--processes", str(workers)] if kind == "pool" else []
        with log.open("ab") as output:
            processes = [
                subprocess.Popen(
                    [*command, *pool],
                    cwd=self.folder / "shop",
                    env=self.env,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
                for _ in range(1 if pool else workers)
            ]
        try:
            yield {process.pid for process in processes}
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(LIMIT)

    def _manage(self, *words: str) -> None:
        command = [sys.executable, "manage.py", *words]
        done = subprocess.run(
            command,
            cwd=self.folder / "shop",
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Failed(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")

    def registered(self) -> int:
        """Return how many workers the job server knows."""
        return int(self._row()[3])

    def _waiting(self) -> int:
        return int(self._row()[1])

    def _row(self) -> list[str]:
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.sendall(b"status\n")
            answer = b""
            while not answer.endswith(b".\n"):
                answer += connection.recv(65536)
        rows = [line.split("\t") for line in answer.decode().splitlines()]
        return next((row for row in rows if row[0] == FUNCTION), ["", "0", "0", "0"])


def pss_mb(sessions: set[int]) -> float:
    """Return the sum of PSS of the processes of some sessions."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if int((folder / "stat").read_text().rpartition(")")[2].split()[3]) in sessions:
                rollup = (folder / "smaps_rollup").read_text()
                total += int(re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)[1])  # type: ignore[index]
        except OSError:  # it has ended, or is not ours
            continue
    return total / 1024


def wait_for(condition: object, what: str) -> None:
    deadline = time.monotonic() + LIMIT
    while not condition():  # type: ignore[operator]
        if time.monotonic() > deadline:
            raise Failed(f"Waited {LIMIT} s for {what}")
        time.sleep(0.01)


if __name__ == "__main__":
    main()
