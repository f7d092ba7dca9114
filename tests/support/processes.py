"""Start a real process, read what it says, and never leave it behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.ready import ready_for
from tests.support.waiting import DEADLINE, wait_for

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from tests.support.ready import Child

ROOT = Path(__file__).resolve().parents[2]
GEARFLEET = [sys.executable, "-m", "gearfleet"]


def clean_environment(**extra: str) -> dict[str, str]:
    """Return an environment in which nothing of the caller's steers gearfleet or Django."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("GEARFLEET_", "DJANGO_", "SUPERVISOR_", "PYTEST_"))
    }
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "NO_COLOR": "1", **extra}


class Process:
    """A child process whose output goes to a file that the test can read at any time."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        terminal: int | None = None,
        fresh: bool = False,
    ) -> None:
        """Begin; a `terminal` is inherited, and is the standard input, where nothing is by default.

        What is `fresh` imports everything for itself, see `tests.support.ready`.
        """
        self.log = log
        words = [str(part) for part in command]
        env = clean_environment() if env is None else env
        ready = (
            None if fresh or terminal is not None else ready_for(words, env, clean_environment())
        )
        self._child: Child
        with log.open("ab") as out:
            self._begin = out.tell()  # what follows is this process's, not an earlier one's
            if ready is not None:
                streams = [out.fileno()] * 2
                self._child = ready.start(words[1:], streams, cwd=cwd, env=env, new_session=True)
                return
            self._child = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL if terminal is None else terminal,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env=dict(env),
                start_new_session=True,
                pass_fds=() if terminal is None else (terminal,),
            )

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def returncode(self) -> int | None:
        return self._child.poll()

    def output(self) -> str:
        """Return everything that the process wrote so far."""
        with self.log.open("rb") as file:
            file.seek(self._begin)
            return file.read().decode("utf-8", errors="replace")

    def wait_for_output(self, text: str, *, timeout: float = DEADLINE) -> None:
        """Wait until `text` is in the output; fail with the output if the process ends before."""

        def said() -> bool:
            if text in self.output():
                return True
            if self.returncode is not None:
                raise AssertionError(f"ended {self.returncode} without {text!r}:\n{self.output()}")
            return False

        try:
            wait_for(said, repr(text), timeout=timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}; the process wrote:\n{self.output()}") from error

    def signal(self, number: signal.Signals) -> None:
        self._child.send_signal(number)

    def pause(self) -> None:
        """Stop the process as SIGSTOP does, and return when no thread of it runs any more.

        The signal alone is not enough: on a busy machine the other threads go on answering
        until the one that took it gets its turn (signal(7), "Stop signals are per process").
        """
        self.signal(signal.SIGSTOP)
        wait_for(self._is_stopped, f"pid {self.pid} to stop", interval=0.001)

    def go_on(self) -> None:
        """Undo `pause`."""
        self.signal(signal.SIGCONT)

    def _is_stopped(self) -> bool:
        stats = Path(f"/proc/{self.pid}/task").glob("*/stat")
        return all(stat.read_text().rpartition(")")[2].split()[0] in "TtZX" for stat in stats)

    def wait(self, *, timeout: float = DEADLINE) -> int:
        """Return the exit code; fail with the output if there is none in time."""
        try:
            return self._child.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"no exit within {timeout:g} s; wrote:\n{self.output()}") from None

    def terminate(self, *, timeout: float = 10.0) -> None:
        """End the process, with force after `timeout`, and whatever it left in its session."""
        if self.returncode is None:
            self._child.terminate()
            try:
                self._child.wait(timeout)
            except subprocess.TimeoutExpired:
                pass
        self.kill()

    def kill(self) -> None:
        """End the process, and whatever it left in its session, by force."""
        if self.returncode is None:
            self._child.kill()
            self._child.wait()
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str = "",
    timeout: float = 60.0,
    fresh: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and return its code and texts.

    What is `fresh` imports everything for itself, see `tests.support.ready`.
    """
    words = [str(part) for part in command]
    env = clean_environment() if env is None else env
    if not fresh and (ready := ready_for(words, env, clean_environment())):
        return ready.run(words[1:], stdin=stdin, cwd=cwd, env=env, timeout=timeout)
    return subprocess.run(
        words,
        input=stdin,
        capture_output=True,
        text=True,
        cwd=cwd,
        env=dict(env),
        timeout=timeout,
        check=False,
    )


def living_in(sessions: Collection[int]) -> set[int]:
    """Return the processes of these sessions that have not ended, whoever is their parent now."""
    return {
        int(folder.name)
        for folder in Path("/proc").glob("[0-9]*")
        if _living_session(folder) in sessions
    }


def _living_session(folder: Path) -> int:
    """Return the session of a process, 0 if it has ended (proc(5), stat)."""
    try:
        state, _, _, session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
    except OSError:
        return 0
    return 0 if state == "Z" else int(session)
