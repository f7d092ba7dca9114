"""Small processes for a supervisord to run, and a watch over how many of them run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Self

import pytest

from gearfleet.supervisor.processes import program_of
from tests.support.supervisord import Supervisord
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

DEBIAN_PYTHON = "/usr/bin/python3"
INSTALL_SUPERVISOR = "needs Debian's supervisor: apt-get install supervisor"

PLUGIN = """\
[ctlplugin:gearfleet]
supervisor.ctl_factory = gearfleet.supervisor.ctlplugin:make_controllerplugin
servers = {servers}
run_dir = /run/gearfleet
"""

EXTENSION = """\
[rpcinterface:gearfleet]
supervisor.rpcinterface_factory = gearfleet.supervisor.reconcile:make_rpcinterface

"""

#: Like a worker: after SIGTERM it finishes the job in hand, then ends. It does what
#: files beside it say: `job` seconds to finish, `deaf` to SIGTERM, `broken` at its start.
#: It imports next to nothing, because there are many of it, and nothing of what is installed.
SCRIPT = """\
import os, signal, sys, time
os.chdir(os.path.dirname(__file__))
name = os.environ["SUPERVISOR_PROCESS_NAME"]
stops = []
signal.signal(signal.SIGTERM, lambda *_: stops.append(1))
def said(word):
    with open("diary", "a") as diary:
        diary.write(f"{word} {name} {os.getpid()}\\n")
def seconds():
    with open("job") as job:
        return float(job.read())
if os.path.exists(f"broken.{name}"):
    sys.exit(1)
said("begin")
while not stops or os.path.exists(f"deaf.{name}"):
    time.sleep(0.02)
said("stopping")
began = time.monotonic()
while time.monotonic() < began + seconds():
    time.sleep(0.02)
said("done")
"""


def require_debian() -> str:
    """Return a system Python that has Debian's supervisor; without one skip, and fail in CI."""
    command = [DEBIAN_PYTHON, "-c", "import supervisor.options"]
    if shutil.which(DEBIAN_PYTHON) is None or subprocess.run(command, check=False).returncode:
        if os.environ.get("CI") == "true":
            pytest.fail(INSTALL_SUPERVISOR)
        pytest.skip(INSTALL_SUPERVISOR)
    return DEBIAN_PYTHON


class Crew:
    """A supervisord whose processes finish a job of `job` seconds when they are told to stop."""

    def __init__(
        self,
        groups: dict[str, dict[str, int]],
        *,
        python: str = sys.executable,
        job: float = 0.0,
        stopwaitsecs: int = 20,
        script: str = SCRIPT,
        servers: str = "",
        extension: bool = False,
    ) -> None:
        sections = (EXTENSION if extension else "") + PLUGIN.format(servers=servers)
        self.daemon = Supervisord(python=python, sections=sections)
        self.folder: Path = self.daemon.folder
        (self.folder / "crew.py").write_text(script)
        self._has_diary = script is SCRIPT
        self._python = f"{sys.executable} -IS" if self._has_diary else sys.executable
        (self.folder / "diary").touch()
        self.job(job)
        self.configure(groups, stopwaitsecs=stopwaitsecs)

    def configure(
        self,
        groups: dict[str, dict[str, int]],
        *,
        stopwaitsecs: int = 20,
        words: str = "",
        options: str = "",
    ) -> None:
        """Write the configuration: processes by program by group; `words` end each command."""
        lines = []
        for group, programs in groups.items():
            lines += [f"[group:{group}]", f"programs={','.join(programs)}"]
            for program, count in programs.items():
                lines += [
                    f"[program:{program}]",
                    f"command={self._python} {self.folder}/crew.py {words}".rstrip(),
                    "process_name=%(program_name)s_%(process_num)02d",
                    f"numprocs={count}",
                    f"stopwaitsecs={stopwaitsecs}",
                    "redirect_stderr=true",
                    *options.splitlines(),
                ]
        (self.daemon.conf_d / "crew.conf").write_text("\n".join(lines) + "\n")

    def __enter__(self) -> Self:
        self.daemon.start()
        self.daemon.wait_until_running()
        if self._has_diary:
            self.wait_until_begun()
        return self

    def __exit__(self, *_: object) -> None:
        for mark in self.folder.glob("deaf.*"):
            mark.unlink()
        self.job(0)
        self.daemon.close()

    def job(self, seconds: float) -> None:
        """Let a job take `seconds` from now on, also one that is being finished."""
        (self.folder / "job.new").write_text(str(seconds))
        (self.folder / "job.new").replace(self.folder / "job")

    def mark(self, word: str, name: str) -> None:
        """Make a process `broken` or `deaf` from now on."""
        (self.folder / f"{word}.{name}").touch()

    def diary(self, word: str) -> list[str]:
        """Return the names that wrote `word`, in order."""
        lines = [line.split() for line in (self.folder / "diary").read_text().splitlines()]
        return [line[1] for line in lines if line[0] == word]

    def pids(self, group: str | None = None) -> dict[str, int]:
        return {name: info["pid"] for name, info in self.daemon.processes(group).items()}

    def wait_until_begun(self) -> None:
        """Wait until SIGTERM has a meaning to every process; RUNNING is said before."""

        def have_begun() -> bool:
            begun = {
                line.removeprefix("begin ")
                for line in (self.folder / "diary").read_text().splitlines()
                if line.startswith("begin ")
            }
            return {f"{name} {pid}" for name, pid in self.pids().items()} <= begun

        wait_for(have_begun, "every process to have begun")

    def states(self, group: str | None = None) -> dict[str, str]:
        return {name: info["statename"] for name, info in self.daemon.processes(group).items()}


class Watch:
    """Counts in a thread of its own, all the time, how many processes are RUNNING."""

    def __init__(self, daemon: Supervisord, group: str) -> None:
        self._daemon = daemon
        self._group = group
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._count)
        self.looks = 0
        self.lowest: dict[str, int] = {}
        self.lowest_total = 10**6

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _count(self) -> None:
        rpc = self._daemon.rpc()
        while not self._stop.is_set():
            infos = rpc.supervisor.getAllProcessInfo()
            mine = [info for info in infos if info["group"] == self._group]
            up = Counter(program_of(i["name"]) for i in mine if i["statename"] == "RUNNING")
            for program in {program_of(info["name"]) for info in mine}:
                self.lowest[program] = min(self.lowest.get(program, 10**6), up[program])
            self.lowest_total = min(self.lowest_total, up.total())
            self.looks += 1
            time.sleep(0.02)
