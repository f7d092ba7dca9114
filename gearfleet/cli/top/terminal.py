"""The terminal of ``gearfleet top``: its screen, its keys, and how it was before.

The second screen that terminals have for this is used, so that what stood there is seen again
afterwards. However the command ends (save by SIGKILL), and while it is suspended (Ctrl-Z),
the terminal is as it was.
"""

from __future__ import annotations

import os
import shutil
import signal
import termios
import tty
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gearfleet.cli.top.tables import Line

#: The second screen, no cursor, no wrapping of long lines; and back.
_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"
_LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l"
_HOME, _REST_OF_LINE, _REST_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"
_STYLES = {"title": "\x1b[7m", "head": "\x1b[1m", "bad": "\x1b[31m"}
_PLAIN = "\x1b[0m"


class Terminal:
    """A terminal that shows one screen after the other; use it as a context."""

    def __init__(self, keyboard: TextIO, stream: TextIO, *, color: bool) -> None:
        """Read keys from `keyboard`, and draw on `stream`; both are terminals."""
        self.keys = keyboard.fileno()
        self._stream = stream
        self._styles = _STYLES if color else {**_STYLES, "bad": ""}
        self._before = termios.tcgetattr(self.keys)

    def __enter__(self) -> Terminal:
        tty.setcbreak(self.keys, termios.TCSANOW)
        modes = termios.tcgetattr(self.keys)
        modes[0] &= ~termios.IXON  # Ctrl-S would hold the screen up, and every signal with it
        termios.tcsetattr(self.keys, termios.TCSANOW, modes)
        self._write(_ENTER)
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # it is gone
            self._write(_LEAVE)
        with suppress(termios.error):
            termios.tcsetattr(self.keys, termios.TCSADRAIN, self._before)

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines."""
        try:
            found = os.get_terminal_size(self._stream.fileno())
        except OSError:
            return 80, 24
        return found.columns or 80, found.lines or 24

    def draw(self, lines: Sequence[Line]) -> None:
        """Show `lines`, as many as the screen has, in the place of what was there."""
        shown = [
            f"{self._styles[line.style]}{line.text}{_PLAIN}" if line.style else line.text
            for line in lines
        ]
        self._write(_HOME + "\r\n".join(line + _REST_OF_LINE for line in shown) + _REST_OF_SCREEN)

    def suspend(self) -> None:
        """Stop this process, as Ctrl-Z does; return when it goes on."""
        self.__exit__()
        os.kill(os.getpid(), signal.SIGSTOP)
        self.__enter__()

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def is_terminal(*streams: TextIO) -> bool:
    """Tell whether all `streams` are terminals that can show a screen."""
    is_able = os.environ.get("TERM", "dumb") not in ("", "dumb")
    return is_able and all(stream.isatty() for stream in streams)


def width_of(stream: TextIO) -> int:
    """Return how wide lines on `stream` may be; wide where it is no terminal."""
    return shutil.get_terminal_size((80, 24)).columns if stream.isatty() else 200
