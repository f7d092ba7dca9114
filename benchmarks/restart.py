"""A rolling restart of many processes, beside the least time that it can take.

    python benchmarks/restart.py [--processes 100] [--wave 25] [--stop 1] [--rounds 1]

Every process takes `stop` seconds to end, as one that finishes a job, and is RUNNING
`startsecs` = 2 s after its start. So n processes, k at a time, cannot be restarted
in less than ceil(n / k) x (stop + start). Wanted: at most 1.15 times as long, and at
every moment at least n - k processes that are RUNNING, by another pair of eyes.

The processes are copies of one small one that sleeps: what is measured is the
restart, and supervisord, not the start of Python.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from bed import Failed

from gearfleet.supervisor import verbs
from gearfleet.supervisor.control import Supervisor
from gearfleet.supervisor.waves import MaxUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gearfleet.supervisor.events import Event, RolloutResult

WANTED = 1.15
START = 2.0
LIMIT = 120

#: sh, because a hundred Pythons would measure this machine.
PROCESS = """\
#!/bin/sh
trap 'kill $!; sleep {stop}; exit 0' TERM
while :; do sleep 1000 & wait $!; done
"""

CONFIG = """\
[supervisord]
nodaemon=true
pidfile={folder}/supervisord.pid
logfile={folder}/supervisord.log
minfds=4096
[unix_http_server]
file={folder}/s.sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[program:w]
command=/bin/sh {folder}/process
process_name=%(program_name)s_%(process_num)03d
numprocs={count}
startsecs={start:g}
stopwaitsecs=60
redirect_stderr=true
stdout_logfile=NONE
killasgroup=true
"""


@dataclass(frozen=True)
class Run:
    """The figures of one restart."""

    result: RolloutResult
    lowest: int
    looks: int


def main() -> None:
    """Measure, and say whether it is as fast as wanted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=100)
    parser.add_argument("--wave", type=int, default=25)
    parser.add_argument("--stop", type=float, default=1.0, help="seconds that each takes to end")
    parser.add_argument("--rounds", type=int, default=1)
    args = parser.parse_args()
    least = ceil(args.processes / args.wave) * (args.stop + START)
    floor = args.processes - args.wave
    with supervisord(args.processes, args.stop) as control:
        for _ in range(args.rounds):
            run = restarted(control, args.wave)
            ratio = run.result.seconds / least
            print(
                f"{args.processes} processes, {args.wave} at a time: {run.result.seconds:.2f} s, "
                f"least {least:.2f} s, ratio {ratio:.3f} "
                f"(wanted {WANTED}, {'met' if ratio <= WANTED else 'missed'}); never fewer than "
                f"{run.lowest} RUNNING in {run.looks} looks (wanted {floor}, "
                f"{'met' if run.lowest >= floor else 'missed'})",
                flush=True,
            )


def restarted(control: Supervisor, wave: int) -> Run:
    """Restart all, with somebody who counts."""
    count = Count(Supervisor(control.address))
    with count:
        (result,) = verbs.restart(
            control, ["w"], report=silent, max_unavailable=MaxUnavailable(count=wave)
        )
    if not result.ok:
        raise Failed(f"the restart failed: {result.halted} {result.failed} {result.killed}")
    return Run(result=result, lowest=count.lowest, looks=count.looks)


def silent(_event: Event) -> None:
    """Say nothing."""


class Count:
    """Counts in a thread of its own how many processes are RUNNING."""

    def __init__(self, control: Supervisor) -> None:
        self.lowest, self.looks = 10**6, 0
        self._control = control
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.5):  # each look takes supervisord some milliseconds
            running = sum(process.is_running for process in self._control.processes())
            self.lowest, self.looks = min(self.lowest, running), self.looks + 1


@contextmanager
def supervisord(count: int, stop: float) -> Iterator[Supervisor]:
    """Run the processes."""
    with tempfile.TemporaryDirectory(prefix="gf-restart-") as name:
        folder = Path(name)
        (folder / "process").write_text(PROCESS.format(stop=stop))
        config = folder / "supervisord.conf"
        config.write_text(CONFIG.format(folder=folder, count=count, start=START))
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(config)]
        with (folder / "out").open("wb") as out:
            daemon = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ})
        try:
            control = Supervisor.from_url(f"unix://{folder}/s.sock")
            wait_until_running(control, folder / "out", daemon)
            yield control
        finally:
            daemon.terminate()
            daemon.wait(LIMIT)


def wait_until_running(control: Supervisor, log: Path, daemon: subprocess.Popen[bytes]) -> None:
    """Return when all processes are RUNNING."""
    from gearfleet.errors import SupervisorError

    until = time.monotonic() + LIMIT
    while time.monotonic() < until and daemon.poll() is None:
        time.sleep(0.2)
        try:
            if all(process.is_running for process in control.processes()):
                return
        except SupervisorError:
            continue
    raise Failed(f"not everything runs:\n{log.read_text()}")


if __name__ == "__main__":
    main()
