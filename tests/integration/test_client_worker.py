"""A task's whole way: declared, submitted, run by a real worker, answered."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import pytest

from gearfleet import config, result
from gearfleet.client import Client
from gearfleet.config import Settings
from gearfleet.errors import JobFailed
from gearfleet.tasks import apps_of, bind, load_worker
from tests.support.packages import importable
from tests.support.processes import GEARFLEET, Process, clean_environment
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gearfleet.tasks import WorkerModule
    from tests.support.job_servers import JobServer

JOBS = """
    import os
    from pathlib import Path

    from gearfleet import task

    @task(name="{function}.echo")
    def echo(*args, **kwargs):
        return args, kwargs

    @task(name="{function}.later")
    async def later(path):
        Path(path).write_text("done")

    @task(name="{function}.fail")
    def fail():
        raise LookupError("no such image")

    @task(name="{function}.unsendable")
    def unsendable():
        return [object()]
"""


@pytest.fixture
def jobs(job_server: JobServer, function: str, tmp_path: Path) -> Iterator[WorkerModule]:
    """The tasks of a worker module that a worker serves, submitted to its job server."""
    client = Client(Settings(servers=(job_server.address,), client_timeout=20.0))
    with importable(tmp_path) as write, bind(client):
        write("jobs.py", JOBS.format(function=function))
        worker = Process(
            [*GEARFLEET, "--app", "jobs", "worker", "-a", "jobs", "-n", "jobs"],
            log=tmp_path / "worker.log",
            cwd=tmp_path,
            env=clean_environment(
                GEARFLEET_SERVERS=job_server.address, GEARFLEET_RUN_DIR=str(tmp_path / "run")
            ),
        )
        try:
            job_server.wait_for_workers(f"{function}.unsendable")
            yield load_worker(apps_of(["jobs"]), "jobs", "jobs")
        finally:
            worker.terminate()
            client.close()


def test_submit__values_arrive_and_come_back_as_they_were(jobs: WorkerModule) -> None:
    echo = jobs.tasks[0]
    assert echo.submit() == ((), {})
    assert echo.submit(0, "", None, b"\0", (1,), by={1: {2}}) == (
        (0, "", None, b"\0", (1,)),
        {"by": {1: {2}}},
    )


def test_submit__failure_says_what_the_task_raised(jobs: WorkerModule) -> None:
    with pytest.raises(JobFailed, match=r"\.fail failed: LookupError: .*no such image") as caught:
        jobs.tasks[2].submit()
    assert_tells_all(caught.value)


def test_failure__in_asyncio_and_of_a_background_job(jobs: WorkerModule, tmp_path: Path) -> None:
    with pytest.raises(JobFailed, match="no such image") as caught:
        asyncio.run(jobs.tasks[2].asubmit())
    assert_tells_all(caught.value)
    with config.using(Settings(run_dir=tmp_path / "run")), pytest.raises(JobFailed) as caught:
        result(jobs.tasks[2].delay().id, wait=20)
    assert_tells_all(caught.value)


def assert_tells_all(error: JobFailed) -> None:
    assert error.failure is not None
    assert (error.failure.type, error.failure.message) == ("LookupError", "no such image")
    assert 'raise LookupError("no such image")' in error.failure.traceback


def test_submit__result_that_cannot_be_sent(jobs: WorkerModule) -> None:
    with pytest.raises(JobFailed, match=r"result\[0\] is of type object"):
        jobs.tasks[3].submit()


def test_delay__coroutine_in_the_background(jobs: WorkerModule, tmp_path: Path) -> None:
    path = tmp_path / "written"
    handle = jobs.tasks[1].delay(str(path))
    assert handle.function == jobs.tasks[1].name
    wait_for(lambda: path.exists() and path.read_text() == "done", "the task to write")


def test_default_client__reads_the_settings_of_the_process(
    jobs: WorkerModule, job_server: JobServer, tmp_path: Path
) -> None:
    script = "import jobs; print(jobs.echo.submit(1), jobs.echo.delay(2).server)"
    caller = Process(
        [sys.executable, "-c", script],
        log=tmp_path / "caller.log",
        cwd=tmp_path,
        env=clean_environment(GEARFLEET_SERVERS=job_server.address),
    )
    assert caller.wait() == 0, caller.output()
    assert caller.output() == f"((1,), {{}}) {job_server.address}\n"
