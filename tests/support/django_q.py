"""A project of a user of Django Q: tasks, hooks, and a worker process that serves them."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from gearfleet import config
from gearfleet.client import close_default_client
from tests.support.workers import WorkerProject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TASKS = """
from decimal import Decimal

@task
def add(a, b=0):
    return a + b

@task
def cost(price):
    return Decimal(price)

@task
def nothing():
    note("nothing ran")

@task
def breaks(why="boom"):
    raise ValueError(why)

@task
def takes(*args, **kwargs):
    return [list(args), kwargs]

def not_a_task():
    pass

def tell(record):
    note(f"hook {record.id} {record.state} {record.result}")

def hold_on_in_hook(record):
    note("in hook")
    while not (FOLDER / "hook").exists():
        time.sleep(0.01)

def bad_hook(record):
    note("bad hook")
    raise RuntimeError("of the hook")
"""


class QProject(WorkerProject):
    """One whose settings are those of this process, and whose worker runs."""

    def __init__(self, folder: Path, server: str, *, toml: str = "", **settings: Any) -> None:
        super().__init__(folder, server, more=TASKS, toml=toml)
        self.settings = replace(self.settings, apps=(self.package,), root=folder, **settings)

    @property
    def module(self) -> Any:
        """The worker module, in this process."""
        return import_module(f"{self.package}.gearman_workers.worker_foo")

    def path(self, name: str) -> str:
        """Return the dotted path of a function of the worker module."""
        return f"{self.package}.gearman_workers.worker_foo.{name}"


@contextmanager
def q_project(
    folder: Path, server: str, *, starts: bool = True, **settings: Any
) -> Iterator[QProject]:
    """Use the settings of a project, and start its worker."""
    text = "".join(f"{key} = {value!r}\n" for key, value in settings.items())
    project = QProject(folder, server, toml=text, **settings)
    sys.path.insert(0, str(folder))
    close_default_client()  # that of a project around this one
    try:
        with config.using(project.settings):
            if starts:
                project.start_ready()
            yield project
            close_default_client()
    finally:
        sys.path.remove(str(folder))
        project.close()
