"""Hooks around a drain, and in the workers of a pool."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from gearfleet.errors import EXIT_RECYCLED
from tests.support.waiting import wait_for
from tests.support.workers import WorkerProject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.job_servers import JobServer
    from tests.support.processes import Process

HOOKS = """
@hooks.on_drain
def tell(reason):
    note(f"draining {reason}")

@hooks.on_drain
def break_down():
    raise ValueError("a hook")
"""
HANGING = """
@hooks.on_drain
def hang():
    note("hanging")
    time.sleep(60)
"""
FORKED = """
PARENT = os.getpid()

@hooks.on_fork
def divide(worker):
    assert os.getpid() != PARENT
    note(f"fork {worker.program}")

@hooks.on_start
def load():
    note("start")
"""


@pytest.fixture
def project(
    request: pytest.FixtureRequest, tmp_path: Path, gearmand: JobServer
) -> Iterator[WorkerProject]:
    """One with `HOOKS`, or with those that the test gives it."""
    made = WorkerProject(tmp_path, gearmand.address, more=getattr(request, "param", HOOKS))
    yield made
    made.close()


def drain_with_job(project: WorkerProject, worker: Process, until: str) -> None:
    """Stop a worker in its job, which ends when the diary has the note `until`."""
    result = project.submit("wait_for", "go")
    project.wait_for_note("begin go")
    worker.signal(signal.SIGTERM)
    project.wait_for_note(until)
    project.allow("go")
    assert result.result() == "go"
    assert worker.wait() == 0
    assert project.diary[-1] == "goodbye SIGTERM"


def test_drain_hooks__run_while_the_job_is_in_hand(project: WorkerProject) -> None:
    worker = project.start_ready()
    drain_with_job(project, worker, until="draining SIGTERM")
    assert "Hook" in worker.output()
    assert "break_down raised ValueError; the worker goes on without it" in worker.output()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_drain_hooks__run_once_however_often_a_signal_comes(
    project: WorkerProject, number: signal.Signals
) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    worker = project.start_ready("--startsecs", "0")
    signal.signal(signal.SIGHUP, before)
    project.delay("wait_for", "go")
    project.wait_for_note("begin go")
    worker.signal(number)
    worker.wait_for_output("Draining")
    worker.signal(signal.SIGTERM)
    project.allow("go")
    assert worker.wait() == 0
    assert project.diary.count(f"draining {number.name}") == 1
    assert "goodbye SIGTERM" in project.diary


def test_hooks__of_a_worker_that_is_renewed(project: WorkerProject) -> None:
    worker = project.start_ready("--max-jobs", "1", "--startsecs", "0")
    assert project.submit("echo", 1).result() == [1]
    assert worker.wait() == EXIT_RECYCLED
    reason = "max_jobs: 1 jobs done"
    wait_for(lambda: len(project.diary) == 3, "the hooks")
    assert sorted(project.diary[1:]) == [f"draining {reason}", f"goodbye {reason}"]


@pytest.mark.parametrize("project", [HANGING], ids=[""], indirect=True)
def test_drain_hook__that_hangs_delays_neither_the_drain_nor_the_shutdown_hooks(
    project: WorkerProject,
) -> None:
    worker = project.start_ready("--hook-timeout", "0.3")
    drain_with_job(project, worker, until="hanging")
    assert "ran out of time" in worker.output()


@pytest.mark.parametrize("project", [FORKED], ids=[""], indirect=True)
def test_fork_hooks__run_in_the_workers_of_a_pool_before_their_start_hooks(
    project: WorkerProject,
) -> None:
    pool = project.start("--processes", "2")
    wait_for(lambda: project.diary.count("start") == 2, "two workers")
    assert project.diary[0] == "fork worker_foo"
    assert project.diary.count("fork worker_foo") == 2
    pool.signal(signal.SIGTERM)
    assert pool.wait() == 0


@pytest.mark.parametrize("project", [FORKED], ids=[""], indirect=True)
def test_fork_hooks__do_not_run_in_a_worker_of_its_own(project: WorkerProject) -> None:
    project.start_ready()
    project.wait_for_note("start")
    assert project.diary == ["start"]
