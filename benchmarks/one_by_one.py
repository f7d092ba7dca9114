"""Submit jobs one at a time with a tool of `tools/`, each accepted before the next.

python benchmarks/one_by_one.py TOOL COUNT WARM_UP
"""

from __future__ import annotations

import sys
import time
from importlib import import_module

from clock import report

TEXT = "x" * 100


def main() -> None:
    """Submit the jobs that the command line says; the warm-up is not timed."""
    tool, count, warm_up = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    submit = import_module(f"tools.{tool}").submit
    for _ in range(warm_up):
        submit(TEXT)
    began = time.perf_counter()
    for _ in range(count):
        submit(TEXT)
    report(count, time.perf_counter() - began)


if __name__ == "__main__":
    main()
