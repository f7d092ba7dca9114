"""``manage.py gearman_worker -a APP -n WORKER [-q QUEUE]``, as django-gearman-jbox had it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gearfleet.cli import logs, reload, worker
from gearfleet.cli.builder import SUMMARIES
from gearfleet.cli.project import load_project
from gearfleet.config import release_of
from gearfleet.contrib.django.management.verbs import VerbCommand
from gearfleet.tasks import load_workers
from gearfleet.worker.ending import end_within
from gearfleet.worker.logs import logging_as
from gearfleet.worker.process import choose_queues
from gearfleet.worker.signals import stoppable

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from gearfleet.cli.output import Output
    from gearfleet.tasks import WorkerModule

ALL_QUEUES = "*"


class Command(VerbCommand):
    """The code of ``gearfleet worker``, with the name and the texts that jbox's users know."""

    help = SUMMARIES["worker"]

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the worker's options."""
        worker.add_arguments(parser)
        parser.set_defaults(run=work)


def work(args: Namespace, output: Output) -> int:
    """Serve one worker module, telling its queues and tasks before and its end after."""
    log_options = logs.log_options(args, output.verbosity)
    if worker.reloads(args):
        return reload.reload(log_options)
    if worker.leads_pool(args):
        return worker.lead_pool(args, output)
    with logging_as(log_options) as settle, reload.reported() as report, stoppable():
        project = load_project(args)
        report(project)
        module = load_workers(project.apps, worker.workers_named(args))
        choose_queues(module, args.queue_name)  # nothing is launched in a queue that is not there
        settle(release_of(project.settings))
        output.text(announcement(module, args.queue_name))
        code = worker.serve_module(module, project, args)
    output.text(f"{', '.join(args.worker_name)} get interrupted, exiting...\n")
    end_within(args.hook_timeout)
    return code


def announcement(module: WorkerModule, queues: list[str]) -> str:
    """Return the lines that jbox's command printed before it began to work."""
    lines = ["Available Queues and Tasks : "]
    for queue in module.queues:
        lines += [f"Queue: {queue}", "Tasks:", *_tasks_of(module, queue), ""]
    for queue in queues or [ALL_QUEUES]:
        lines += [f"Queue '{queue}' launched with tasks : ", *_tasks_of(module, queue)]
    return "\n".join(lines) + "\n"


def _tasks_of(module: WorkerModule, queue: str) -> list[str]:
    return [f" * {task.name}" for task in module.tasks if queue in (task.queue, ALL_QUEUES)]
