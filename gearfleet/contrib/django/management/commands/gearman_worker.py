"""``manage.py gearman_worker``, as django-gearman-jbox and as django-gearman had it.

-a APP -n WORKER    serves one worker module: django-gearman-jbox
-w N                serves the tasks of all apps, in N processes: django-gearman

Both take ``-q QUEUE``, and all other options of ``gearfleet worker``, which does the work.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gearfleet.cli import worker
from gearfleet.cli.builder import SUMMARIES
from gearfleet.cli.chosen import add_choice_of_tasks, refuse_half_a_name
from gearfleet.contrib.django.management.verbs import VerbCommand
from gearfleet.errors import UsageError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator

    from gearfleet.cli.output import Output
    from gearfleet.tasks import WorkerModule

ALL_QUEUES = "*"


class Command(VerbCommand):
    """The code of ``gearfleet worker``, with the name and the texts that the originals' users know."""

    help = SUMMARIES["worker"]

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the worker's options; the number of processes is read as django-gearman did."""
        add_choice_of_tasks(parser, "--queue")
        parser.add_argument(
            "-w",
            "--workers",
            "--processes",
            dest="processes",
            default=os.environ.get("GEARFLEET_PROCESSES"),
            metavar="N",
            help="run a pool of N workers that share the imported code; 1: one in this process; "
            "cpu: one for each CPU [GEARFLEET_PROCESSES]",
        )
        worker.add_behaviour(parser)
        parser.set_defaults(run=work, verb="gearman_worker")


def work(args: Namespace, output: Output) -> int:
    """Serve what `args` name, and say what the original said that is called in this way."""
    refuse_half_a_name(args)
    args.processes = _pool_size(args, output)

    @contextmanager
    def announced(module: WorkerModule) -> Iterator[None]:
        if args.app_name:
            output.text(announcement(module, args.queue_name))
            yield
            output.text(f"{', '.join(args.worker_name)} get interrupted, exiting...\n")
        else:
            output.text(available(module, args.queue_name))
            yield

    if not args.app_name and worker.leads_pool(args):
        output.text(
            f"Spawning {args.processes} worker(s)\nStarting to work... (press ^C to exit)\n"
        )
    return worker.work(args, output, announced)


def _pool_size(args: Namespace, output: Output) -> int | None:
    """Return how many workers are forked; None for the one that this process is."""
    text = args.processes or "1"
    try:
        size = worker.pool_size(worker.read_processes(text))
    except UsageError:
        output.talk(f"-w is '{text}', which is no positive number: one worker is started.")
        size = 1
    return size if size > 1 else None


def announcement(module: WorkerModule, queues: list[str]) -> str:
    """Return the lines that jbox's command printed before it began to work."""
    lines = ["Available Queues and Tasks : "]
    for queue in module.queues:
        lines += [f"Queue: {queue}", "Tasks:", *_tasks_of(module, queue), ""]
    for queue in queues or [ALL_QUEUES]:
        lines += [f"Queue '{queue}' launched with tasks : ", *_tasks_of(module, queue)]
    return "\n".join(lines) + "\n"


def available(module: WorkerModule, queues: list[str]) -> str:
    """Return the lines that django-gearman's command printed before it began to work."""
    listed = [line.strip() for queue in queues or [ALL_QUEUES] for line in _tasks_of(module, queue)]
    return "\n".join(["Available jobs:", *dict.fromkeys(listed)]) + "\n"


def _tasks_of(module: WorkerModule, queue: str) -> list[str]:
    return [f" * {task.name}" for task in module.tasks if queue in (task.queue, ALL_QUEUES)]
