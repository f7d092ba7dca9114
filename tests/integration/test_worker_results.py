"""A worker whose result store is down, and back again: no result is lost, no caller waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import gearfleet
from gearfleet.errors import JobFailed, ResultStoreUnavailable
from tests.support.django_q import q_project
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.django_q import QProject
    from tests.support.job_servers import JobServer
    from tests.support.processes import Process

AGAIN = "runs again, because what became of it cannot be kept"


@pytest.fixture
def project(own_job_server: JobServer, tmp_path: Path) -> Iterator[QProject]:
    """One whose store cannot be opened: a file stands where its folder should be."""
    (tmp_path / "store").touch()
    results = "sqlite:///store/results"
    with q_project(tmp_path, own_job_server.address, starts=False, results=results) as made:
        yield made


@pytest.fixture
def worker(project: QProject) -> Process:
    return project.start_ready()


def bring_back(project: QProject) -> None:
    (project.folder / "store").unlink()


def test_success__is_written_when_the_store_is_back(project: QProject, worker: Process) -> None:
    handle = project.module.add.delay(1, b=2)
    worker.wait_for_output("results wait until the store is back")
    with pytest.raises(ResultStoreUnavailable, match="cannot be used"):
        gearfleet.fetch(handle)
    bring_back(project)
    assert handle.result(20) == 3


def test_success__is_written_at_drain(project: QProject, worker: Process) -> None:
    handle = project.module.nothing.delay()
    project.wait_for_note("nothing ran")
    bring_back(project)
    worker.terminate()
    assert worker.wait() == 0
    assert gearfleet.fetch(handle) is not None


def test_success__is_counted_when_it_is_lost(project: QProject, worker: Process) -> None:
    project.module.nothing.delay()
    project.wait_for_note("nothing ran")
    worker.terminate()
    assert worker.wait() == 0
    assert "The results of 1 jobs are lost" in worker.output()


def test_failure__runs_again_until_it_can_be_kept(project: QProject, worker: Process) -> None:
    handle = project.module.breaks.delay("of paper")
    wait_for(lambda: worker.output().count(AGAIN) >= 2, "the job to run again")
    bring_back(project)
    with pytest.raises(JobFailed, match="ValueError: of paper"):
        handle.result(20)
    wait_for(lambda: handle.status().state == "unknown", "the job to end")


def test_foreground__the_caller_is_unaffected(project: QProject, worker: Process) -> None:
    assert project.module.add.submit(1, b=2) == 3
    with pytest.raises(JobFailed, match="ValueError: of paper"):
        project.module.breaks.options(name="heard").submit("of paper")
    assert AGAIN not in worker.output()
    bring_back(project)
    wait_for(lambda: gearfleet.fetch("heard"), "the record of the failure")
