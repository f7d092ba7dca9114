"""Real job servers for tests: Debian's gearmand and gearfleet's own, each in a process."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.ports import free_port
from tests.support.processes import GEARFLEET, Process
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Sequence

GEARMAND = shutil.which("gearmand") or shutil.which("gearmand", path="/usr/sbin:/usr/local/sbin")
INSTALL_GEARMAND = "needs gearmand: apt-get install gearman-job-server gearman-tools"


def require_gearmand() -> str:
    """Return the path of gearmand; without one skip here, and fail in CI."""
    return _require(GEARMAND)


def has_gearmand() -> bool:
    """Return whether gearmand is there; in CI it has to be."""
    return GEARMAND is not None or os.environ.get("CI") == "true"


def require_gearman() -> str:
    """Return the path of the command line client `gearman`, likewise."""
    return _require(shutil.which("gearman"))


def _require(path: str | None) -> str:
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail(INSTALL_GEARMAND)
        pytest.skip(INSTALL_GEARMAND)
    return path


@dataclass
class JobServer:
    """One job server on a port of its own; `stop`, `start` and `kill` keep the port."""

    kind: str
    options: Sequence[str] = ()
    port: int = field(default_factory=free_port)
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="gf-js-")))
    process: Process | None = None
    host: str = "127.0.0.1"

    @property
    def address(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def start(self) -> JobServer:
        self.process = Process(self._command(), log=self.folder / "server.log")
        wait_for(self._answers, f"{self.kind} on port {self.port}")
        return self

    def _command(self) -> list[str]:
        if self.kind == "embedded":
            return [*GEARFLEET, "server", "--listen", self.address, *self.options]
        return [
            require_gearmand(),
            *("-L", self.host, "-p", str(self.port), "-l", "stderr"),
            *("-P", str(self.folder / "pid")),
            *(("-u", "root") if os.geteuid() == 0 else ()),
            *self.options,
        ]

    def _answers(self) -> bool:
        assert self.process is not None
        if self.process.returncode is not None:
            raise AssertionError(f"{self.kind} ended:\n{self.process.output()}")
        try:
            with socket.create_connection((self.host, self.port), timeout=1) as connection:
                connection.sendall(b"version\r\n")
                return connection.recv(100).startswith(b"OK")
        except OSError:
            return False

    def text(self, command: str) -> list[str]:
        """Return the lines that the admin command answers, without the final dot."""
        with socket.create_connection((self.host, self.port), timeout=5) as connection:
            connection.sendall(command.encode() + b"\r\n")
            received = b""
            while not received.endswith(b".\n"):
                chunk = connection.recv(65536)
                if not chunk:
                    break
                received += chunk
        return received.decode("utf-8", "surrogateescape").splitlines()[:-1]

    def workers_of(self, function: str) -> int:
        """Return how many workers are registered for `function`."""
        rows = (line.split("\t") for line in self.text("status"))
        return next((int(row[3]) for row in rows if row[0] == function), 0)

    def wait_for_workers(self, function: str, count: int = 1) -> None:
        wait_for(
            lambda: self.workers_of(function) == count, f"{count} workers of {function} registered"
        )

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()

    def close(self) -> None:
        if self.process is not None:
            self.process.terminate()
        shutil.rmtree(self.folder, ignore_errors=True)
