"""Delivery, when the result store is down: the cells of the table in docs/explanation/delivery.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import gearfleet
from gearfleet.errors import JobFailed, ResultStoreUnavailable
from gearfleet.tasks import SubmitOptions
from tests.support.deliveries import KEPT_FORMS, Delivery, jobs_of, wait_for_jobs
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.job_servers import JobServer
    from tests.support.processes import Process

AGAIN = "runs again, because what became of it cannot be kept"
WAITS = "results wait until the store is back"


@pytest.fixture
def project(own_job_server: JobServer, tmp_path: Path) -> Iterator[Delivery]:
    """One whose store cannot be opened: a file stands where its folder should be."""
    (tmp_path / "store").touch()
    made = Delivery(tmp_path, own_job_server.address, results="sqlite:///store/results")
    made.allow("a")
    yield made
    made.close()


@pytest.fixture
def worker(project: Delivery) -> Process:
    return project.start_ready()


def bring_back(project: Delivery) -> None:
    (project.folder / "store").unlink()


@pytest.mark.parametrize("form", ["background", "delayed"])
def test_store_down__success__is_written_when_it_is_back(
    project: Delivery, worker: Process, own_job_server: JobServer, form: str
) -> None:
    job = project.enqueue(form, "a")
    project.wait_for_marks("a", 1, wakes=form == "delayed")
    worker.wait_for_output(WAITS)
    wait_for_jobs(own_job_server, project.function("work"), 0)
    with pytest.raises(ResultStoreUnavailable, match="cannot be used"):
        project.trace(job)
    bring_back(project)
    assert project.record(job).result == "a"
    assert project.attempts("a") == [1]


def test_store_down__success__is_written_at_drain(project: Delivery, worker: Process) -> None:
    job = project.enqueue("background", "a")
    project.wait_for_note("done a")
    bring_back(project)
    worker.terminate()
    assert worker.wait() == 0
    assert project.trace(job) is not None


def test_store_down__success__is_counted_when_it_is_lost(
    project: Delivery, worker: Process
) -> None:
    project.enqueue("background", "a")
    project.wait_for_note("done a")
    worker.terminate()
    assert worker.wait() == 0
    assert "The results of 1 jobs are lost" in worker.output()


@pytest.mark.parametrize("form", ["background", "delayed"])
def test_store_down__failure__runs_again_until_it_can_be_kept(
    project: Delivery, worker: Process, own_job_server: JobServer, form: str
) -> None:
    options = SubmitOptions(after=0.1) if form == "delayed" else SubmitOptions()
    job = project.client.enqueue(project.function("fail"), ("b",), {}, options)
    project.wait_for_marks("b", 2, wakes=form == "delayed")
    assert AGAIN in worker.output()
    bring_back(project)
    assert str(project.record(job).failure) == "ValueError: always"
    wait_for_jobs(own_job_server, project.function("fail"), 0)
    assert set(project.attempts("b")) == {1}


def test_store_down__failure_with_attempts_left__runs_again_and_has_no_next_one_until_it_is_kept(
    project: Delivery, worker: Process, own_job_server: JobServer
) -> None:
    job = project.enqueue("retry", "a")
    wait_for(lambda: worker.output().count(AGAIN) > 1, "the first attempt to run again")
    assert jobs_of(own_job_server, project.function("work_again"))[0] == 1
    bring_back(project)
    worker.wait_for_output("attempt 2 of 2 follows")
    wait_for_jobs(own_job_server, project.function("work_again"), 0, project.wake)
    record = project.record(job)
    assert (record.result, record.attempt) == ("a", 2)
    assert project.attempts("a").count(2) == 1


@pytest.mark.parametrize("form", KEPT_FORMS)
def test_store_down__failure_and_the_worker_dies__is_kept_by_another_one(
    project: Delivery, worker: Process, own_job_server: JobServer, form: str
) -> None:
    task = "work_again" if form == "retry" else "fail"
    options = SubmitOptions(after=0.1) if form == "delayed" else SubmitOptions()
    job = project.client.enqueue(project.function(task), ("a",), {}, options)
    project.wait_for_marks("a", 1, wakes=form == "delayed")
    worker.kill()
    bring_back(project)
    project.start_ready()
    project.wait_for_marks("a", 2, wakes=True)
    wait_for_jobs(own_job_server, project.function(task), 0, project.wake)
    assert project.record(job).state == ("success" if form == "retry" else "failure")


def test_store_down__foreground_job__the_caller_is_unaffected(
    project: Delivery, worker: Process
) -> None:
    assert project.submit("work", "a").result(30) == "a"
    with pytest.raises(JobFailed, match="ValueError: always"):
        project.client.run(project.function("fail"), ("b",), {}, SubmitOptions(name="heard"))
    assert project.attempts("b") == [1]
    assert AGAIN not in worker.output()
    bring_back(project)
    found = gearfleet.fetch("heard", wait=30, settings=project.settings)
    assert found is not None
    assert str(found.failure) == "ValueError: always"
