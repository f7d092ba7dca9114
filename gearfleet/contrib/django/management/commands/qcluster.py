"""``manage.py qcluster [--run-once] [-n NAME]``: Django Q's cluster, a pool and a scheduler.

Production leaves both to Supervisor: ``gearfleet render`` writes a program for each.
"""

from __future__ import annotations

import logging
import os
import subprocess
from typing import TYPE_CHECKING

from django.conf import settings

from gearfleet.cli import info
from gearfleet.cli.project import load_project
from gearfleet.cli.seen import places_of
from gearfleet.cli.together import run_together
from gearfleet.contrib.django.management.again import manage
from gearfleet.contrib.django.management.verbs import VerbCommand
from gearfleet.contrib.django.originals.django_q import has_scheduler, queue_of
from gearfleet.errors import EXIT_RECYCLED
from gearfleet.fleet import worker_flags
from gearfleet.monitor.sample import take
from gearfleet.monitor.view import view_of
from gearfleet.worker.logs import LogOptions, logging_as

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from gearfleet.cli.output import Output
    from gearfleet.config import Value

NAME = "qcluster"

#: The name of Django Q's logger, which the LOGGING of its users has a handler for.
LOGGER = "django-q"

#: A worker that nobody waits for is renewed after so many seconds without a job: it ends.
_IDLE = ("--max-idle", "2", "--startsecs", "0")


class Command(VerbCommand):
    """``gearfleet worker --processes N`` and ``gearfleet scheduler`` together."""

    help = "Run a pool of workers and a scheduler until told to stop."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add Django Q's options."""
        parser.add_argument(
            "--run-once",
            action="store_true",
            help="submit what is due, run what waits, and end when nothing comes any more",
        )
        parser.add_argument(
            "-n",
            "--name",
            default=os.environ.get("Q_CLUSTER_NAME"),
            metavar="NAME",
            help="serve only the tasks of this queue [Q_CLUSTER_NAME]",
        )
        info.add_arguments(parser)
        parser.set_defaults(run=cluster, verb=NAME)


def cluster(args: Namespace, _output: Output) -> int:
    """Run the cluster; return the exit code of what could not go on."""
    layers = load_project(args).settings.layers
    is_scheduler, args.name = has_scheduler(settings, args.name), queue_of(settings, args.name)
    queue = ["-q", args.name] if args.name else []
    options = {**layers.fleet, **layers.queues.get(args.name or "", {})}
    log = _log(options)
    named = {"loglevel": log.level, "log_format": log.format}
    said = ["--log-name", LOGGER, *worker_flags({key: x for key, x in named.items() if x})]
    if args.run_once:
        return _run_once(args, queue, said, is_scheduler=is_scheduler)
    pool = ["--processes", str(options.get("processes") or "cpu"), *worker_flags(options)]
    worker = manage(NAME, "gearfleet", "worker", *pool, *queue, *said)
    scheduler = manage(NAME, "gearfleet", "scheduler", *said)
    with logging_as(log):
        return run_together([worker, scheduler] if is_scheduler else [worker])


def _log(options: dict[str, Value]) -> LogOptions:
    """Take what `options` say of the log, which is that of all commands.

    The level of Q_CLUSTER counts, as there, where the project gives the logger no handler.
    """
    level, form = (str(options.pop(name, "")) for name in ("loglevel", "log_format"))
    is_heard = logging.getLogger(LOGGER).hasHandlers()
    return LogOptions(logger=LOGGER, level="" if is_heard else level, format=form)


def _run_once(args: Namespace, queue: list[str], log: list[str], *, is_scheduler: bool) -> int:
    """Do what waits, and end; what cannot be submitted is for the next time."""
    code = 0
    if is_scheduler:
        code = subprocess.call(manage(NAME, "gearfleet", "scheduler", "--once", *log))
    while True:
        ended = subprocess.call(manage(NAME, "gearfleet", "worker", *_IDLE, *queue, *log))
        if ended != EXIT_RECYCLED or not _is_left(args):
            return code or (0 if ended == EXIT_RECYCLED else ended)


def _is_left(args: Namespace) -> bool:
    """Tell whether jobs wait: on a busy machine a worker may end before it was given any."""
    places, _ = places_of(args)
    rows = view_of(take(places)).queues
    return any(row.waiting for row in rows if row.queue and args.name in (None, row.queue))
