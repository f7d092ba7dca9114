"""How long plan, render and check of a fleet take, to Supervisor's own parse of the result.

    python benchmarks/render.py [PROGRAMS ...]

The yardstick is `ServerOptions.read_config` of the whole text, in the same process. Each
figure is the processor time of the best of three rounds. The last column tells whether our part is linear: what it
takes beyond the parse, which check contains and which is not linear itself, for each program,
to that of the smallest fleet.
"""

from __future__ import annotations

import io
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bed import say

from gearfleet.config import read_settings
from gearfleet.fleet import Fleet, default_executable, plan, render
from gearfleet.fleet.checks import ThisHost, check_fleet, check_tasks
from gearfleet.tasks import App, Registry, Task, WorkerModule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROUNDS = 3
#: So many programs are in one group.
GROUP = 10
SETTINGS = {
    "run_dir": "/run/gearfleet",
    "fleet": {"processes": 1, "environment": {"LANG": "C.UTF-8", "MOTTO": "50% off; today"}},
}


def main() -> None:
    """Print a table."""
    sizes = [int(word) for word in sys.argv[1:]] or [100, 1000]
    measure(registry(sizes[0]))  # what is done once only: imports, templates
    say("| programs | plan | render | check | together | Supervisor's parse | ratio | linear |")
    say("|---|---|---|---|---|---|---|---|")
    first = 0.0
    for size in sizes:
        parts, parse = best(registry(size))
        together = sum(parts.values())
        each = (together - parse) / size
        first = first or each
        told = " | ".join(f"{seconds:.3f}" for seconds in parts.values())
        say(
            f"| {size} | {told} | {together:.3f} s | {parse:.3f} s | {together / parse:.2f} "
            f"| {each / first:.2f} |"
        )


def best(tasks: Registry) -> tuple[Mapping[str, float], float]:
    """Return the best times of all rounds, of the parts and of the yardstick."""
    rounds = [measure(tasks) for _ in range(ROUNDS)]
    parts = {name: min(each[0][name] for each in rounds) for name in rounds[0][0]}
    return parts, min(parse for _, parse in rounds)


def measure(tasks: Registry) -> tuple[dict[str, float], float]:
    """Return how long each part takes, and the yardstick."""
    settings = read_settings(SETTINGS, root=Path(tempfile.gettempdir()), origin="gearfleet.toml")
    parts: dict[str, float] = {}

    def timed(name: str, call: Callable[[], Any]) -> Any:
        before = time.process_time()
        result = call()
        parts[name] = time.process_time() - before
        return result

    fleet: Fleet = timed("plan", lambda: plan(tasks, settings, executable=default_executable()))
    files: dict[str, str] = timed("render", lambda: render(fleet))
    timed("check", lambda: [*check_tasks(tasks, fleet, {}), *check_fleet(fleet, files, ThisHost())])
    timed("parse", lambda: parsed("\n".join(["[supervisord]", *files.values()])))
    yardstick = parts.pop("parse")
    return parts, yardstick


def parsed(text: str) -> None:
    """Let Supervisor read `text`, as it does at its start."""
    from supervisor.options import ServerOptions

    options = ServerOptions()
    options.configfile, options.here = "the rendered text", "."
    options.read_config(io.StringIO(text))


def registry(size: int) -> Registry:
    """Return the tasks of `size` programs."""
    app = App(name="shop", label="shop")
    return Registry(
        modules=tuple(
            WorkerModule(
                app=app,
                worker=f"worker_{number}",
                module=f"shop.gearman_workers.worker_{number}",
                tasks=(
                    Task(
                        parsed,
                        name=f"shop.worker_{number}.resize",
                        queue=f"queue_{number // GROUP}",
                        priority="normal",
                    ),
                ),
            )
            for number in range(size)
        )
    )


if __name__ == "__main__":
    main()
