"""QX23: the live gauges of a worker that has ended go, with the real prometheus_client."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from gearfleet.worker import prometheus
from tests.support.pools import PoolProject, kill
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.job_servers import JobServer

MORE = """
from prometheus_client import Gauge

RUNNING = Gauge("running", "Jobs that run", multiprocess_mode="livesum")

@hooks.on_start
def begin():
    RUNNING.set(1)
"""


@pytest.fixture
def figures(tmp_path: Path) -> Path:
    folder = tmp_path / "figures"
    folder.mkdir()
    return folder


@pytest.fixture
def project(tmp_path: Path, figures: Path, any_job_server: JobServer) -> Iterator[PoolProject]:
    made = PoolProject(tmp_path, any_job_server, more=MORE)
    yield made
    made.close()


def shown(figures: Path) -> set[int]:
    """Return the processes that have live gauges."""
    return {int(path.stem.rpartition("_")[2]) for path in figures.glob("gauge_livesum_*.db")}


def test_qx23__the_parent_of_a_pool_marks_its_workers_dead(
    project: PoolProject, figures: Path
) -> None:
    pool = project.start_pool(2, PROMETHEUS_MULTIPROC_DIR=str(figures))
    before = project.registered
    wait_for(lambda: before <= shown(figures), "the gauges of both")
    victim = min(before)
    kill(victim, signal.SIGKILL)
    pool.wait_for_output(f"Worker {victim} of slot")
    wait_for(lambda: victim not in shown(figures), "the gauge of the dead to go")
    assert before - {victim} <= shown(figures)
    pool.terminate()
    assert pool.wait() == 0
    assert shown(figures) == set()


def test_qx23__a_worker_by_itself_marks_itself(project: PoolProject, figures: Path) -> None:
    worker = project.start(PROMETHEUS_MULTIPROC_DIR=str(figures))
    worker.wait_for_output("Registered at job server")
    wait_for(lambda: shown(figures) == {worker.pid}, "its gauge")
    worker.terminate()
    assert worker.wait() == 0
    assert shown(figures) == set()


def test_qx23__a_worker_that_was_killed_is_marked_by_the_next(
    project: PoolProject, figures: Path
) -> None:
    killed = project.start(PROMETHEUS_MULTIPROC_DIR=str(figures))
    killed.wait_for_output("Registered at job server")
    wait_for(lambda: shown(figures) == {killed.pid}, "its gauge")
    kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert shown(figures) == {killed.pid}, "nobody could mark it"
    following = project.start(PROMETHEUS_MULTIPROC_DIR=str(figures))
    following.wait_for_output("Registered at job server")
    wait_for(lambda: shown(figures) == {following.pid}, "only the living to be shown")
    following.terminate()
    assert following.wait() == 0


def test_qx23__who_has_the_number_of_a_dead_one_stays(
    figures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(prometheus.VARIABLE, str(figures))
    (figures / f"gauge_livesum_{os.getpid()}.db").touch()
    prometheus.mark_gone(os.getpid())
    assert shown(figures) == {os.getpid()}


def test_qx23__nothing_happens_without_the_variable(
    figures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = figures / "gauge_livesum_5.db"
    path.touch()
    monkeypatch.delenv(prometheus.VARIABLE, raising=False)
    prometheus.mark_dead(5)
    assert path.exists()
    monkeypatch.setenv(prometheus.VARIABLE, str(figures))
    prometheus.mark_dead(5)
    assert not path.exists()


def test_qx23__what_cannot_be_removed_is_logged(
    figures: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (figures / "gauge_liveall_5.db").mkdir()
    monkeypatch.setenv(prometheus.VARIABLE, str(figures))
    prometheus.mark_dead(5)
    assert "Process 5 cannot be marked dead" in caplog.text
