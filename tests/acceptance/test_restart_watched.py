"""A rolling restart at a terminal: the same lines, and a bar below them while it goes on."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

from tests.support.crews import Crew
from tests.support.processes import GEARFLEET, clean_environment


def at_a_terminal(command: list[str]) -> tuple[int, str]:
    """Run a command whose output is a terminal; return its exit code and what it wrote."""
    ours, theirs = pty.openpty()
    environment = clean_environment(TERM="xterm", COLUMNS="100", LINES="30")
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        written = b""
        while chunk := _read(ours):
            written += chunk
        code = process.wait()
    os.close(ours)
    return code, written.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # as Linux says that nobody holds the other end any more
        return b""


def test_restart__shows_a_bar_to_who_watches() -> None:
    with Crew({"bar": {"w": 2}}) as crew:
        config = str(crew.daemon.config)
        code, shown = at_a_terminal([*GEARFLEET, "restart", "bar", "-c", config])
        assert code == 0, shown
        assert "1/2 1 under way" in shown
        assert "bar:w_01: restarted (pid " in shown
        assert "bar: 2 restarted in " in shown.splitlines()[-1]

        supervisorctl = [sys.executable, "-m", "supervisor.supervisorctl", "-c", config]
        code, shown = at_a_terminal([*supervisorctl, "gearfleet", "restart", "bar:w_00"])
        assert code == 0, shown
        assert "0/1 1 under way" in shown
