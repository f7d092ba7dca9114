"""G2: ``gearman_jobs.py`` in each installed app."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.originals.projects import Project, make_project
from tests.support.processes import run

if TYPE_CHECKING:
    from pathlib import Path

JOBS = """\
from gearfleet.compat import gearman_job


@gearman_job
def reverse(text):
    return text[::-1]
"""

MORE_APPS = """
INSTALLED_APPS += ["group.one", "group.two", "without"]
"""


def project_of(folder: Path) -> Project:
    project = make_project(folder, "127.0.0.1:4730", {})
    project.add_settings(MORE_APPS)
    for app in ("group/one", "group/two", "without"):
        (folder / app).mkdir(parents=True)
        (folder / app / "__init__.py").touch()
        if app != "without":
            (folder / app / "gearman_jobs.py").write_text(JOBS)
    (folder / "group" / "__init__.py").touch()
    return project


def test_g02__of_every_installed_app_each_task_once(tmp_path: Path) -> None:
    project = project_of(tmp_path)

    done = run(project.gearfleet("tasks", "--json"), cwd=tmp_path, env=project.environment)

    assert done.returncode == 0, done.stderr
    assert [(row["module"], row["task"]) for row in json.loads(done.stdout)] == [
        ("group.one.gearman_jobs", "group.one.reverse"),
        ("group.two.gearman_jobs", "group.two.reverse"),
    ]


def test_g02__an_error_in_it_is_fatal(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    (tmp_path / "group" / "two" / "gearman_jobs.py").write_text("import nowhere_at_all\n")

    done = run(project.gearfleet("tasks"), cwd=tmp_path, env=project.environment)

    assert done.returncode == 3
    assert "Traceback" in done.stderr
    assert "nowhere_at_all" in done.stderr
    assert "Worker module 'group.two.gearman_jobs' cannot be imported" in done.stderr
