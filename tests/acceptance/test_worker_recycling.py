"""Workers that end in order to be started afresh: by jobs, by age, by memory, by idleness."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from gearfleet.errors import EXIT_RECYCLED
from tests.support.workers import WorkerProject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.job_servers import JobServer

TASKS = """
KEPT = []

@task(queue="foo")
def grow(megabytes):
    KEPT.append(bytearray(os.urandom(1)) * (megabytes << 20))
    return len(KEPT[-1])
"""
NO_STARTSECS = ("--startsecs", "0")


@pytest.fixture
def project(tmp_path: Path, job_server: JobServer) -> Iterator[WorkerProject]:
    made = WorkerProject(tmp_path, job_server.address, more=TASKS)
    yield made
    made.close()


def test_max_jobs__ends_the_worker_between_two_jobs(project: WorkerProject) -> None:
    for n in range(4):
        project.delay("echo", n)
    worker = project.start_ready("--max-jobs", "2", *NO_STARTSECS)
    assert worker.wait() == EXIT_RECYCLED
    reason = "max_jobs: 2 jobs done"
    assert project.diary == ["echo (0,)", "echo (1,)", f"goodbye {reason}"]
    assert f"Draining ({reason}): no job in hand; then exit 75" in worker.output()
    assert f"Stopped ({reason}): 2 jobs completed" in worker.output()
    second = project.start_ready("--max-jobs", "2", *NO_STARTSECS)
    assert second.wait() == EXIT_RECYCLED
    assert sorted(project.diary[3:5]) == ["echo (2,)", "echo (3,)"]


def test_max_jobs__gives_the_prefetched_ones_back(project: WorkerProject) -> None:
    for n in range(20):
        project.delay("echo", n)
    worker = project.start_ready("--max-jobs", "10", "--prefetch", "8", *NO_STARTSECS)
    assert worker.wait() == EXIT_RECYCLED
    project.start_ready()
    for n in range(20):
        project.wait_for_note(f"echo ({n},)")
    assert sum(note.startswith("echo") for note in project.diary) == 20


def test_max_jobs__waits_until_the_process_is_old_enough(project: WorkerProject) -> None:
    worker = project.start_ready("--max-jobs", "1", "--startsecs", "1.5")
    for n in range(3):
        assert project.submit("echo", n).result() == [n]
    assert worker.wait() == EXIT_RECYCLED
    assert project.diary[-1].startswith("goodbye max_jobs: ")


def test_max_rss__ends_the_worker_after_the_job_that_grew(project: WorkerProject) -> None:
    worker = project.start_ready("--max-rss", "200MB", *NO_STARTSECS)
    assert project.submit("grow", 1).result() == 1 << 20
    assert project.submit("grow", 250).result() == 250 << 20
    assert worker.wait() == EXIT_RECYCLED
    assert "Draining (max_rss: " in worker.output()
    assert project.diary[-1].startswith("goodbye max_rss: ")


def test_max_lifetime__does_not_interrupt_a_job(project: WorkerProject) -> None:
    options = ("--max-lifetime", "0.5", "--drain-timeout", "0.1", *NO_STARTSECS)
    worker = project.start_ready(*options)
    result = project.submit("wait_for", "go")
    project.wait_for_note("begin go")
    project.submit("echo", "waits").cancel()
    assert "Draining" not in worker.output()
    project.allow("go")
    assert result.result() == "go"
    assert worker.wait() == EXIT_RECYCLED
    assert "goodbye max_lifetime: up for" in project.diary[-1]


def test_max_idle__ends_a_worker_without_jobs(project: WorkerProject) -> None:
    worker = project.start_ready("--max-idle", "0.3", *NO_STARTSECS)
    assert worker.wait() == EXIT_RECYCLED
    assert "Draining (max_idle: no job for " in worker.output()


def test_quiet_worker__is_not_renewed(project: WorkerProject) -> None:
    worker = project.start_ready("--max-idle", "1", *NO_STARTSECS)
    worker.signal(signal.SIGTSTP)
    worker.wait_for_output("Quiet: no job in hand")
    with pytest.raises(AssertionError, match="no exit within"):
        worker.wait(timeout=2.5)
    worker.signal(signal.SIGCONT)
    assert worker.wait() == EXIT_RECYCLED
