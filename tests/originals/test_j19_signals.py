"""J19: the first signal drains, the second gives the job back; or jbox's abort, by option.

With the command that jbox's users start, and both job servers: what an interrupted job
becomes is theirs to do.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from gearfleet import Client
from gearfleet.config import Settings
from tests.originals.projects import SECRET_KEY, Project, make_project
from tests.support.processes import Process
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.job_servers import JobServer

    Start = Callable[..., Process]

WORKER = """\
import time
from pathlib import Path
from gearfleet import hooks
from gearfleet.compat import gearman_task

HERE = Path(__file__).parents[2]

def note(text):
    with (HERE / "diary").open("a") as diary:
        diary.write(text + "\\n")

@gearman_task(name="{prefix}.hold")
def hold():
    note("begin")
    try:
        while not (HERE / "go").exists():
            time.sleep(0.01)
        note("done")
    finally:
        note("finally")

@hooks.on_shutdown
def goodbye():
    note("goodbye")
"""
STOPS = [signal.SIGTERM, signal.SIGINT]


@pytest.fixture
def project(tmp_path: Path, any_job_server: JobServer, function: str) -> Project:
    code = WORKER.format(prefix=function)
    return make_project(tmp_path / "project", any_job_server.address, {"worker_foo": code})


@pytest.fixture
def start(project: Project, any_job_server: JobServer, function: str) -> Iterator[Start]:
    """Start a worker when a job already waits for it, and return when the job has begun."""
    started: list[Process] = []
    settings = Settings(servers=(any_job_server.address,), signing_keys=(SECRET_KEY,))
    with Client(settings) as client:
        client.delay(f"{function}.hold")

    def start(*options: str) -> Process:
        command = project.manage("gearman_worker", "-a", "myapp", "-n", "worker_foo", *options)
        log = project.folder / f"{len(started)}.log"
        process = Process(command, log=log, cwd=project.folder, env=project.environment)
        started.append(process)
        wait_for(lambda: diary(project).count("begin") == len(started), "the job to begin")
        return process

    yield start
    for process in started:
        process.kill()


def diary(project: Project) -> list[str]:
    path = project.folder / "diary"
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.parametrize("number", STOPS)
def test_j19__the_first_drains_also_when_it_comes_with_the_first_job(
    project: Project, start: Start, number: signal.Signals
) -> None:
    """The handlers are there before the first job can come."""
    worker = start()
    worker.signal(number)
    worker.wait_for_output("Draining: 1 job in hand")
    (project.folder / "go").touch()
    assert worker.wait() == 0
    assert diary(project) == ["begin", "done", "finally", "goodbye"]


@pytest.mark.parametrize("how", ["second_signal", "drain_timeout", "immediate"])
def test_j19__the_job_is_interrupted_and_given_back(
    project: Project, start: Start, how: str
) -> None:
    """By a second signal, by the end of its time, or, as with jbox, by the first signal."""
    options = {"drain_timeout": ["--drain-timeout", "0.1"], "immediate": ["--stop", "immediate"]}
    worker = start(*options.get(how, []))
    worker.signal(signal.SIGTERM)
    if how == "second_signal":
        worker.wait_for_output("Draining: 1 job in hand")
        worker.signal(signal.SIGINT)
    assert worker.wait() == 0
    assert diary(project) == ["begin", "finally", "goodbye"]
    assert "worker_foo get interrupted, exiting..." in worker.output()
    (project.folder / "go").touch()
    start()
    wait_for(lambda: "done" in diary(project), "the job to run again")
