"""The logs of processes through a real supervisord: odd bytes, rotation, following."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from gearfleet.errors import SupervisorError
from gearfleet.supervisor.control import Supervisor
from gearfleet.supervisor.tail import Log, tail
from tests.support.crews import Crew, require_debian
from tests.support.processes import GEARFLEET, Process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMES = ("bar:w_00", "bar:w_01")


@pytest.fixture(scope="module", params=["venv", "debian"])
def crew(request: pytest.FixtureRequest) -> Iterator[Crew]:
    python = sys.executable if request.param == "venv" else require_debian()
    with Crew({"bar": {"w": 2}}, python=python) as crew:
        yield crew


@pytest.fixture
def control(crew: Crew) -> Supervisor:
    return Supervisor.from_url(crew.daemon.url)


def log_of(crew: Crew, name: str = "w_00") -> Path:
    """Return the file that supervisord made; the process itself writes nothing."""
    (path,) = crew.folder.glob(f"{name}-stdout*")
    return path


def texts(control: Supervisor, *names: str, lines: int = 10) -> list[str]:
    complaints: list[str] = []
    found = [line.text for line in tail(control, names, lines=lines, complain=complaints.append)]
    assert complaints == []
    return found


def test_tail__last_lines_and_one_without_an_end(crew: Crew, control: Supervisor) -> None:
    log_of(crew).write_text("one\ntwo\nthree\nfour")
    log_of(crew, "w_01").write_text("a\n\nb\n")
    assert texts(control, *NAMES, lines=2) == ["two", "three", "four", "", "b"]
    assert texts(control, "bar:w_00", lines=0) == []


def test_tail__of_text_that_is_cut_within_a_character_and_has_colours(
    crew: Crew, control: Supervisor
) -> None:
    log_of(crew).write_text("é" * 100_000 + "\n\x1b[31mred\x1b[0m & <tag> ü\n")
    assert texts(control, "bar:w_00", lines=1) == ["[31mred[0m & <tag> ü"]
    (long, _) = texts(control, "bar:w_00", lines=2)
    assert long == "é" * 100_000


def test_tail__of_what_is_no_utf8_names_the_way_out(crew: Crew, control: Supervisor) -> None:
    log_of(crew).write_bytes(b"caf\xe9 au lait\n" * 3)
    with pytest.raises(SupervisorError, match="is not UTF-8"):
        texts(control, "bar:w_00")


def test_tail__goes_on_after_a_rotation(crew: Crew, control: Supervisor) -> None:
    path = log_of(crew)
    path.write_text("one\ntwo\n")
    log = Log(control, "bar:w_00")
    assert [line.text for line in log.last(1, 8)] == ["two"]
    path.write_text("new\nhal")
    assert [line.text for line in log.more(7)] == ["new"]
    path.write_text("new\nhalf a line\n")
    assert [line.text for line in log.more(16)] == ["half a line"]


def test_tail__follows_until_it_is_interrupted(crew: Crew) -> None:
    import signal

    path = log_of(crew)
    path.write_text("before\n")
    log_of(crew, "w_01").write_text("")
    command = [*GEARFLEET, "tail", "bar", "-f", "-c", str(crew.daemon.config)]
    following = Process(command, log=crew.folder / "tail.log")
    following.wait_for_output("bar:w_00 | before")
    with path.open("a") as file:
        file.write("after\n")
    following.wait_for_output("bar:w_00 | after")
    following.signal(signal.SIGINT)
    assert following.wait() == 0
    assert "Traceback" not in following.output()


def test_tail__says_who_has_no_log(crew: Crew, control: Supervisor) -> None:
    log_of(crew).unlink()
    complaints: list[str] = []
    assert list(tail(control, ["bar:w_00"], complain=complaints.append)) == []
    (complaint,) = complaints
    assert complaint.startswith("bar:w_00: no log that supervisord could send (NO_FILE")
