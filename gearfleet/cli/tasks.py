"""``gearfleet tasks``: what was declared, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

    from gearfleet.cli.builder import Verbs
    from gearfleet.cli.output import Output
    from gearfleet.config import Settings
    from gearfleet.tasks import Task

WHERE = "They are searched in gearman_workers/*.py, gearman_jobs.py and tasks.py of each app."
COLUMNS = ("module", "task", "function", "queue", "signature")


def add_verbs(verbs: Verbs) -> None:
    """Add the verb ``tasks``."""
    verbs.add("tasks", list_tasks)


def list_tasks(args: argparse.Namespace, output: Output) -> int:
    """List each task with its module, function, queue and signature."""
    from gearfleet.cli.project import load_project, require_apps
    from gearfleet.tasks import discover

    project = require_apps(load_project(args))
    tasks = sorted(discover(project.apps).tasks, key=lambda task: (task.module, task.name))
    rows = [describe(task, project.settings) for task in tasks]
    if output.json:
        output.data(rows)
    else:
        output.table("", COLUMNS, [[row[column] for column in COLUMNS] for row in rows])
    if not rows:
        apps = ", ".join(app.name for app in project.apps)
        output.talk(f"gearfleet: No tasks in {apps}. {WHERE}")
    return 0


def describe(task: Task[Any, Any], settings: Settings) -> dict[str, str]:
    """Return one row of the list."""
    from gearfleet.tasks.naming import function_name

    return {
        "module": task.module,
        "task": task.name,
        "function": function_name(task.name, settings.prefix),
        "queue": task.queue,
        "signature": str(task.signature),
    }
