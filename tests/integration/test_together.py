"""Several commands as one."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.processes import Process, living_in
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Start = Callable[..., Process]

RUN = (
    "import sys; from gearfleet.cli.together import run_together; "
    "sys.exit(run_together([['sh', '-c', each] for each in sys.argv[1:]]))"
)

#: Notes its start, and every signal that is told.
LASTING = """
echo $$ >> {name}
trap 'echo HUP >> {name}' HUP
trap 'echo TERM >> {name}; exit {code}' TERM
while :; do sleep 0.05; done
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Process] = []

    def run(*commands: str) -> Process:
        command = [sys.executable, "-c", RUN, *commands]
        started.append(Process(command, log=tmp_path / "log", cwd=tmp_path))
        return started[-1]

    yield run
    for process in started:
        process.kill()


def notes(folder: Path, name: str) -> list[str]:
    path = folder / name
    return path.read_text().split() if path.exists() else []


def lasting(name: str, code: int = 0) -> str:
    return LASTING.format(name=name, code=code)


@pytest.mark.parametrize("codes", [(0, 0), (0, 7), (7, 0)])
def test_stop__all_are_told_once_and_the_worst_exit_code_is_returned(
    start: Start, tmp_path: Path, codes: tuple[int, int]
) -> None:
    together = start(lasting("a", codes[0]), lasting("b", codes[1]))
    wait_for(lambda: notes(tmp_path, "a") and notes(tmp_path, "b"), "both")
    together.signal(signal.SIGHUP)
    wait_for(lambda: "HUP" in notes(tmp_path, "a"), "its signal")
    together.signal(signal.SIGINT)
    assert together.wait() == max(codes)
    for name in "ab":
        assert notes(tmp_path, name)[1:] == ["HUP", "TERM"]


@pytest.mark.parametrize("code", [2, 3, 78])
def test_end__that_no_start_can_mend_ends_the_others(
    start: Start, tmp_path: Path, code: int
) -> None:
    together = start(lasting("a"), f"while [ ! -s a ]; do sleep 0.05; done; exit {code}")
    assert together.wait() == code
    assert notes(tmp_path, "a")[1:] == ["TERM"]


def test_end__of_any_other_kind_is_a_new_start(start: Start, tmp_path: Path) -> None:
    together = start(lasting("a"), "echo $$ >> b; [ $(wc -l < b) -gt 2 ] && exit 2; exit 75")
    assert together.wait() == 2
    assert len(notes(tmp_path, "b")) == 3
    assert "started again" not in together.output(), "it was renewed, as it is meant to be"


def test_end__by_a_signal_is_said(start: Start, tmp_path: Path) -> None:
    together = start(lasting("a"))
    (first,) = wait_for(lambda: notes(tmp_path, "a"), "the first")
    os.kill(int(first), signal.SIGKILL)
    together.wait_for_output("has ended, exit code -9; it is started again")
    wait_for(lambda: len(notes(tmp_path, "a")) == 2, "another one")


def test_kill__nobody_is_left(start: Start, tmp_path: Path) -> None:
    together = start(lasting("a"), lasting("b"))
    wait_for(lambda: notes(tmp_path, "a") and notes(tmp_path, "b"), "both")
    together.signal(signal.SIGKILL)
    wait_for(lambda: not living_in({together.pid}), "nobody to be left")
