"""The logs of several processes at once, as supervisord has them.

It sends bytes as text, and fails at a part that begins or ends within a
character: so each read is tried again with a byte less.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from xmlrpc.client import ProtocolError

from gearfleet.errors import SupervisorError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gearfleet.supervisor.control import Supervisor

#: How many lines of each process are shown first.
DEFAULT_LINES = 10

#: Bytes that are asked for at a time; the first guess for each line wanted; and
#: how far back one goes for them at most.
CHUNK = 64 * 1024
BYTES_PER_LINE = 200
FURTHEST = 4 * 1024 * 1024

FOLLOW_SECONDS = 0.5

#: A character of UTF-8 has four bytes at most.
_CUTS = range(4)
_BROKEN = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the log of a process."""

    process: str
    text: str


def parse_lines(text: str) -> int:
    """Return the number that the option --lines gives.

    Raises:
        UsageError: It is none.
    """
    if not text.isdecimal() or len(text) > 6:
        raise UsageError(f"--lines is a number of lines from 0 to 999999, not '{text}'")
    return int(text)


@dataclass(slots=True)
class Log:
    """The log of one process, read from `offset` on.

    Attributes:
        rest: of a line that has not ended yet.
    """

    control: Supervisor
    process: str
    offset: int = 0
    rest: str = field(default="", repr=False)

    def last(self, count: int, size: int) -> list[Line]:
        """Return the last lines of a log of `size` bytes, and go on from there."""
        length = min(size, max(CHUNK, count * BYTES_PER_LINE))
        while True:
            self.offset, self.rest = size - length, ""
            lines = self.more(size)
            if length == size:
                break
            if len(lines) > count or length >= FURTHEST:
                lines = lines[1:]  # of the first one the beginning may be missing
                break
            length = min(size, 4 * length)
        return lines[len(lines) - min(count, len(lines)) :]

    def more(self, size: int) -> list[Line]:
        """Return the lines that were completed since, in a log of `size` bytes now."""
        if size < self.offset:  # it was rotated or cleared
            self.offset, self.rest = 0, ""
        texts = []
        while self.offset < size:
            text, read = self._read(min(CHUNK, size - self.offset))
            texts.append(text)
            self.offset += read
        *lines, self.rest = "".join((self.rest, *texts)).split("\n")
        return [Line(process=self.process, text=line) for line in lines]

    def flush(self) -> list[Line]:
        """Return the line that has no end, if there is one."""
        rest, self.rest = self.rest, ""
        return [Line(process=self.process, text=rest)] if rest else []

    def _read(self, length: int) -> tuple[str, int]:
        """Return a text, and how many bytes further the next one begins."""
        for skipped in _CUTS:
            for cut in _CUTS:
                if skipped + cut < length:
                    asked = length - skipped - cut
                    text = self._maybe_read(self.offset + skipped, asked)
                    if text is not None:
                        return text, skipped + asked
        raise SupervisorError(
            f"The log of {self.process} is not UTF-8, and supervisord cannot send it; "
            "read the file itself, its stdout_logfile"
        )

    def _maybe_read(self, offset: int, length: int) -> str | None:
        try:
            return self.control.read_log(self.process, offset, length)
        except SupervisorError as error:
            cause = error.__cause__
            if isinstance(cause, ProtocolError) and cause.errcode == _BROKEN:
                return None
            raise


def tail(
    control: Supervisor,
    names: Sequence[str],
    *,
    lines: int = DEFAULT_LINES,
    follow: bool = False,
    complain: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Line]:
    """Yield the last lines of each process, and then, to `follow`, those that are written.

    Those whose log supervisord does not have are told to `complain`.
    """
    sizes = control.log_sizes(names)
    for refusal in control.without_log([name for name, size in sizes.items() if not size]):
        complain(f"{refusal.name}: no log that supervisord could send ({refusal.text})")
    logs = {name: Log(control, name) for name in sizes}
    for name, size in sizes.items():
        yield from logs[name].last(lines, size)
        if not follow and lines:
            yield from logs[name].flush()
    while follow and logs:
        sleep(FOLLOW_SECONDS)
        for name, size in control.log_sizes(tuple(logs)).items():
            yield from logs[name].more(size)
