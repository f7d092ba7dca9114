"""``manage.py gearman_list_tasks``, as django-gearman had it: the tasks by their queues."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gearfleet.cli import tasks
from gearfleet.cli.project import load_project, require_apps
from gearfleet.contrib.django.management.verbs import VerbCommand
from gearfleet.tasks import discover

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from gearfleet.cli.output import Output


class Command(VerbCommand):
    """The names of the tasks; ``gearfleet tasks`` shows their functions and signatures too."""

    help = "List the tasks of all apps by their queues."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the only option."""
        parser.add_argument("--json", action="store_true", help="print what gearfleet tasks does")
        parser.set_defaults(run=list_tasks, verb="gearman_list_tasks")


def list_tasks(args: Namespace, output: Output) -> int:
    """Print each queue with its tasks, each once."""
    if output.json:
        return tasks.list_tasks(args, output)
    found = discover(require_apps(load_project(args)).apps).tasks
    for queue in sorted({task.queue for task in found}):
        output.line(f"Queue: {queue}")
        for name in sorted(task.name for task in found if task.queue == queue):
            output.line(f"* {name}")
    return 0
