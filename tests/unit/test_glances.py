"""A board as supervisord looks at it: in an instant, whatever lies there."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gearfleet.worker import procfs
from gearfleet.worker.boards import HANDS_AT
from gearfleet.worker.glances import Glance, glance
from gearfleet.worker.scoreboard import DONE, About, Scoreboard

if TYPE_CHECKING:
    from pathlib import Path

NAME = "worker_bar_00"
ABOUT = About(program="worker_bar", slot=NAME)


def test_glance__follows_a_worker(tmp_path: Path) -> None:
    board = Scoreboard.open(tmp_path, ABOUT, hands=3)
    assert glance(tmp_path, NAME, os.getpid()) == Glance(is_busy=False, is_registered=False)
    board.registered()
    assert glance(tmp_path, NAME, os.getpid()) == Glance(is_busy=False, is_registered=True)
    first = board.begin("f", "H:x:1", b"u.1", 1.0)
    second = board.begin("f", "H:x:2", b"u.2", 1.0)
    first.end(DONE)
    assert glance(tmp_path, NAME, os.getpid()) == Glance(is_busy=True, is_registered=True)
    second.end(DONE)
    assert glance(tmp_path, NAME, os.getpid()) == Glance(is_busy=False, is_registered=True)


def test_glance__a_pool_is_registered_when_all_of_it_is(tmp_path: Path) -> None:
    boards = [Scoreboard.open(tmp_path, replace(ABOUT, slot=f"{NAME}/{n}")) for n in range(2)]
    parent = procfs.parent_of(os.getpid())
    boards[0].registered()
    assert glance(tmp_path, NAME, parent) == Glance(is_busy=False, is_registered=False)
    boards[1].registered()
    boards[1].begin("f", "H:x:1", b"u.1", 1.0)
    assert glance(tmp_path, NAME, parent) == Glance(is_busy=True, is_registered=True)
    assert glance(tmp_path, "worker_bar_0", parent) is None
    assert glance(tmp_path, NAME, parent + 1) is None, "these are another pool's workers"


@pytest.mark.parametrize("made", ["nothing", "cut", "strange", "pipe", "link", "folder"])
def test_glance__of_what_is_no_board_is_nothing(tmp_path: Path, made: str) -> None:
    board = Scoreboard.open(tmp_path, ABOUT).path
    assert board is not None
    real = board.rename(tmp_path / "real")
    match made:
        case "cut":
            board.write_bytes(real.read_bytes()[: HANDS_AT - 1])
        case "strange":
            board.write_bytes(b"x" + real.read_bytes()[1:])
        case "pipe":
            os.mkfifo(board)
        case "link":
            board.symlink_to(real)
        case "folder":
            board.mkdir()
    assert glance(tmp_path, NAME, os.getpid()) is None


def test_glance__without_a_run_directory(tmp_path: Path) -> None:
    assert glance(tmp_path / "nowhere", NAME, os.getpid()) is None
