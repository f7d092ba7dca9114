"""What a worker says on its board, and what is read of it."""

from __future__ import annotations

import logging
import os
import shutil
import stat
import struct
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gearfleet.worker import boards, procfs
from gearfleet.worker.boards import encoded
from gearfleet.worker.scoreboard import (
    DONE,
    FAILED,
    GIVEN_BACK,
    About,
    BoardEntry,
    JobInHand,
    Scoreboard,
    close_for,
    read_boards,
)
from tests.support.processes import ROOT
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

ABOUT = About(
    program="worker_bar",
    slot="worker_bar_00",
    module="shop.gearman_workers.worker_bar",
    queues=("bar", "höher, weiter"),
    release="a1b2c3",
    prefetch=16,
    previous="SIGTERM",
)


@pytest.fixture
def board(tmp_path: Path) -> Scoreboard:
    return Scoreboard.open(tmp_path, ABOUT)


def entry(run_dir: Path) -> BoardEntry:
    (found,) = read_boards(run_dir)
    return found


def begin(board: Scoreboard, unique: str = "u.1", **times: float):  # type: ignore[no-untyped-def]
    return board.begin("shop.resize", "H:x:1", encoded(unique), **{"started": 5.5, **times})


def test_board__says_who_the_worker_is(board: Scoreboard, tmp_path: Path) -> None:
    found = entry(tmp_path)
    assert found.about == ABOUT
    assert found.about.pid == os.getpid()
    assert found.is_alive
    assert (found.state, found.jobs, found.ended, found.reason) == ("starting", (), 0.0, "")


def test_board__is_nobody_elses(board: Scoreboard, tmp_path: Path) -> None:
    assert board.path is not None
    for path, mode in ((board.path, 0o600), (board.path.parent, 0o700)):
        assert stat.S_IMODE(path.stat().st_mode) == mode
    nested = tmp_path / "a" / "b"
    Scoreboard.open(nested, ABOUT)
    assert stat.S_IMODE(nested.stat().st_mode) == 0o700


def test_board__shows_the_job_in_hand(board: Scoreboard, tmp_path: Path) -> None:
    board.state("idle")
    hand = begin(board, deadline=7.25)
    found = entry(tmp_path)
    (job,) = found.jobs
    assert found.state == "busy"
    assert (job.function, job.handle, job.unique) == ("shop.resize", "H:x:1", "u.1")
    assert (job.id, job.started, job.deadline) == ("u", 5.5, 7.25)
    hand.end(DONE)
    found = entry(tmp_path)
    assert (found.state, found.jobs, found.done) == ("idle", (), 1)


def test_board__has_the_task_of_the_job(board: Scoreboard, tmp_path: Path) -> None:
    board.name_tasks({"v1.shop.resize+later": "shop.resize"})
    for function, task in (("v1.shop.resize+later", "shop.resize"), ("another", "another")):
        hand = board.begin(function, "H:x:1", b"u", started=1.0)
        (job,) = entry(tmp_path).jobs
        assert (job.function, job.task) == (function, task)
        hand.end(DONE)


def test_board__counts_jobs_by_their_end(board: Scoreboard, tmp_path: Path) -> None:
    for how in (DONE, FAILED, DONE, GIVEN_BACK, DONE):
        begin(board).end(how)
    found = entry(tmp_path)
    assert (found.done, found.failed, found.given_back) == (3, 1, 1)


def test_board__of_a_worker_with_several_hands(tmp_path: Path) -> None:
    board = Scoreboard.open(tmp_path, ABOUT, hands=3)
    hands = [begin(board, f"u{number}") for number in range(3)]
    hands[1].end(DONE)
    begin(board, "u3")
    found = entry(tmp_path)
    assert sorted(job.unique for job in found.jobs) == ["u0", "u2", "u3"]
    assert found.done == 1


@pytest.mark.parametrize("text", ["ü" * 300, "x" * 300, "a\udcffb"])
def test_texts__of_any_length_and_kind(tmp_path: Path, text: str) -> None:
    board = Scoreboard.open(tmp_path, replace(ABOUT, program=text, module=text))
    board.begin(text, text, encoded(text), started=1.0)
    found = entry(tmp_path)
    (job,) = found.jobs
    assert job.handle[:2] == job.unique[:2] == job.function[:2] == found.about.module[:2]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (("idle", "quiet", "idle"), "idle"),
        (("idle", "draining", "idle"), "draining"),
        (("draining", "interrupted", "draining"), "interrupted"),
        (("interrupted", "stopping"), "stopping"),
    ],
)
def test_state__of_a_worker_that_stops_does_not_go_back(
    board: Scoreboard, tmp_path: Path, said: tuple[str, ...], shown: str
) -> None:
    for state in said:
        board.state(state)
    assert entry(tmp_path).state == shown


def test_end__says_why(board: Scoreboard, tmp_path: Path) -> None:
    before = time.time()
    board.close("SIGTERM")
    found = entry(tmp_path)
    assert (found.state, found.reason, found.is_alive) == ("ended", "SIGTERM", False)
    assert before <= found.ended <= time.time()


def test_end__is_said_for_a_worker_that_could_not(board: Scoreboard, tmp_path: Path) -> None:
    close_for(entry(tmp_path), "died")
    assert entry(tmp_path).reason == "died"
    assert board.path is not None
    found = entry(tmp_path)
    board.path.unlink()
    close_for(found, "died")


def test_memory__is_that_of_the_process(board: Scoreboard, tmp_path: Path) -> None:
    begin(board, started=time.time())
    assert 1_000_000 < entry(tmp_path).rss_bytes < 1_000_000_000


def ended_process() -> int:
    """Return the pid of a process that is dead; nobody has waited for it."""
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    child.returncode = 0  # it stays a zombie until the tests end
    return child.pid


def test_dead__by_pid_and_start() -> None:
    assert not replace(ABOUT, ticks=ABOUT.ticks - 1).is_alive, "another one has the pid"
    assert not replace(ABOUT, boot=ABOUT.boot + 1).is_alive
    pid = ended_process()
    assert not replace(ABOUT, pid=pid, ticks=procfs.start_ticks(pid)).is_alive


def test_dead__still_tells_what_was_in_hand(tmp_path: Path) -> None:
    board = Scoreboard.open(tmp_path, replace(ABOUT, ticks=1))
    board.state("idle")
    begin(board)
    found = entry(tmp_path)
    assert not found.is_alive
    assert [job.unique for job in found.jobs] == ["u.1"]


def test_boards__of_the_same_pid_do_not_meet(tmp_path: Path) -> None:
    Scoreboard.open(tmp_path, replace(ABOUT, ticks=1))
    Scoreboard.open(tmp_path, ABOUT)
    assert [each.is_alive for each in read_boards(tmp_path)].count(True) == 1


@pytest.mark.parametrize("size", [0, 1, boards.STATE_AT, boards.HANDS_AT + 100])
def test_boards__that_were_cut_short_are_not_read(size: int, tmp_path: Path) -> None:
    board = Scoreboard.open(tmp_path, ABOUT)
    assert board.path is not None
    os.truncate(shutil.copy(board.path, board.path.with_name("cut")), size)
    assert [entry.path for entry in read_boards(tmp_path)] == [board.path]


def test_boards__of_another_container_are_not_read(tmp_path: Path) -> None:
    Scoreboard.open(tmp_path, replace(ABOUT, space=ABOUT.space + 1))
    assert read_boards(tmp_path) == []


@pytest.mark.parametrize("content", [b"", b"x", b"x" * 4096, struct.pack("<8sH", b"gearfwkr", 99)])
def test_boards__that_are_none_are_passed_over(tmp_path: Path, content: bytes) -> None:
    (tmp_path / boards.FOLDER).mkdir()
    (tmp_path / boards.FOLDER / "worker.1.1").write_bytes(content)
    (tmp_path / boards.FOLDER / "folder").mkdir()
    assert read_boards(tmp_path) == []
    assert read_boards(tmp_path / "missing") == []


def test_half_written__is_no_job_of_a_dead_worker(tmp_path: Path) -> None:
    board = Scoreboard.open(tmp_path, replace(ABOUT, ticks=1))
    begin(board)
    board._map[boards.HANDS_AT] = 77
    assert entry(tmp_path).jobs == ()


WRITER = """
import itertools, pathlib, sys
from gearfleet.worker.scoreboard import DONE, About, Scoreboard
board = Scoreboard.open(pathlib.Path(sys.argv[1]), About(program="p"))
for number in itertools.count():
    name = str(number % 7) * 40
    hand = board.begin(name, name, name.encode(), started=float(number % 7))
    for _ in range(50):
        pass
    hand.end(DONE)
"""


def test_reader__never_sees_parts_of_two_jobs(tmp_path: Path) -> None:
    entries: list[BoardEntry] = []
    jobs: list[JobInHand] = []

    def look() -> bool:
        entries.append(entry(tmp_path))
        jobs.extend(entries[-1].jobs)
        return len(entries) >= 1000 and len(jobs) >= 50

    with subprocess.Popen([sys.executable, "-c", WRITER, tmp_path], cwd=ROOT) as writer:
        try:
            wait_for(lambda: read_boards(tmp_path), "the board")
            wait_for(look, "50 jobs", interval=0)
        finally:
            writer.kill()
    assert all(job.function == job.handle == job.unique for job in jobs)
    assert all(int(job.started) == int(job.function[0]) for job in jobs)
    counts = [each.done for each in entries]
    assert counts == sorted(counts)


def test_no_board__hurts_no_job(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    with caplog.at_level(logging.WARNING):
        board = Scoreboard.open(tmp_path / "file", ABOUT)
        begin(board).end(DONE)
        board.state("draining")
        board.close("SIGTERM")
    assert board.path is None
    (record,) = caplog.records
    assert "Without a scoreboard" in record.getMessage()
    assert vars(record)["action"] == "no_scoreboard"


def test_full_disk__is_noticed_when_the_board_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_full(*_args: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", is_full)
    board = Scoreboard.open(tmp_path, ABOUT)
    begin(board).end(DONE)
    assert list((tmp_path / boards.FOLDER).iterdir()) == []
