"""Four processes become eight in a big running fleet: the extension, and Supervisor's own update.

    python benchmarks/reconcile.py [--groups 100] [--processes 10] [--rounds 3]

Each process is a `sleep`, RUNNING as soon as it is started. Timed is all that comes after
the file was changed: until eight run and supervisord says that nothing is left to do.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from bed import say

from gearfleet.errors import SupervisorUnreachable
from gearfleet.supervisor.control import Supervisor
from gearfleet.supervisor.extension import Extension

if TYPE_CHECKING:
    from collections.abc import Callable

MAIN = """\
[supervisord]
nodaemon=true
pidfile={folder}/pid
logfile={folder}/log
childlogdir={folder}
minfds={descriptors}
[unix_http_server]
file={folder}/s.sock
[supervisorctl]
serverurl=unix://{folder}/s.sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[rpcinterface:gearfleet]
supervisor.rpcinterface_factory = gearfleet.supervisor.reconcile:make_rpcinterface
[include]
files={folder}/*.conf
"""
PROGRAM = """\
[program:{name}]
command=/bin/sleep 100000
process_name=%(program_name)s_%(process_num)02d
numprocs={count}
startsecs=0
stdout_logfile=NONE
redirect_stderr=true
"""
FEW, MANY = 4, 8


class Fleet:
    """A supervisord with `groups` groups, and one more that changes."""

    def __init__(self, folder: Path, groups: int, processes: int) -> None:
        self.folder = folder
        (folder / "main").write_text(
            MAIN.format(folder=folder, descriptors=2 * groups * processes + 200)
        )
        for number in range(groups - 1):
            self.write(f"g{number:03}", processes)
        self.write("bar", FEW)
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", folder / "main"]
        self.daemon = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self.control = Supervisor.from_url(f"unix://{folder}/s.sock", timeout=60)
        self.total = (groups - 1) * processes
        self.wait_for(FEW)

    def write(self, name: str, count: int) -> None:
        text = PROGRAM.format(name=name, count=count)
        (self.folder / f"{name}.conf").write_text(text)

    def pids(self) -> dict[str, int]:
        try:
            return {each.name: each.pid for each in self.control.processes() if each.is_running}
        except SupervisorUnreachable:
            return {}

    def wait_for(self, count: int) -> None:
        while len(self.pids()) != self.total + count:
            time.sleep(1)  # such a look costs supervisord a good part of that

    def wait_for_many(self) -> None:
        """Wait until eight processes run, and look at these only."""
        names = [f"bar:bar_{number:02}" for number in range(MANY)]
        calls = [{"methodName": "supervisor.getProcessInfo", "params": [name]} for name in names]
        while not all(info.get("pid") for info in self.control.call("system.multicall", calls)):
            time.sleep(0.05)

    def back(self) -> None:
        """Have four processes again, without any clock."""
        self.write("bar", FEW)
        reconcile(self)
        self.wait_for(FEW)


def reconcile(fleet: Fleet) -> None:
    Extension(fleet.control).reconcile(["bar"], max_unavailable="25%", report=lambda _: None)


def update(fleet: Fleet) -> None:
    command = [sys.executable, "-m", "supervisor.supervisorctl", "-c", fleet.folder / "main"]
    subprocess.run([*command, "update"], stdout=subprocess.DEVNULL, check=True)


def measure(fleet: Fleet, change: Callable[[Fleet], None]) -> tuple[float, int]:
    """Return the seconds that `change` takes, and how many processes it replaced."""
    fleet.back()
    before = fleet.pids()
    fleet.write("bar", MANY)
    began = time.perf_counter()
    change(fleet)
    fleet.wait_for_many()
    took = time.perf_counter() - began
    after = fleet.pids()
    return took, sum(after[name] != pid for name, pid in before.items())


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--groups", type=int, default=100)
    parser.add_argument("--processes", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gf-", dir="/tmp") as folder:
        fleet = Fleet(Path(folder), args.groups, args.processes)
        try:
            changes = {"gearfleet": reconcile, "supervisorctl update": update}
            found = {
                name: [measure(fleet, change) for _ in range(args.rounds)]
                for name, change in changes.items()
            }
        finally:
            fleet.daemon.terminate()
            fleet.daemon.wait()
    say(f"| {FEW} -> {MANY} among {fleet.total} others | seconds | pids changed |\n|---|---|---|")
    for name, rounds in found.items():
        say(f"| {name} | {median(took for took, _ in rounds):.2f} | {max(n for _, n in rounds)} |")


if __name__ == "__main__":
    main()
