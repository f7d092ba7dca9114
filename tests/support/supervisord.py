"""A real supervisord in a temporary directory, driven over its unix socket."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xmlrpc.client import Fault, ServerProxy

from tests.support.processes import Process, clean_environment, run
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    import subprocess

MAIN = """\
[supervisord]
nodaemon=true
pidfile={folder}/supervisord.pid
logfile={folder}/supervisord.log
childlogdir={folder}
directory={folder}

[unix_http_server]
file={folder}/s.sock

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix://{folder}/s.sock

{sections}
[include]
files={folder}/conf.d/*.conf
"""


class Supervisord:
    """One supervisord; configuration fragments go to `conf_d`."""

    def __init__(
        self, *, python: str = sys.executable, sections: str = "", env: dict[str, str] | None = None
    ) -> None:
        # Short, because a unix socket's path ends at 108 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="gf-sv-"))
        self.conf_d = self.folder / "conf.d"
        self.conf_d.mkdir()
        self.config = self.folder / "supervisord.conf"
        self.config.write_text(MAIN.format(folder=self.folder, sections=sections))
        self.socket = self.folder / "s.sock"
        self.url = f"unix://{self.socket}"
        self.env = clean_environment(**(env or {}))
        self.python = python
        self.process: Process | None = None

    def start(self) -> Supervisord:
        command = [self.python, "-m", "supervisor.supervisord", "-c", self.config]
        self.process = Process(command, log=self.folder / "out.log", cwd=self.folder, env=self.env)
        wait_for(self._answers, "supervisord to answer")
        return self

    def _answers(self) -> bool:
        assert self.process is not None
        if self.process.returncode is not None:
            raise AssertionError(f"supervisord ended:\n{self.process.output()}")
        try:
            return bool(self.rpc().supervisor.getPID())
        except (OSError, Fault):
            return False

    def rpc(self) -> Any:
        """Return an XML-RPC proxy; use it as ``supervisord.rpc().supervisor.getState()``."""
        from supervisor.xmlrpc import SupervisorTransport

        class OneCall(SupervisorTransport):  # type: ignore[misc]
            """Closes after each call, so that a forgotten proxy leaks no socket."""

            def request(self, *args: Any, **kwargs: Any) -> Any:
                try:
                    return super().request(*args, **kwargs)
                finally:
                    self.close()

        return ServerProxy("http://localhost", transport=OneCall(None, None, self.url))

    def processes(self, group: str | None = None) -> dict[str, dict[str, Any]]:
        """Return process information by name, of one group or of all."""
        infos = self.rpc().supervisor.getAllProcessInfo()
        return {info["name"]: info for info in infos if group in (None, info["group"])}

    def wait_until_running(self, group: str | None = None, *, timeout: float = 30.0) -> None:
        """Wait until every process (of `group`) is RUNNING; fail with what the others wrote."""

        def are_running() -> bool:
            rows = self.processes(group).values()
            return {row["statename"] for row in rows} == {"RUNNING"}

        try:
            wait_for(are_running, "all processes RUNNING", timeout=timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}, not {self._complaints(group)}") from error

    def _complaints(self, group: str | None) -> list[tuple[str, ...]]:
        return [
            (
                name,
                row["statename"],
                row["spawnerr"],
                Path(row["logfile"] or os.devnull).read_text()[-2000:],
            )
            for name, row in self.processes(group).items()
            if row["statename"] != "RUNNING"
        ]

    def ctl(self, *args: str, timeout: float = 90.0) -> subprocess.CompletedProcess[str]:
        """Run supervisorctl against this supervisord."""
        command = [self.python, "-m", "supervisor.supervisorctl", "-c", self.config, *args]
        return run(command, env=self.env, timeout=timeout)

    def close(self) -> None:
        """Shut down with all processes, by force if a worker will not end."""
        if self.process is not None and self.process.returncode is None:
            pids = [info["pid"] for info in self.processes().values() if info["pid"]]
            self.process.terminate(timeout=20)
            _kill_left(pids)
        shutil.rmtree(self.folder, ignore_errors=True)


def _kill_left(pids: list[int]) -> None:
    import psutil

    deadline = time.monotonic() + 2
    left = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    for process in left:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(left, timeout=max(0.0, deadline - time.monotonic()))
