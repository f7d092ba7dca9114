"""The README's walk, run as it stands, in one shell."""

from __future__ import annotations

import os
import re
import shutil
import stat
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.support import pages
from tests.support.ports import free_port
from tests.support.processes import ROOT, Process, clean_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

README = ROOT / "README.md"
#: Process ids and durations.
VARYING = re.compile(r"(?<=pid )\d+|(?<=-> )\d+|\d+\.\d(?= s\b)")
SERVER = "export GEARFLEET_SERVERS=127.0.0.1:4730\n"


@dataclass(frozen=True, slots=True)
class Step:
    """A block of the walk, and the output that the README promises for it."""

    code: str
    promise: str | None


def steps() -> list[Step]:
    """Return the walk: every ``sh`` block, with the ``text`` block that follows it."""
    shown = pages.blocks(README, "sh", "text")
    following = [*shown[1:], None]
    return [
        Step(block.text, after.text if after and after.language == "text" else None)
        for block, after in zip(shown, following, strict=True)
        if block.language == "sh"
    ]


def script(walk: list[Step], address: str) -> str:
    """Return the walk as one script; all that is changed is the job server's address."""
    text = "".join(f"{step.code}echo '--- end of step ---'\n" for step in walk)
    assert text.count(SERVER) == 1
    return "set -eu -o pipefail\n" + text.replace(SERVER, f"export GEARFLEET_SERVERS={address}\n")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path, because a unix socket's name ends at 108 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="gf-readme-"))
    yield folder
    stop_supervisord(folder / "walk" / "supervisord.pid")
    shutil.rmtree(folder, ignore_errors=True)


def stop_supervisord(pidfile: Path) -> None:
    """End the supervisord of a walk that failed half-way, and its workers."""
    with suppress(FileNotFoundError, ValueError, psutil.NoSuchProcess):
        supervisord = psutil.Process(int(pidfile.read_text()))
        family = [supervisord, *supervisord.children(recursive=True)]
        supervisord.terminate()
        _, alive = psutil.wait_procs(family, timeout=20)
        for process in alive:
            process.kill()


def environment(folder: Path) -> dict[str, str]:
    """Return a shell's environment with this Python's commands first on the path."""
    commands = folder / "bin"
    commands.mkdir()
    own = Path(sys.executable).parent
    if not (own / "gearfleet").exists():  # tests may run from a bare checkout
        command = commands / "gearfleet"
        command.write_text(f'#!/bin/sh\nexec {sys.executable} -m gearfleet "$@"\n')
        command.chmod(command.stat().st_mode | stat.S_IXUSR)
    path = os.pathsep.join([str(commands), str(own), os.environ["PATH"]])
    return clean_environment(PATH=path, XDG_RUNTIME_DIR=str(folder))


def evidence(folder: Path) -> str:
    """Return everything that the walk's processes wrote."""
    logs = [folder / "out", *sorted((folder / "walk").glob("*.log"))]
    return "\n".join(f"{log.name}:\n{log.read_text()}" for log in logs)


def assert_promised(step: Step, said: str) -> None:
    """Check what a step said, but for the numbers that differ each time."""
    if step.promise is not None:
        assert VARYING.sub("N", said) == VARYING.sub("N", step.promise), step.code


def test_readme__the_walk_does_what_it_says(folder: Path) -> None:
    walk = steps()
    (folder / "walk.sh").write_text(script(walk, f"127.0.0.1:{free_port()}"))
    shell = Process(
        ["bash", folder / "walk.sh"], log=folder / "out", cwd=folder, env=environment(folder)
    )
    try:
        code = shell.wait(timeout=120)
    finally:
        shell.terminate()
    said = shell.output().split("--- end of step ---\n")
    assert code == 0, evidence(folder)
    assert len(said) == len(walk) + 1
    for step, output in zip(walk, said, strict=False):
        assert_promised(step, output)
    packed = (folder / "walk" / "packed.txt").read_text().split()
    assert sorted(packed, key=int) == [str(number) for number in range(200)]


def test_readme__names_the_two_commands() -> None:
    shown = "".join(block.text for block in pages.blocks(README, "console"))
    for command in ("make demo", "make test"):
        assert command in shown
        assert re.search(rf"^{command.split()[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
