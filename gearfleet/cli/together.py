"""Several commands that run together, as one: a pool and a scheduler, for those without Supervisor.

one ends that should go on      it is started again, after a pause that grows
one ends as nothing can mend    the others are stopped, and its exit code is returned
SIGTERM, SIGINT                 all are told; a second one interrupts their jobs
HUP, USR1, TSTP, CONT           all are told
this process is killed          the kernel tells all to stop
"""

from __future__ import annotations

import logging
import select
import signal
import subprocess
import time
from typing import TYPE_CHECKING

from gearfleet.errors import EXIT_CONFIG, EXIT_FAILED, EXIT_IMPORT, EXIT_RECYCLED, EXIT_USAGE
from gearfleet.worker.pool.ear import Ear
from gearfleet.worker.pool.linux import end_with_parent

if TYPE_CHECKING:
    from collections.abc import Sequence

logger = logging.getLogger(__name__)

_STOP = (signal.SIGTERM, signal.SIGINT)
_PASSED_ON = (signal.SIGHUP, signal.SIGUSR1, signal.SIGTSTP, signal.SIGCONT)

#: Exit codes that another start would give again (docs/reference/exit-codes.md).
_FINAL = (EXIT_USAGE, EXIT_IMPORT, EXIT_CONFIG)

#: Seconds before one that ended is started again: at first, and at most.
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0


def run_together(commands: Sequence[Sequence[str]]) -> int:
    """Run `commands` until a signal ends them, or one of them cannot go on; return the exit code."""
    with Ear((*_STOP, *_PASSED_ON, signal.SIGCHLD)) as ear:
        return _Together([_Member(command) for command in commands], ear).run()


class _Member:
    """One command: its process, and when the next may start."""

    def __init__(self, command: Sequence[str]) -> None:
        self.command = command
        self.process: subprocess.Popen[bytes] | None = None
        self._pause = _FIRST_PAUSE
        self._due = 0.0

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start_if_due(self) -> None:
        if self.process is None and time.monotonic() >= self._due:
            # In a group of its own: what is typed at the terminal comes through us, once.
            self.process = subprocess.Popen(
                self.command,
                process_group=0,
                preexec_fn=lambda: end_with_parent(signal.SIGTERM),  # noqa: PLW1509 - no threads
            )

    def ended(self) -> int | None:
        """Return how the process has ended, once; None if it has not."""
        if self.process is None or (code := self.process.poll()) is None:
            return None
        self.process = None
        self._due = time.monotonic() + (0.0 if code == EXIT_RECYCLED else self._pause)
        self._pause = min(_LONGEST_PAUSE, self._pause * 2)
        return code

    def tell(self, number: signal.Signals) -> None:
        if self.process is not None and self.is_running:
            self.process.send_signal(number)


class _Together:
    def __init__(self, members: Sequence[_Member], ear: Ear) -> None:
        self._members = members
        self._ear = ear
        self._is_stopping = False
        self._code = 0

    def run(self) -> int:
        try:
            while not self._is_stopping or any(member.is_running for member in self._members):
                self._step()
            return self._code
        finally:
            for member in self._members:
                member.tell(signal.SIGTERM)

    def _step(self) -> None:
        for member in self._members:
            if not self._is_stopping:
                member.start_if_due()
        select.select([self._ear.socket], [], [], 0.5)
        for number in self._ear.heard():
            self._hear(number)
        for member in self._members:
            self._look_after(member)

    def _hear(self, number: signal.Signals) -> None:
        if number == signal.SIGCHLD:
            return
        self._is_stopping = self._is_stopping or number in _STOP
        for member in self._members:
            member.tell(signal.SIGTERM if number in _STOP else number)

    def _look_after(self, member: _Member) -> None:
        code = member.ended()
        if code is None:
            return
        if self._is_stopping:
            self._code = self._code or (code if code >= 0 else EXIT_FAILED)
        elif code in _FINAL:
            self._code = code
            self._hear(signal.SIGTERM)
        elif code != EXIT_RECYCLED:
            logger.warning(
                "'%s' has ended, exit code %d; it is started again",
                " ".join(member.command[-3:]),
                code,
                extra={"action": "started_again", "code": code},
            )
