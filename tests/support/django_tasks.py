"""Django projects whose tasks are Django's own, on every Django that has a framework for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import django
import pytest

from tests.originals.projects import make_project
from tests.support.processes import run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.originals.projects import Project
    from tests.support.processes import Process

#: Where the framework is.
FRAMEWORK = "django.tasks" if django.VERSION >= (6, 0) else "django_tasks"

NEEDS = "needs django-tasks, the tasks framework of this Django: pip install '.[tasks]'"

SETTINGS = """
INSTALLED_APPS += {apps}
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}}}}
GEARFLEET["PREFIX"] = "{prefix}."
TASKS = {{"default": {{
    "BACKEND": "gearfleet.contrib.django.backend.GearmanBackend",
    "QUEUES": ["default", "mail"],
    "OPTIONS": {{}},
}}}}
"""


def need_framework() -> None:
    """Skip the test where Django 5.2 stands without the package."""
    pytest.importorskip(FRAMEWORK, reason=NEEDS)


def make_site(folder: Path, server: str, tasks: str, more: str = "") -> Project:
    """Make a project with the module ``myapp.tasks``; ``FRAMEWORK`` in `tasks` is where Django's is."""
    project = make_project(folder, server, {})
    (folder / "myapp" / "tasks.py").write_text(tasks.replace("FRAMEWORK", FRAMEWORK))
    apps = [] if FRAMEWORK == "django.tasks" else [FRAMEWORK]
    project.add_settings(SETTINGS.format(apps=apps, prefix=folder.name) + more)
    return project


def manage(project: Project, *words: str) -> str:
    """Run a management command and return what it writes."""
    done = run(project.manage(*words), cwd=project.folder, env=project.environment)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done.stdout


def tell(project: Project, story: str, worker: Process | None = None) -> str:
    """Run `story` in a process of the project, in which a warning is an error; return what it writes."""
    code = f"import django\ndjango.setup()\n{story}".replace("FRAMEWORK", FRAMEWORK)
    done = run(
        [project.manage()[0], "-W", "error", "-c", "import sys; exec(sys.stdin.read())"],
        cwd=project.folder,
        env={**project.environment, "DJANGO_SETTINGS_MODULE": "settings"},
        stdin=code,
    )
    log = worker.output() if worker else ""
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{log}"
    return done.stdout
