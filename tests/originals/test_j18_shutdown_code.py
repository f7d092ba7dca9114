"""J18: code that runs just before a worker ends, once, after its last job."""

from __future__ import annotations

import signal
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.support.workers import WorkerProject

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.job_servers import JobServer

#: In a module of its own (global), in the other worker module (not ours), and by path.
ANYWHERE = """
from gearfleet import hooks
from {package}.gearman_workers.worker_foo import note

@hooks.on_shutdown
def everywhere(): note("global")

def named(): note("by path")
"""
OTHER = """
from gearfleet import hooks, task
from {package}.gearman_workers.worker_foo import note

@task
def other(): ...

@hooks.on_shutdown
def not_ours(): note("of another worker module")
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_hook__runs_once_after_the_last_job(
    tmp_path: Path, gearmand: JobServer, number: signal.Signals
) -> None:
    with closing(WorkerProject(tmp_path, gearmand.address)) as project:
        worker = project.start_ready()
        result = project.submit("wait_for", "go")
        project.wait_for_note("begin go")
        worker.signal(number)
        worker.wait_for_output("Draining: 1 job in hand")
        project.allow("go")
        assert result.result() == "go"
        assert worker.wait() == 0
        assert project.diary[-2:] == ["finally go", f"goodbye {number.name}"]
        assert project.diary.count(f"goodbye {number.name}") == 1


def test_hook__may_be_global_or_named_by_path(tmp_path: Path, gearmand: JobServer) -> None:
    with closing(WorkerProject(tmp_path, gearmand.address)) as project:
        names = {"package": project.package}
        project.write("anywhere.py", ANYWHERE.format(**names))
        project.write("gearman_workers/worker_bar.py", OTHER.format(**names))
        module = tmp_path / project.package / "gearman_workers" / "worker_foo.py"
        with module.open("a") as file:
            file.write(f"import {project.package}.gearman_workers.worker_bar\n")
        with (tmp_path / "gearfleet.toml").open("a") as toml:
            toml.write(f"[hooks]\non_shutdown = ['{project.package}.anywhere.named']\n")
        worker = project.start_ready()
        worker.signal(signal.SIGTERM)
        assert worker.wait() == 0
        # What another worker module declares belongs to its own workers.
        assert project.diary == ["goodbye SIGTERM", "global", "by path"]
