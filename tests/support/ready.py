"""Processes of gearfleet, Django and supervisorctl without the wait for their imports.

Of each `python -m gearfleet` four fifths of the time go into imports, and of each `manage.py`
more; the tests start more than a thousand. So a process that has imported all of it waits beside
each process of the tests, and becomes the command by a fork: with words, environment, folder,
streams, session and exit code of its own, like any other process.

What a command imports for itself is therefore shown only by tests that start Python: those of
`tests/acceptance/test_cli_fresh.py` for each verb, of packaging, of the readme, all processes that
supervisord begins, Debian's supervisorctl, and whatever says `fresh=True`.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SCRIPT = Path(__file__).with_name("ready_parent.py")
#: Which of ``python -m MODULE`` are imported already.
MODULES = (["-m", "gearfleet"], ["-m", "supervisor.supervisorctl"])
#: Variables that Python, or the C library for it, reads once when it starts.
READ_AT_START = ("PYTHON", "LANG", "LC_", "TZ")


class Child(Protocol):
    """What this module and `subprocess.Popen` have in common."""

    pid: int

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int) -> None: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...


class Forked:
    """A process that the one which waits has become; ask it as one asks a Popen."""

    def __init__(self, words: Sequence[str], answer: socket.socket) -> None:
        self.args = words
        # Unbuffered: of one that has ended already, both lines are there, and `wait` asks the
        # socket for the second.
        self._answer = answer.makefile("rb", buffering=0)
        answer.close()
        self.pid = int(self._answer.readline())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._answer], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
            with self._answer:
                self.returncode = int(self._answer.readline())
        return self.returncode

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, sig)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Ready:
    """The process that waits, and becomes commands."""

    def __init__(self, env: Mapping[str, str], *, django: bool) -> None:
        self._door, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        self._fits = _read_at_start(env)
        with theirs:
            command = [sys.executable, str(SCRIPT), str(theirs.fileno())]
            self._process = subprocess.Popen(
                [*command, "django" if django else "plain"],
                env=dict(env),
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def fits(self, env: Mapping[str, str]) -> bool:
        """Say whether Python would start in the same way in `env`."""
        return _read_at_start(env) == self._fits

    def start(
        self,
        words: Sequence[str],
        streams: Sequence[int],
        *,
        cwd: Path | None,
        env: Mapping[str, str],
        new_session: bool,
    ) -> Forked:
        """Become ``python WORDS``; `streams` are its output, its errors, and its input if any."""
        ours, theirs = socket.socketpair()
        order = {
            "words": list(words),
            "cwd": str(cwd or Path.cwd()),
            "env": dict(env),
            "new_session": new_session,
        }
        with theirs, self._lock:
            socket.send_fds(self._door, [json.dumps(order).encode()], [theirs.fileno(), *streams])
        return Forked(words, ours)

    def run(
        self,
        words: Sequence[str],
        *,
        stdin: str,
        cwd: Path | None,
        env: Mapping[str, str],
        timeout: float,
    ) -> subprocess.CompletedProcess[str]:
        """Become ``python WORDS``, and return its code and texts at its end."""
        with ExitStack() as files:
            out, error, given = (files.enter_context(TemporaryFile("w+")) for _ in range(3))
            given.write(stdin)
            given.seek(0)
            streams = [file.fileno() for file in (out, error, given)]
            child = self.start(words, streams, cwd=cwd, env=env, new_session=False)
            try:
                code = child.wait(timeout)
            except BaseException:
                child.kill()
                child.wait()
                raise
            out.seek(0)
            error.seek(0)
            return subprocess.CompletedProcess(words, code, out.read(), error.read())

    def close(self) -> None:
        """Let it end."""
        self._door.close()
        self._process.wait()


def _read_at_start(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(READ_AT_START)}


_waiting: dict[bool, Ready] = {}
_making = threading.Lock()


def ready_for(
    command: Sequence[str], env: Mapping[str, str], usual: Mapping[str, str]
) -> Ready | None:
    """Return what can become `command` in `env`, if it is one of those that are ready.

    `usual` is the environment in which the one that waits is started.
    """
    if (django := _wants_django(command)) is None or not _can_fork_for_us():
        return None
    with _making:
        if django not in _waiting:
            _waiting[django] = Ready(usual, django=django)
    return ready if (ready := _waiting[django]).fits(env) else None


def close() -> None:
    """Let those that wait end."""
    while _waiting:
        _waiting.popitem()[1].close()


def _wants_django(command: Sequence[str]) -> bool | None:
    """Say whether Django has a part in `command`; None if it is another than those."""
    if command[0] != sys.executable:
        return None
    if command[1].endswith("/manage.py"):
        return True
    return "--settings" in command if list(command[1:3]) in MODULES else None


def _can_fork_for_us() -> bool:
    return hasattr(os, "pidfd_open") and os.geteuid() == os.getuid()
