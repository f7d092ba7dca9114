"""One worker for several worker modules, as the programs of ``layout = "queue"`` run it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gearfleet import Client
from gearfleet.config import Settings
from tests.support.processes import GEARFLEET, Process, clean_environment, run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.job_servers import JobServer

TASK = """\
from gearfleet import hooks, task

@task(queue="bar")
def {name}():
    return __name__

@hooks.on_start
def tell():
    print("hook of", __name__, flush=True)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for app, module in (("mill", "worker_saw"), ("mill", "worker_plane"), ("kiln", "worker_fire")):
        workers = tmp_path / app / "gearman_workers"
        workers.mkdir(parents=True, exist_ok=True)
        (tmp_path / app / "__init__.py").touch()
        (workers / "__init__.py").touch()
        (workers / f"{module}.py").write_text(TASK.format(name=module.removeprefix("worker_")))
    (tmp_path / "mill" / "gearman_workers" / "worker_broken.py").write_text("1 / 0")
    return tmp_path


NAMED = ("-a", "mill", "-n", "worker_saw", "-a", "kiln", "-n", "worker_fire")


def test_worker__serves_several_modules_and_imports_no_other(
    project: Path, gearmand: JobServer
) -> None:
    settings = {"GEARFLEET_SERVERS": gearmand.address, "GEARFLEET_APP": "mill,kiln"}
    worker = Process(
        [*GEARFLEET, "worker", *NAMED, "-q", "bar"],
        log=project / "worker.log",
        cwd=project,
        env=clean_environment(**settings),
    )
    try:
        worker.wait_for_output("Registered at job server")
        for module in ("mill.gearman_workers.worker_saw", "kiln.gearman_workers.worker_fire"):
            assert f"hook of {module}" in worker.output()
        with Client(Settings(servers=(gearmand.address,))) as client:
            assert client.submit("mill.worker_saw.saw") == "mill.gearman_workers.worker_saw"
            assert client.submit("kiln.worker_fire.fire") == "kiln.gearman_workers.worker_fire"
    finally:
        worker.kill()


def test_worker__with_more_apps_than_workers(project: Path) -> None:
    words = ["worker", "-a", "mill", "-a", "kiln", "-n", "worker_saw", "-n", "x", "-n", "y"]
    done = run([*GEARFLEET, *words], cwd=project, env=clean_environment())
    assert done.returncode == 2
    assert "There are 2 apps (-a) and 3 workers (-n)" in done.stderr
