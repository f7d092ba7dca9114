"""``manage.py gearman_submit_job TASK [DATA] [--foreground]``, as django-gearman-commands had it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from gearfleet.compat import submit_job
from gearfleet.contrib.django.management.verbs import OurCommand
from gearfleet.errors import GearfleetError
from gearfleet.gearman.jobs import JOB_COMPLETE

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(OurCommand):
    """Submits one job, in the background unless told otherwise."""

    help = "Submit a job to the job servers of the settings."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the words of the command."""
        parser.add_argument("task_name", metavar="TASK", help="name of the task")
        parser.add_argument(
            "task_data", metavar="DATA", nargs="?", help="its only argument, a text"
        )
        parser.add_argument("--foreground", action="store_true", help="wait for the result")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Submit the job, and say what became of it."""
        name, waits = options["task_name"], options["foreground"]
        self.stdout.write(f"Submitting job of {name} ...")
        try:
            request = submit_job(
                name, options["task_data"], background=not waits, wait_until_complete=waits
            )
        except GearfleetError as error:
            raise CommandError(str(error), returncode=error.exit_code) from error
        if not waits:
            self.stdout.write(f"Submitted, job {request.job.handle}.")
        elif request.state == JOB_COMPLETE:
            self.stdout.write(f"Done, result: {request}.")
        else:
            raise CommandError(f"The job failed: {request.exception!r}")
