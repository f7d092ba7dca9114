"""G9, G10: a management command for one task, and the one that submits its jobs."""

from __future__ import annotations

import signal
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.originals.projects import Project, make_project, starting
from tests.support.processes import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.job_servers import JobServer
    from tests.support.processes import Process

    Start = Callable[[], Process]

COMMAND = """\
from gearfleet.contrib.django.commands import GearmanWorkerBaseCommand

class Command(GearmanWorkerBaseCommand):
    {more}
    @property
    def task_name(self):
        return "{name}"

    def do_job(self, job_data):
        if job_data == "bad":
            raise LookupError("shelf")
        return 7 if job_data is None else job_data.upper()
"""


def make(tmp_path: Path, gearmand: JobServer, function: str, more: str = "pass") -> Project:
    project = make_project(tmp_path / "project", gearmand.address, {})
    commands = project.folder / "myapp" / "management" / "commands"
    commands.mkdir(parents=True)
    for package in (commands, commands.parent):
        (package / "__init__.py").touch()
    (commands / "gearman_worker_footest.py").write_text(COMMAND.format(more=more, name=function))
    return project


@pytest.fixture
def project(tmp_path: Path, gearmand: JobServer, function: str) -> Project:
    return make(tmp_path, gearmand, function)


@pytest.fixture
def start(project: Project) -> Iterator[Start]:
    with starting(project) as start:
        yield partial(start, "gearman_worker_footest")


def submit(project: Project, *words: str) -> tuple[int, str]:
    command = project.manage("gearman_submit_job", *words, "--foreground")
    done = run(command, cwd=project.folder, env=project.environment)
    return done.returncode, done.stdout + done.stderr


def test_g9__serves_its_task_until_it_is_told_to_stop(
    project: Project, start: Start, gearmand: JobServer, function: str
) -> None:
    worker = start()
    gearmand.wait_for_workers(function)
    assert submit(project, function, "abc") == (
        0,
        f"Submitting job of {function} ...\nDone, result: ABC.\n",
    )
    assert "Done, result: OK." in submit(project, function)[1], "no data, and no text returned"
    code, said = submit(project, function, "bad")
    assert code == 1
    assert "LookupError" in said
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    assert "shelf" in worker.output()


def test_g9__exit_after_job(tmp_path: Path, gearmand: JobServer, function: str) -> None:
    project = make(tmp_path, gearmand, function, "exit_after_job = True")
    with starting(project) as start:
        worker = start("gearman_worker_footest")
        gearmand.wait_for_workers(function)
        assert "ABC" in submit(project, function, "abc")[1]
        assert worker.wait() == 0


def test_g9__halts_when_idle(tmp_path: Path, gearmand: JobServer, function: str) -> None:
    project = make(tmp_path, gearmand, function, "halt_if_inactive = True")
    project.add_settings("GEARMAN_WORKER_HALT_TIMEOUT_IN_SECONDS = 1\n")
    with starting(project) as start:
        assert start("gearman_worker_footest").wait() == 0
