"""What `ps` shows of a worker."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from gearfleet.worker.boards import About, BoardEntry, JobInHand
from gearfleet.worker.titles import entitle, title_of, titled


def job(task: str, started: float) -> JobInHand:
    return JobInHand(
        function=f"v1.{task}", task=task, handle="H:1", unique="a", started=started, deadline=0.0
    )


def entry(state: str, *jobs: JobInHand, queues: tuple[str, ...] = ("bar",)) -> BoardEntry:
    return BoardEntry(
        path=Path("board"),
        about=About(program="worker_bar", queues=queues),
        state=state,
        jobs=jobs,
        done=0,
        failed=0,
        given_back=0,
        rss_bytes=0,
        ended=0.0,
        reason="",
        is_alive=True,
    )


@pytest.mark.parametrize(
    ("board", "title"),
    [
        (entry("idle"), "gearfleet: worker_bar [bar] idle"),
        (entry("quiet", queues=("bar", "foo")), "gearfleet: worker_bar [bar,foo] quiet"),
        (
            entry("busy", job("shop.thumbnails.resize", 87.9)),
            "gearfleet: worker_bar [bar] shop.thumbnails.resize 12s",
        ),
        (entry("busy", job("", 100.5)), "gearfleet: worker_bar [bar] v1. 0s"),
        (
            entry("busy", job("shop.b", 95), job("shop.a", 40), job("shop.c", 99)),
            "gearfleet: worker_bar [bar] shop.a 60s and 2 more",
        ),
        (
            entry("draining", job("shop.a", 40)),
            "gearfleet: worker_bar [bar] shop.a 60s (draining)",
        ),
    ],
)
def test_title__tells_what_the_worker_does(board: BoardEntry, title: str) -> None:
    assert title_of(board, 100.0) == title


def test_title__without_the_package_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "setproctitle", None)
    before = threading.active_count()
    entitle("worker_bar")
    with titled(Path("board")):
        assert threading.active_count() == before
