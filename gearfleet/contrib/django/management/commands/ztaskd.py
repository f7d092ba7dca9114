"""``manage.py ztaskd``, as django-ztask had it: one worker, or a pool, that serves all tasks."""

from __future__ import annotations

import logging
import subprocess
from reprlib import Repr
from typing import TYPE_CHECKING

from gearfleet import hooks
from gearfleet.cli import reload, worker
from gearfleet.config import values
from gearfleet.contrib.django.management.again import manage
from gearfleet.contrib.django.management.verbs import VerbCommand
from gearfleet.errors import UsageError
from gearfleet.gearman.jobs import printable
from gearfleet.worker.job import Completed
from gearfleet.worker.pool import nursery_of_this_process

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from gearfleet.cli.output import Output
    from gearfleet.worker.job import Job, Outcome

NAME = LOGGER = "ztaskd"

logger = logging.getLogger(LOGGER)


class Command(VerbCommand):
    """The code of ``gearfleet worker``, with the options, the reloader and the log of ztaskd."""

    help = "Serve the tasks of all apps, and start anew when their source changes."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add django-ztask's options, and those of a worker's behaviour."""
        parser.add_argument(
            "--noreload",
            action="store_true",
            help="do not start anew when the source changes, as in production",
        )
        parser.add_argument(
            "--multiprocess",
            action="store_true",
            help="run jobs in a pool of processes; it is never reloaded",
        )
        parser.add_argument(
            "--worker-pool-size",
            type=_pool_size,
            default=8,
            metavar="N",
            help="workers in the pool, with --multiprocess (default %(default)s)",
        )
        parser.add_argument(
            "--replayfailed",
            action="store_true",
            help="first submit all failed jobs again, as gearfleet failed retry --all does",
        )
        worker.add_behaviour(parser)
        parser.set_defaults(
            run=work,
            verb=NAME,
            app_name=[],
            worker_name=[],
            queue_name=[],
            log_name=LOGGER,
            uses_stdout=True,
        )


def _pool_size(text: str) -> int:
    try:
        return values.positive(int(text))
    except ValueError:
        raise UsageError(
            f"--worker-pool-size is '{text}'; give a whole number, 1 or more"
        ) from None


def work(args: Namespace, output: Output) -> int:
    """Serve all tasks, and log what becomes of each job."""
    args.log_format = args.log_format or "ztask"
    args.processes = args.worker_pool_size if args.multiprocess else None
    args.reload = not (args.noreload or args.multiprocess)
    if args.replayfailed and not (reload.is_child() or nursery_of_this_process()):
        replay(output)

    hooks.after_job(log_status)
    return worker.work(args, output)


def replay(output: Output) -> None:
    """Submit all failed jobs again, in a process of its own: some of ours import no tasks.

    Those that cannot be submitted are said, and stay; the others are worth a worker.
    """
    if subprocess.call(manage(NAME, "gearfleet", "failed", "retry", "--all")):
        output.talk("ztaskd: failed jobs are left; see manage.py gearfleet failed")


#: Results are shown as far as a line of the log bears.
_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 200


def log_status(job: Job, outcome: Outcome) -> None:
    """Log the result of a job, as ztaskd's parent did; a failure is logged anyway."""
    if isinstance(outcome, Completed):
        logger.info(
            "Job %s of %s done: %s",
            printable(job.handle),
            job.task.name,
            _SHORT.repr(outcome.value),
            extra={"action": "job_done", "handle": printable(job.handle)},
        )
