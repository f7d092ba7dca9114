"""Workers and their signals while the job server is dead, comes back, or has been stopped."""

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
    from tests.support.processes import Process

TASKS = """
@task(queue="foo", retries=1, backoff=0)
def fail(name):
    wait_for.func(name)
    raise ValueError(name)
"""


@pytest.fixture
def project(tmp_path: Path, own_job_server: JobServer) -> Iterator[WorkerProject]:
    made = WorkerProject(tmp_path, own_job_server.address, more=TASKS)
    yield made
    made.close()


@pytest.fixture
def server(own_job_server: JobServer) -> Iterator[Process]:
    """The process of the job server, which goes on in the end whatever was done to it."""
    process = own_job_server.process
    assert process is not None
    yield process
    if process.returncode is None:
        process.go_on()


def begin_job(project: WorkerProject, *options: str, task: str = "wait_for") -> Process:
    worker = project.start_ready(*options)
    project.delay(task, "go")
    project.wait_for_note("begin go")
    return worker


def stop_and_end_job(project: WorkerProject, worker: Process) -> None:
    """Let the job in hand end while the worker drains."""
    worker.signal(signal.SIGTERM)
    worker.wait_for_output("Draining: 1 job in hand")
    project.allow("go")
    assert worker.wait(timeout=15) == 0


@pytest.mark.parametrize(
    "options", [(), ("--threads", "2"), ("-w", "2")], ids=["", "threads", "pool"]
)
def test_job_server__killed_and_started_again_in_the_middle_of_a_job(
    project: WorkerProject, own_job_server: JobServer, server: Process, options: tuple[str, ...]
) -> None:
    worker = begin_job(project, *options)
    server.kill()
    own_job_server.start()
    project.allow("go")
    worker.wait_for_output("is back")
    project.wait_for_note("finally go")  # in a pool, another worker may be back before
    assert project.submit("echo", 1).result() == [1]
    assert project.diary[:3] == ["begin go", "done go", "finally go"]
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0


def test_stop__after_the_job_server_was_killed_in_the_middle_of_a_job(
    project: WorkerProject, server: Process
) -> None:
    worker = begin_job(project)
    server.kill()
    stop_and_end_job(project, worker)
    assert project.diary == ["begin go", "done go", "finally go", "goodbye SIGTERM"]


def test_stop__of_an_idle_worker_whose_job_server_was_stopped(
    project: WorkerProject, server: Process
) -> None:
    worker = project.start_ready()
    server.pause()
    worker.signal(signal.SIGTERM)
    assert worker.wait(timeout=15) == 0
    assert project.diary == ["goodbye SIGTERM"]


def test_stop__in_a_job_whose_job_server_was_stopped(
    project: WorkerProject, server: Process
) -> None:
    worker = begin_job(project)
    server.pause()
    stop_and_end_job(project, worker)
    assert project.diary[-1] == "goodbye SIGTERM"


def test_renewal__while_the_job_server_is_stopped(project: WorkerProject, server: Process) -> None:
    worker = begin_job(project, "--max-jobs", "1", "--startsecs", "0")
    server.pause()
    project.allow("go")
    assert worker.wait(timeout=15) == EXIT_RECYCLED
    server.go_on()
    project.start_ready()
    assert project.submit("echo", 1).result() == [1]


def test_quiet__while_the_job_server_comes_and_goes(
    project: WorkerProject, own_job_server: JobServer, server: Process
) -> None:
    worker = project.start_ready()
    worker.signal(signal.SIGTSTP)
    worker.wait_for_output("Quiet: no job in hand")
    server.kill()
    worker.wait_for_output("Lost job server")
    own_job_server.start()
    worker.wait_for_output("is back")
    result = project.submit("echo", 1)
    assert not result.done()
    worker.signal(signal.SIGCONT)
    assert result.result() == [1]


@pytest.mark.parametrize("stops", [1, 2])
def test_stop__while_the_next_attempt_is_being_submitted_to_a_stopped_job_server(
    project: WorkerProject, server: Process, stops: int
) -> None:
    worker = begin_job(project, "--interrupt-grace", "0.2", task="fail")
    server.pause()
    project.allow("go")
    project.wait_for_note("finally go")
    for _ in range(stops):
        worker.signal(signal.SIGTERM)
        worker.wait_for_output("Draining")
    # Once: it waits until it knows. Twice: it does not wait so long, and ends by force.
    assert worker.wait(timeout=30) == stops - 1
    server.go_on()
    project.start_ready()
    project.wait_for_note("finally go")
    assert project.submit("echo", 1).result() == [1]
    assert project.diary.count("begin go") > 1, "the job is not lost"
