"""How much processor time `gearfleet --help` takes over a bare Python, in milliseconds.

    python benchmarks/help.py [ROUNDS]

The yardstick is `python -c pass`, in turn with it. Each figure is the best of the rounds.
"""

from __future__ import annotations

import os
import subprocess
import sys

from bed import say

BARE = (sys.executable, "-c", "pass")
COMMANDS = {
    "python -c pass": BARE,
    "gearfleet --help": (sys.executable, "-m", "gearfleet", "--help"),
    "gearfleet worker --help": (sys.executable, "-m", "gearfleet", "worker", "--help"),
}


def main() -> None:
    """Print a table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    best = dict.fromkeys(COMMANDS, float("inf"))
    for _ in range(rounds):
        for name, command in COMMANDS.items():
            best[name] = min(best[name], seconds_of(command))
    bare = best["python -c pass"]
    say("| command | ms | over bare Python | ratio |\n|---|---|---|---|")
    for name, seconds in best.items():
        over = (seconds - bare) * 1000
        say(f"| `{name}` | {seconds * 1000:.0f} | {over:.0f} | {seconds / bare:.1f} |")


def seconds_of(command: tuple[str, ...]) -> float:
    """Return how much processor time a command takes: it waits for nothing."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
