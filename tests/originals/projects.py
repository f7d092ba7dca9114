"""Django projects as a user of the originals would have them, made for one test."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.processes import Process, clean_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

MANAGE = """\
import os
import sys

from django.core.management import execute_from_command_line

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
execute_from_command_line(sys.argv)
"""

#: With which the project's jobs are signed.
SECRET_KEY = "only for this test"

SETTINGS = """\
SECRET_KEY = "{secret}"
USE_TZ = True
INSTALLED_APPS = ["gearfleet.contrib.django", "myapp"]
GEARFLEET = {{"SERVERS": ["{server}"]}}
"""


@dataclass(frozen=True, slots=True)
class Project:
    """A Django project in a folder, with one app: ``myapp``."""

    folder: Path

    def manage(self, *words: str) -> list[str]:
        """Return the command line of a management command."""
        return [sys.executable, str(self.folder / "manage.py"), *words]

    def gearfleet(self, *words: str) -> list[str]:
        """Return the same words as a command line of ``gearfleet``."""
        return [sys.executable, "-m", "gearfleet", "--settings", "settings", *words]

    @property
    def environment(self) -> dict[str, str]:
        return clean_environment(GEARFLEET_RUN_DIR=str(self.folder / "run"))

    def add_settings(self, text: str) -> None:
        with (self.folder / "settings.py").open("a") as file:
            file.write(text)


def make_project(folder: Path, server: str, workers: Mapping[str, str]) -> Project:
    """Make a project whose worker modules are `workers`: the code of each by its name."""
    modules = folder / "myapp" / "gearman_workers"
    modules.mkdir(parents=True)
    (folder / "manage.py").write_text(MANAGE)
    (folder / "settings.py").write_text(SETTINGS.format(server=server, secret=SECRET_KEY))
    for package in (modules, modules.parent):
        (package / "__init__.py").touch()
    for name, code in workers.items():
        (modules / f"{name}.py").write_text(code)
    return Project(folder)


@contextmanager
def starting(project: Project) -> Iterator[Callable[..., Process]]:
    """Yield what starts a management command; each, with all that it began, is ended at the end."""
    started: list[Process] = []

    def start(*words: str) -> Process:
        log = project.folder / f"{len(started)}.log"
        command = project.manage(*words)
        process = Process(command, log=log, cwd=project.folder, env=project.environment)
        started.append(process)
        return process

    try:
        yield start
    finally:
        for process in started:
            process.kill()
