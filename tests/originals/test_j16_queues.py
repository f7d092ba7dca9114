"""J16: a queue is a label of the decorator, and ``-q`` takes exactly one, or all."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.workers import WorkerProject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.job_servers import JobServer

MORE = """
@task
def unlabelled(): ...

from {package}.gearman_workers.worker_bar import elsewhere
"""
OTHER = "from gearfleet import task\n\n@task(queue='foo')\ndef elsewhere(): ...\n"


@pytest.fixture
def project(tmp_path: Path, gearmand: JobServer) -> Iterator[WorkerProject]:
    made = WorkerProject(tmp_path, gearmand.address)
    module = tmp_path / made.package / "gearman_workers" / "worker_foo.py"
    with module.open("a") as file:
        file.write(MORE.format(package=made.package))
    made.write("gearman_workers/worker_bar.py", OTHER)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("options", "served"),
    [
        ([], ["echo", "exit_process", "unlabelled"]),
        (["-q", "*"], ["echo", "exit_process", "unlabelled"]),
        (["-q", "foo"], ["echo"]),
        (["-q", "default"], ["unlabelled"]),
        (["-q", "bar", "-q", "default"], ["exit_process", "unlabelled"]),
    ],
)
def test_queue__chooses_the_tasks_that_are_served(
    project: WorkerProject, gearmand: JobServer, options: list[str], served: list[str]
) -> None:
    worker = project.start_ready(*options)
    tasks = ["echo", "exit_process", "unlabelled"]
    assert [t for t in tasks if gearmand.workers_of(project.function(t))] == served
    # Only the tasks of the named file, not all that it imports.
    assert gearmand.workers_of(f"{project.package}.worker_bar.elsewhere") == 0
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0


def test_queue__is_matched_exactly(project: WorkerProject) -> None:
    worker = project.start("-q", "fo")
    assert worker.wait() == 2
    assert "'fo' (known: bar, default, foo). Did you mean 'foo'?" in worker.output()
