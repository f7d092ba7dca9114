"""Q19, QX22: what Django Q's `Stat` tells of the workers of this host."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gearfleet import Client, config
from gearfleet.compat.django_q import Stat
from gearfleet.compat.django_q.status import stats_of
from gearfleet.config import Settings
from gearfleet.monitor import Supervision
from gearfleet.monitor.sample import Sample
from gearfleet.worker.scoreboard import About, BoardEntry, Scoreboard

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.job_servers import JobServer


def entry(number: int, state: str, previous: str = "") -> BoardEntry:
    """Return the board of a worker, of which the one with the lowest number is the oldest."""
    return BoardEntry(
        path=Path(str(number)),
        about=About(
            program="worker_foo", pid=number, began=1000.0 + number, host="web1", previous=previous
        ),
        state=state,
        jobs=(),
        done=0,
        failed=0,
        given_back=0,
        rss_bytes=0,
        ended=0.0,
        reason="",
        is_alive=True,
    )


@pytest.mark.parametrize(
    ("states", "status"),
    [
        (["starting", "starting"], "Starting"),
        (["starting", "idle"], "Idle"),
        (["quiet", "draining"], "Idle"),
        (["draining", "stopping"], "Stopping"),
        (["draining", "busy"], "Working"),
        (["draining", "ended"], "Stopping"),
        (["ended", "ended"], "Stopped"),
    ],
)
def test_qx22__the_workers_of_a_program_together(states: list[str], status: str) -> None:
    workers = tuple(entry(number, state) for number, state in enumerate(states, 1))
    (stat,) = stats_of(Sample(now=2000.0, servers=(), supervision=Supervision(workers=workers)))
    assert (stat.cluster_id, stat.host, stat.status) == ("worker_foo", "web1", status)
    assert (stat.workers, stat.tob.timestamp()) == ((1, 2), 1001.0)
    assert (stat.task_q_size, stat.done_q_size, stat.empty_queues()) == (0, 0, True)
    assert (stat.timestamp.timestamp(), stat.sentinel) == (2000.0, 0), "which are not of this host"


def test_qx22__those_who_took_the_place_of_others() -> None:
    workers = (entry(1, "idle"), entry(2, "idle", previous="killed by SIGKILL"))
    (stat,) = stats_of(Sample(now=2000.0, servers=(), supervision=Supervision(workers=workers)))
    assert stat.reincarnations == 1


@pytest.fixture
def settings(tmp_path: Path, embedded: JobServer) -> Iterator[Settings]:
    made = Settings(servers=(embedded.address,), run_dir=tmp_path)
    with config.using(made):
        yield made


def test_q19__of_this_host(settings: Settings, function: str) -> None:
    assert Stat.get_all() == []
    board = Scoreboard.open(settings.run_dir, About(program="worker_foo", began=time.time() - 60))
    board.state("idle")
    with Client(settings) as client:
        client.delay(function)
    stat = Stat.get("worker_foo")
    assert stat is not None
    assert (stat.status, stat.workers) == ("Idle", (os.getpid(),))
    assert stat.sentinel == stat.pid == os.getppid()
    assert 60 <= stat.uptime() < 120
    assert stat.task_q_size >= 1
    assert not stat.empty_queues()
    assert Stat.get("worker_bar") is None
    board.close("the test")
    assert Stat.get_all() == []
