"""Where gearfleet's own time goes in one workload: the calls and their microseconds for each job.

    python benchmarks/anatomy.py MODE [COUNT]       MODE is one of ours.py

The profiler makes every call slower, short ones most of all, so read shares and
numbers of calls here and rates in run.py.
"""

from __future__ import annotations

import contextlib
import cProfile
import io
import pstats
import subprocess
import sys
import tempfile
from pathlib import Path

import ours
from run import HERE, gearmand

PAYLOAD = b"x" * 100
LINES = 40


def main() -> None:
    """Profile what the command line names."""
    mode, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5000
    with tempfile.TemporaryDirectory() as folder, gearmand(Path(folder)) as port:
        if mode.startswith("drain"):
            floor = [sys.executable, str(HERE / "floor.py"), "fill", str(port), "f", str(count)]
            subprocess.run(floor, check=True, stdout=subprocess.DEVNULL)
        profile = cProfile.Profile()
        with contextlib.redirect_stdout(io.StringIO()):
            profile.runcall(ours.MODES[mode], f"127.0.0.1:{port}", "f", count, PAYLOAD)
    show(pstats.Stats(profile), count)


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
