"""The parent of ``--reload``: it starts the worker, and starts it anew when its source changes.

a file changes       the worker is sent SIGTERM, so it finishes its job; then the next starts
the worker fails     the traceback is there to read; the next starts at the next change
Ctrl-C, TERM, HUP    the worker is told, and when it has ended, so does the parent
the parent is killed the worker notices, and drains
"""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from gearfleet.cli.reload import VARIABLE
from gearfleet.cli.reload.sources import Notifier, Sources
from gearfleet.errors import EXIT_FAILED, EXIT_RECYCLED
from gearfleet.worker.logs import logging_as

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gearfleet.worker.logs import LogOptions

logger = logging.getLogger(__name__)

#: The worker may take two with patience, so that the second interrupts its job; the third ends it.
_PATIENCE = 2
_STOP = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PASSED_ON = (signal.SIGUSR1,)
_CHANGED = 255  #: no signal: somebody else woke us


def reload(options: LogOptions) -> int:
    """Run this process's own command as a worker, and again when its source changes.

    Return the exit code: that of the last one, and 0 if there is none to be stopped.
    """
    command = [sys.executable, *sys.orig_argv[1:]]
    with logging_as(options), _ears() as (ears, voice):
        reloader = Reloader(command, ears, voice)
        try:
            return reloader.run()
        finally:
            reloader.close()


class Child(NamedTuple):
    """One run of the worker."""

    process: subprocess.Popen[bytes]
    report: int
    started: float

    @classmethod
    def start(cls, command: Sequence[str]) -> Child:
        """Start it, with a pipe through which it tells what it is made of."""
        started = time.time()
        report, theirs = os.pipe()
        os.set_blocking(report, False)
        try:
            environment = {**os.environ, VARIABLE: str(theirs)}
            process = subprocess.Popen(command, env=environment, pass_fds=[theirs])
        finally:
            os.close(theirs)
        return cls(process, report, started)


class Reloader:
    """Runs one worker after the other."""

    def __init__(self, command: Sequence[str], ears: socket.socket, voice: socket.socket) -> None:
        """Run `command`; hear from `ears` of signals, and of what is said to `voice`."""
        self._command = command
        self._ears = ears
        self._sources = Sources()
        self._notifier = Notifier(self._is_watched, lambda: voice.send(bytes([_CHANGED])))
        self._root = os.getcwd()  # noqa: PTH109
        self._told = b""
        self._stops = 0
        self._child: Child | None = None

    def run(self) -> int:
        """Start the worker, and again after each change, until told to stop; return its code."""
        while True:
            self._child = child = Child.start(self._command)
            self._sources, self._told = Sources(self._sources.files), b""
            is_changed = self._watch(child)
            code = child.process.wait()
            self._hear_report(child)
            os.close(child.report)
            if self._stops or (code == 0 and not is_changed):
                return self._exit_code(code)
            if not (is_changed or code == EXIT_RECYCLED or self._wait_after(code, child)):
                return 0

    def _exit_code(self, code: int) -> int:
        if code == -signal.SIGTERM and self._stops:
            return 0  # it had only begun, and did not take the signal yet
        return code if code >= 0 else EXIT_FAILED

    def close(self) -> None:
        """Leave nothing behind."""
        self._notifier.close()
        if self._child is not None and self._child.process.poll() is None:
            self._child.process.terminate()
            self._child.process.wait()

    def _watch(self, child: Child) -> bool:
        """Return when the worker has ended: whether it was to, because its source has changed."""
        is_changed = False
        while child.process.poll() is None:
            self._pause(child.report)
            self._hear_report(child)
            changed = self._sources.changed(since=child.started)
            if changed and not is_changed:
                is_changed = True
                _log_change(changed, "the worker is replaced after the job in hand")
                child.process.terminate()
        return is_changed

    def _wait_after(self, code: int, child: Child) -> bool:
        """Wait for the change that mends what ended the worker; return False if told to stop."""
        self._sources.add_sources_below(self._root)
        logger.warning(
            "The worker has ended with %s; the next starts when a file changes",
            _shown(code),
            extra={"action": "reload_waits", "exit_code": code},
        )
        while not self._stops:
            if changed := self._sources.changed(since=child.started):
                _log_change(changed, "trying again")
                return True
            self._pause()
        return False

    def _is_watched(self, path: str) -> bool:
        return self._sources.is_watched(path)

    def _pause(self, *descriptors: int) -> None:
        """Wait until there may be something to do."""
        self._notifier.watch(self._sources.folders)
        ears = self._ears.fileno()
        ready, _, _ = select.select([ears, *descriptors], [], [], self._notifier.interval)
        if ears in ready:
            for number in self._ears.recv(4096):
                self._handle(number)
        elif ready:
            time.sleep(0.05)  # the worker imports: let it tell more at a time

    def _handle(self, number: int) -> None:
        process = self._child.process if self._child else None
        if number in _STOP:
            self._stops += 1
            if process and self._stops > _PATIENCE:
                process.kill()
            elif process and not (number == signal.SIGINT and _is_in_foreground()):
                # Another one the second time: of two alike, the kernel keeps one while it is pending.
                process.send_signal(signal.SIGTERM if self._stops == 1 else signal.SIGINT)
        elif number in _PASSED_ON and process:
            process.send_signal(number)

    def _hear_report(self, child: Child) -> None:
        with suppress(BlockingIOError):
            while data := os.read(child.report, 65536):
                self._told += data
        *lines, self._told = self._told.split(b"\n")
        for kind, path in map(json.loads, lines):
            if kind == "file":
                self._sources.add_file(path)
            elif kind == "tree":
                self._sources.add_tree(path)
            else:
                self._root = path


@contextmanager
def _ears() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Yield a socket on which signals are heard, as bytes, and the one to wake its reader by."""
    ears, voice = socket.socketpair()
    with ears, voice:
        voice.setblocking(False)
        previous_fd = signal.set_wakeup_fd(voice.fileno(), warn_on_full_buffer=False)
        heard = (*_STOP, *_PASSED_ON, signal.SIGCHLD)
        previous = {number: signal.signal(number, _note) for number in heard}
        try:
            yield ears, voice
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler or signal.SIG_DFL)
            signal.set_wakeup_fd(previous_fd)


def _note(_number: int, _frame: object) -> None:
    """Take the signal: the byte on the socket has told it."""


def _is_in_foreground() -> bool:
    """Return whether a SIGINT is the terminal's Ctrl-C, which the worker has heard as well."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def _log_change(changed: Sequence[str], then: str) -> None:
    shown = os.path.relpath(changed[0])
    more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
    extra = {"action": "reload", "changed": changed}
    logger.info("Changed: %s%s; %s", shown, more, then, extra=extra)


def _shown(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
