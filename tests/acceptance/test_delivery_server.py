"""Delivery, when a job server dies: the cells of the table in docs/explanation/delivery.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gearfleet.errors import ConnectionError
from gearfleet.gearman.protocol import Command
from tests.support.deliveries import ALL_FORMS, KEPT_FORMS, Delivery, jobs_of, wait_for_jobs
from tests.support.gates import Gate, any_of
from tests.support.job_servers import JobServer
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.processes import Process


@pytest.fixture
def persistent(tmp_path: Path) -> Iterator[JobServer]:
    """A gearmand that keeps background jobs in a file."""
    queue = ["-q", "libsqlite3", "--libsqlite3-db", str(tmp_path / "queue.sqlite3")]
    server = JobServer("gearmand", options=queue).start()
    yield server
    server.close()


@pytest.fixture(params=["gearmand", "embedded", "persistent"])
def any_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[JobServer]:
    if request.param == "persistent":
        yield request.getfixturevalue("persistent")
        return
    server = JobServer(request.param).start()
    yield server
    server.close()


@pytest.fixture
def forgetful(own_job_server: JobServer, tmp_path: Path) -> Iterator[Delivery]:
    """A project whose job server keeps nothing."""
    made = Delivery(tmp_path, own_job_server.address)
    yield made
    made.close()


@pytest.fixture
def kept(persistent: JobServer, tmp_path: Path) -> Iterator[Delivery]:
    """A project whose job server keeps background jobs."""
    made = Delivery(tmp_path, persistent.address)
    yield made
    made.close()


def kill_and_start(server: JobServer) -> None:
    server.kill()
    server.start()


def wait_until_it_waits(project: Delivery, server: JobServer, worker: Process | None) -> None:
    """Wait until the job that "a" is, or its attempt after that of `worker`, waits."""
    if worker:
        worker.wait_for_output("attempt 2 of 2 follows")
    task = "work_again" if worker else "work"
    wait_for(lambda: jobs_of(server, project.function(task)) == (1, 0), "the job to wait")


@pytest.mark.parametrize("has_begun", [False, True])
def test_server_dies__foreground_job__the_caller_gets_an_error_and_it_never_runs_later(
    any_server: JobServer, tmp_path: Path, *, has_begun: bool
) -> None:
    project = Delivery(tmp_path, any_server.address)
    try:
        worker = project.start_ready() if has_begun else None
        job = project.submit("work", "a")
        wait_for_jobs(any_server, project.function("work"), 1)
        if worker:
            project.wait_for_marks("a", 1)
        any_server.kill()
        with pytest.raises(ConnectionError):
            job.result(30)
        project.allow("a")
        any_server.start()
        if not worker:
            project.start_ready()
        assert project.submit("echo", "after").result(30) == ["after"]
        assert project.attempts("a") == [1] * has_begun
    finally:
        project.close()


@pytest.mark.parametrize("form", KEPT_FORMS)
def test_server_dies__without_a_persistent_queue__jobs_that_wait_are_lost(
    own_job_server: JobServer, tmp_path: Path, form: str
) -> None:
    project = Delivery(tmp_path, own_job_server.address, delay=600)
    try:
        worker = project.start_ready() if form == "retry" else None
        job = project.enqueue(form, "a")
        wait_until_it_waits(project, own_job_server, worker)
        kill_and_start(own_job_server)
        assert own_job_server.text("show jobs") == []
        if not worker:
            project.start_ready()
        assert project.submit("echo", "after").result(30) == ["after"]
        record = project.trace(job)
        assert (record and record.state) == ("retry" if worker else None), "of what it had done"
    finally:
        project.close()


@pytest.mark.parametrize("form", ALL_FORMS)
def test_server_dies__the_job_in_hand_is_done_and_kept(
    forgetful: Delivery, own_job_server: JobServer, form: str
) -> None:
    worker = forgetful.start_ready()
    job = forgetful.send(form, "a")
    forgetful.wait_for_marks("a", 2 if form == "retry" else 1, wakes=form in {"delayed", "retry"})
    own_job_server.kill()
    forgetful.allow("a")
    forgetful.wait_for_note("done a")
    own_job_server.start()
    if form == "foreground":
        with pytest.raises(ConnectionError):
            forgetful.outcome(job)
    else:
        assert forgetful.outcome(job) == "a"
    assert forgetful.submit("echo", "after").result(30) == ["after"], "the same worker serves"
    assert worker.returncode is None


@pytest.mark.parametrize("form", KEPT_FORMS)
def test_server_dies__with_a_persistent_queue__jobs_that_wait_run_and_not_before_their_time(
    persistent: JobServer, tmp_path: Path, form: str
) -> None:
    delay = 4  # so that a busy machine kills the job server before
    project = Delivery(tmp_path, persistent.address, delay=delay)
    try:
        project.allow("a")
        worker = project.start_ready() if form == "retry" else None
        job = project.enqueue(form, "a")
        wait_until_it_waits(project, persistent, worker)
        kill_and_start(persistent)
        if not worker:
            project.start_ready()
        project.wait_for_marks("a", 2 if worker else 1, wakes=True)
        record = project.record(job)
        assert (record.result, project.attempts("a")) == ("a", [1, 2] if worker else [1])
        _, ran = project.marks("a")[-1]
        since = project.marks("a")[0][1] if worker else record.enqueued_at
        assert ran - since >= (0 if form == "background" else delay)
    finally:
        project.close()


@pytest.mark.parametrize("form", KEPT_FORMS)
def test_server_dies__with_a_persistent_queue__a_job_that_ran_runs_again(
    kept: Delivery, persistent: JobServer, form: str
) -> None:
    worker = kept.start_ready()
    job = kept.enqueue(form, "a")
    runs = 2 if form == "retry" else 1
    kept.wait_for_marks("a", runs, wakes=True)
    persistent.kill()
    kept.allow("a")
    persistent.start()
    kept.wait_for_marks("a", runs + 1, wakes=True)
    assert kept.record(job).result == "a"
    assert kept.attempts("a")[-2:] == [runs, runs]
    assert worker.returncode is None


def test_server_dies__next_attempt_accepted_and_the_failed_one_not_ended__it_comes_once(
    persistent: JobServer, tmp_path: Path
) -> None:
    with Gate(persistent, any_of(Command.WORK_EXCEPTION)) as gate:
        project = Delivery(tmp_path, gate.address, direct=persistent.address)
        try:
            project.allow("a")
            project.start_ready()
            job = project.enqueue("retry", "a")
            gate.wait()
            persistent.kill()
            gate.drop()
            persistent.start()
            project.wait_for_marks("a", 3, wakes=True)
            assert project.record(job).attempt == 2
            wait_for_jobs(persistent, project.function("work_again"), 0, project.wake)
        finally:
            project.close()
    assert project.attempts("a") == [1, 1, 2]
