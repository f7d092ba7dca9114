"""What each job costs for the scoreboard, and for the quarantine, in microseconds.

    python benchmarks/board.py [ROUNDS]

The yardstick is a `struct.pack_into` of the same size: what a board costs at the
very least. Each figure is the best of the rounds, which are interleaved: the rest is
what else the machine did.
"""

from __future__ import annotations

import mmap
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bed import say

from gearfleet.worker.boards import JOB
from gearfleet.worker.in_hand import InHand, key_of
from gearfleet.worker.scoreboard import DONE, About, Scoreboard

if TYPE_CHECKING:
    from collections.abc import Callable

FUNCTION, HANDLE = "shop.gearman_workers.worker_foo.resize", "H:web1.example.org:123456"
UNIQUE = b"0123456789abcdef0123456789abcdef.1"
NAMES = b"f" * 510
CALLS = 200


def main() -> None:
    """Print a table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    with tempfile.TemporaryDirectory() as folder:
        calls = parts(Path(folder))
        best = dict.fromkeys(calls, float("inf"))
        for _ in range(rounds):
            for name, call in calls.items():
                best[name] = min(best[name], seconds_of(call))
    empty = best.pop("nothing")
    say("| of each job | us | to the yardstick |\n|---|---|---|")
    yardstick = best["the yardstick"] - empty
    for name, seconds in best.items():
        took = seconds - empty
        say(f"| {name} | {took / CALLS * 1e6:.2f} | {took / yardstick:.1f} |")


def parts(folder: Path) -> dict[str, Callable[[], object]]:
    """Return what is timed, by its name."""
    about = About(program="worker_foo")
    board = Scoreboard.open(folder, about)
    in_hand = InHand.open(folder)
    in_hand.claim(32, about.pid, about.ticks)
    anonymous, pack, now = mmap.mmap(-1, 4096), JOB.pack_into, time.time()

    def begin_and_end() -> None:
        board.begin(FUNCTION, HANDLE, UNIQUE, now).end(DONE)

    def look_and_hold() -> None:
        in_hand.hold(7, key_of(UNIQUE))
        in_hand.drop(7)

    def least() -> None:
        pack(anonymous, 0, 1, 2, 3, 4, 5.0, 6.0, NAMES, HANDLE.encode(), UNIQUE, 7)

    return {
        "nothing": lambda: None,
        "the yardstick": least,
        "begin and end on the board": begin_and_end,
        "in the quarantine's file, of 32 workers": look_and_hold,
    }


def seconds_of(call: Callable[[], object]) -> float:
    """Return how long so many calls take."""
    began = time.perf_counter()
    for _ in range(CALLS):
        call()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
