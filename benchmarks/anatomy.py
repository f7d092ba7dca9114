"""Where gearfleet's own time goes in one workload: the calls and their microseconds for each job.

    python benchmarks/anatomy.py MODE [COUNT]       MODE is one of ours.py, or one of these:
        many                submit_many
        worker, worker16    a worker of tasks, without and with a prefetch of 16

The profiler makes every call slower, short ones most of all, so read shares and
numbers of calls here and rates in run.py.
"""

from __future__ import annotations

import contextlib
import cProfile
import io
import os
import pstats
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import ours
import ticks
from bed import HERE, gearmand
from project import Project

from gearfleet.cli.main import main as gearfleet

if TYPE_CHECKING:
    from collections.abc import Callable

PAYLOAD = b"x" * 100
LINES = 40
PREFETCH = {"worker": 1, "worker16": 16}


def main() -> None:
    """Profile what the command line names."""
    mode, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5000
    with tempfile.TemporaryDirectory() as folder, gearmand(Path(folder)) as port:
        run = prepare(mode, count, port, Path(folder))
        profile = cProfile.Profile()
        with contextlib.redirect_stdout(io.StringIO()):
            profile.runcall(run)
    show(pstats.Stats(profile), count)


def prepare(mode: str, count: int, port: int, folder: Path) -> Callable[[], object]:
    """Return what is to be profiled, with its queue filled."""
    if mode in ours.MODES:
        if mode.startswith("drain"):
            floor = [sys.executable, str(HERE / "floor.py"), "fill", str(port), "f", str(count)]
            subprocess.run(floor, check=True, stdout=subprocess.DEVNULL)
        return lambda: ours.MODES[mode](f"127.0.0.1:{port}", "f", count, PAYLOAD)
    project = Project(folder, port)
    os.environ |= {**project.env, ticks.FOLDER: str(folder / "ticks")}
    if mode == "many":
        import many

        return lambda: many.submit(count)
    project.submit("many.py", str(count))
    words = ["worker", "-a", "noop", "-n", "tasks", "--prefetch", str(PREFETCH[mode])]
    (folder / "ticks").mkdir()
    threading.Thread(target=stop_after, args=(count, folder / "ticks"), daemon=True).start()
    return lambda: gearfleet(words)


def stop_after(count: int, counted: Path) -> None:
    """End this process's worker when it has run its jobs."""
    while ticks.read(counted)[0] < count:
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGTERM)


def show(stats: pstats.Stats, count: int) -> None:
    """Print the most expensive functions, by their own time."""
    rows = [
        (own, calls, f"{Path(file).name}:{line} {name}" if line else name)
        for (file, line, name), (_, calls, own, _, _) in stats.stats.items()  # type: ignore[attr-defined]
    ]
    total = sum(calls for _, calls, _ in rows)
    print(f"{total / count:.0f} calls for each job\n{'calls':>6} {'us':>6}")
    for own, calls, name in sorted(rows, reverse=True)[:LINES]:
        print(f"{calls / count:6.2f} {own / count * 1e6:6.2f}  {name}")


if __name__ == "__main__":
    main()
