"""What a user sees of ``gearfleet plan``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.processes import GEARFLEET, clean_environment, run

if TYPE_CHECKING:
    from pathlib import Path

TASKS = """\
from gearfleet import task

@task(queue="bar", time_limit=30)
def resize(image: str) -> str:
    return image

@task(queue="mail")
def send(to: str) -> None:
    pass
"""

SETTINGS = """\
apps = ["mill"]
[queues.bar]
processes = 3
drain_timeout = 20
[queues.mail]
processes = 0
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    workers = tmp_path / "mill" / "gearman_workers"
    workers.mkdir(parents=True)
    (tmp_path / "mill" / "__init__.py").touch()
    (workers / "__init__.py").touch()
    (workers / "worker_bar.py").write_text(TASKS)
    (tmp_path / "gearfleet.toml").write_text(SETTINGS)
    return tmp_path


def test_plan__shows_the_fleet_and_what_is_odd_about_it(project: Path) -> None:
    done = run([*GEARFLEET, "plan"], cwd=project, env=clean_environment())
    assert done.returncode == 0, done.stderr
    for word in ("worker_bar_bar", "mill.worker_bar.resize", "35 s", "40 s", "3 processes of 1"):
        assert word in done.stdout
    assert f"GF110 warning  {project}/mill/gearman_workers/worker_bar.py:7\n" in done.stdout
    assert "Task 'mill.worker_bar.send' of queue 'mail' is served by no program" in done.stdout


def test_plan__as_json(project: Path) -> None:
    (project / "gearfleet.toml").write_text(SETTINGS.replace("drain", "stopwaitsecs = 30\ndrain"))
    done = run([*GEARFLEET, "plan", "--json"], cwd=project, env=clean_environment())
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert (shown["processes"], shown["workers"]) == (3, 3)
    (group,) = shown["groups"]
    (program,) = group["programs"]
    assert (group["name"], program["name"]) == ("bar", "worker_bar_bar")
    assert (program["stop_budget"], program["stopwaitsecs"]) == (35, 30)
    assert program["tasks"] == ["mill.worker_bar.resize"]
    codes = {found["code"]: found for found in shown["findings"]}
    assert codes.keys() == {"GF101", "GF110"}
    assert codes["GF101"]["setting"] == "queues.bar.stopwaitsecs"
