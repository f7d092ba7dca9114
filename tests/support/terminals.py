"""A real terminal (pty) with a process in it: what it shows, and what is typed there."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
from typing import TYPE_CHECKING

from tests.support.processes import clean_environment
from tests.support.waiting import DEADLINE, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

ENTERED, LEFT = "\x1b[?1049h", "\x1b[?1049l"
#: Becomes a command whose terminal, for all that it is, its standard input is.
_AT_TERMINAL = "import os, sys; os.login_tty(os.dup(0)); os.execvp(sys.argv[1], sys.argv[1:])"
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A terminal of `size` (columns, lines) in which `command` runs in the foreground."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        size: tuple[int, int] = (120, 40),
    ) -> None:
        self._ours, self._theirs = pty.openpty()
        self.resize(*size)
        self.before = termios.tcgetattr(self._theirs)
        self._said = b""
        self.process = subprocess.Popen(
            [sys.executable, "-SEc", _AT_TERMINAL, *command],
            stdin=self._theirs,
            cwd=cwd,
            env={**(env or clean_environment()), "TERM": "xterm-256color"},
        )

    def resize(self, columns: int, lines: int) -> None:
        """Give it another size, of which the kernel tells the process."""
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def type(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    @property
    def said(self) -> str:
        """Everything that the process has written."""
        while select.select([self._ours], [], [], 0)[0]:
            try:
                self._said += os.read(self._ours, 65536)
            except OSError:  # nobody has it open any more
                break
        return self._said.decode(errors="replace")

    @property
    def screen(self) -> list[str]:
        """The lines of the last screen that was drawn completely."""
        *_, frame, _ = ["", *self.said.split("\x1b[J")]
        return [
            _CONTROL.sub("", line).rstrip() for line in frame.rpartition("\x1b[H")[2].split("\r\n")
        ]

    def text(self) -> str:
        return "\n".join(self.screen)

    def wait_for(self, *texts: str, without: str | None = None) -> list[str]:
        """Wait until a screen has all `texts`, and not what it must be `without`; return it."""

        def is_there(lines: list[str]) -> bool:
            shown = "\n".join(lines)
            return all(text in shown for text in texts) and (
                without is None or without not in shown
            )

        return self._wait(is_there, f"{texts} without {without!r}")

    def _wait(self, is_there: Callable[[list[str]], bool], what: str) -> list[str]:
        found: list[str] = []

        def look() -> bool:
            nonlocal found
            found = self.screen
            assert self.process.poll() is None, f"ended {self.process.returncode}:\n{self.said}"
            return is_there(found)

        try:
            wait_for(look, what)
        except AssertionError as error:
            raise AssertionError(f"{error}; the screen:\n{self.text()}") from error
        return found

    def wait(self) -> int:
        """Return the exit code."""
        wait_for(lambda: (self.said, self.process.poll() is not None)[1], "the process to end")
        return self.process.wait(DEADLINE)

    @property
    def is_as_before(self) -> bool:
        """Whether the terminal is set as it was, and shows what it showed."""
        is_left = self.said.rfind(LEFT) > self.said.rfind(ENTERED)
        is_visible = self.said.rfind("\x1b[?25h") > self.said.rfind("\x1b[?25l")
        return termios.tcgetattr(self._theirs) == self.before and is_left and is_visible

    def close(self) -> None:
        """End the process, and whoever it left behind."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self._ours)
        os.close(self._theirs)
