"""gearfleet beside the task queues that use Redis, in interleaved rounds: one table.

    make bench-peers
    python benchmarks/side_by_side.py [--rounds 3] [--scale 1.0] [--peers PYTHON] [TOOL ...]

Each tool has the fastest set-up that was found for one worker, and the same task: one
text of 100 characters, a function that counts. Jobs are submitted one at a time, with
no worker running; then a worker runs them all, timed from the first to the last.
Nothing is pinned, because some tools need several processes for one worker.
Neither gearmand nor Redis persists anything, and no results are kept.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import tempfile
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bed import (
    HERE,
    Failed,
    drain,
    gearmand,
    machine,
    rate_of,
    ratio,
    redis,
    row,
    run_driver,
    say,
    spread,
)
from project import Project

if TYPE_CHECKING:
    from collections.abc import Sequence

WARM_UP = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One tool and its set-up.

    Attributes:
        package: its name on PyPI.
        count: how many jobs one run has: two or three seconds of them.
        setup: of its worker, in words.
        worker: the arguments of Python that start its worker; none for gearfleet's.
        prefetch: of gearfleet's worker.
    """

    name: str
    package: str
    count: int
    setup: str
    worker: tuple[str, ...] = ()
    prefetch: int = 1

    @property
    def module(self) -> str:
        return f"{self.package.replace('-', '_').removesuffix('2')}_app"


TOOLS = (
    Tool(name="gearfleet", package="gearfleet", count=10000, setup="1 process"),
    Tool(
        name="gearfleet, prefetch",
        package="gearfleet",
        count=20000,
        setup="1 process, prefetch 16",
        prefetch=16,
    ),
    Tool(
        name="celery",
        package="celery",
        count=2000,
        setup="1 process, pool solo; no gossip, mingle and heartbeat; results ignored",
        worker=(
            *("-m", "celery", "-A", "tools.celery_app", "worker", "-P", "solo", "-l", "ERROR"),
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
        ),
    ),
    Tool(
        name="huey",
        package="huey",
        count=5000,
        setup="1 worker process, no periodic tasks, results off",
        worker=(
            *("-m", "huey.bin.huey_consumer", "tools.huey_app.huey"),
            *("-w", "1", "-k", "process", "-n", "-q"),
        ),
    ),
    Tool(
        name="rq",
        package="rq",
        count=500,
        setup="SimpleWorker, result_ttl 0, log WARNING",
        worker=(
            *("-m", "rq.cli", "worker", "-w", "rq.worker.SimpleWorker", "bench"),
            *("--logging_level", "WARNING"),
        ),
    ),
    Tool(
        name="dramatiq",
        package="dramatiq",
        count=10000,
        setup="its default, 2 processes of 8 threads",
        worker=("-m", "dramatiq", "tools.dramatiq_app", "-p", "2", "-t", "8"),
    ),
    Tool(
        name="django-q2",
        package="django-q2",
        count=1000,
        setup="1 worker, save_limit -1, no scheduler",
        worker=("-m", "django", "qcluster"),
    ),
)
#: Where the Makefile installs the other tools.
PEERS = str(HERE.parent / ".cache/peers/bin/python")

#: Of each round, the jobs that one second saw submitted, and run.
Rates = tuple[list[float], list[float]]


class Bench:
    """Both servers, and the ways to run a tool with them."""

    def __init__(self, folder: Path, peers: str, gearmand_port: int, redis_port: int) -> None:
        self._folder = folder
        self._peers = peers
        self._gearmand_port = gearmand_port
        self._redis_port = redis_port

    def run(self, tool: Tool, count: int) -> tuple[float, float]:
        """Return the jobs per second submitted, and those run."""
        return self._run_peer(tool, count) if tool.worker else self._run_ours(tool, count)

    def _run_ours(self, tool: Tool, count: int) -> tuple[float, float]:
        project = Project(self._folder, self._gearmand_port)
        submitted = project.submit("one_by_one.py", tool.module, str(count), str(WARM_UP))
        return submitted, project.drain(count + WARM_UP, tool.prefetch)

    def _run_peer(self, tool: Tool, count: int) -> tuple[float, float]:
        flush(self._redis_port)
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        url = f"redis://127.0.0.1:{self._redis_port}/0"
        env = {
            **os.environ,
            "BENCH_PORT": str(self._redis_port),
            "RQ_REDIS_URL": url,
            "DJANGO_SETTINGS_MODULE": f"tools.{tool.module}",
            "PYTHONPATH": str(HERE),
        }
        driver = [str(HERE / "one_by_one.py"), tool.module, str(count), str(WARM_UP)]
        submitted = rate_of(run_driver([self._peers, *driver], env))
        return submitted, drain([self._peers, *tool.worker], folder, env, count + WARM_UP).rate


def flush(port: int) -> None:
    """Empty Redis."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"FLUSHALL\r\n")
        assert connection.recv(100) == b"+OK\r\n"


def versions(peers: str, tools: Sequence[Tool]) -> str | None:
    """Return the versions of the peers and of Redis; None where one is missing, which is told."""
    server = shutil.which("redis-server")
    if server is None:
        print("No peers here: they need redis-server (apt-get install redis-server)", flush=True)
        return None
    packages = [tool.package for tool in tools if tool.worker] + ["redis", "hiredis"]
    code = "import sys; from importlib.metadata import version as v; print(*map(v, sys.argv[1:]))"
    try:
        found = _said(peers, "-c", code, *packages)
    except (OSError, subprocess.CalledProcessError):
        print(f"No peers here: {peers} does not have them all (make bench-peers installs them)")
        return None
    named = (f"{name} {number}" for name, number in zip(packages, found, strict=True))
    return f"Redis {_said(server, '--version')[2].removeprefix('v=')}, {', '.join(named)}"


def _said(*command: str) -> list[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.split()


def measure(bench: Bench, tools: Sequence[Tool], rounds: int, scale: float) -> dict[str, Rates]:
    """Return the rates of each tool; those of a round that failed are 0."""
    found: dict[str, Rates] = {tool.name: ([], []) for tool in tools}
    for number in range(rounds):
        for tool in tools:
            try:
                rates = bench.run(tool, max(100, int(tool.count * scale)))
            except Failed as error:
                say(f"{tool.name}: {error}")
                rates = (0.0, 0.0)
            for rate, of_all in zip(rates, found[tool.name], strict=True):
                of_all.append(rate)
        say(f"round {number + 1} of {rounds} done")
    return found


def line(tool: Tool, rates: Rates, ours: Rates) -> str:
    """Return a line of the table; a ratio is gearfleet's rate to this one's."""
    cells = [tool.name, tool.setup]
    for theirs, of_us in zip(rates, ours, strict=True):
        failed = sum(not rate for rate in theirs)
        pairs = [(us, rate) for us, rate in zip(of_us, theirs, strict=True) if us and rate]
        cells.append(
            spread([rate for rate in theirs if rate]) + f" ({failed} failed)" * bool(failed)
        )
        cells.append(f"{ratio(*zip(*pairs, strict=True)):.1f}" if pairs else "-")
    return row(cells)


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of jobs")
    parser.add_argument(
        "--peers", default=PEERS, type=os.path.abspath, help="the Python that has them"
    )
    parser.add_argument(
        "tools", nargs="*", help=", ".join(tool.package for tool in TOOLS if tool.worker)
    )
    args = parser.parse_args()
    wanted = {"gearfleet", *(args.tools or (tool.package for tool in TOOLS))}
    tools = tuple(tool for tool in TOOLS if tool.package in wanted)
    print(machine(), flush=True)
    if shown := versions(args.peers, tools):
        print(shown, flush=True)
    else:
        tools = tuple(tool for tool in tools if not tool.worker)
    with (
        tempfile.TemporaryDirectory() as name,
        gearmand(Path(name), cpu=()) as gearmand_port,
        redis(Path(name)) if shown else nullcontext(0) as redis_port,
    ):
        bench = Bench(Path(name), args.peers, gearmand_port, redis_port)
        found = measure(bench, tools, args.rounds, args.scale)
    print(row(["tool", "worker", "submitted/s", "gearfleet to it", "run/s", "gearfleet to it"]))
    print("|---|---|---|---|---|---|")
    print("\n".join(line(tool, found[tool.name], found["gearfleet"]) for tool in tools))


if __name__ == "__main__":
    main()
