"""Show what stands in the shop's database about the work that was done."""

import json
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management import BaseCommand, CommandError

from gearfleet import fetch_group
from gearfleet.contrib.django.models import Occurrence, Success
from shop.management.commands.open_shop import OVERDUE
from shop.tasks import account

RECORDED = ("shop.worker_bar.thumbnail", "shop.worker_foo.invoice")
CUSTOMER = "Ada"

#: Seconds until the workers have done what is asked for here, also on a busy machine.
PATIENCE = 30.0

TEXT = """\
results: of {recorded} thumbnails and invoices
{schedule}: due {due}, submitted as job {job}, gave {turnover}
account({customer!r}): {status}, {account}"""


class Command(BaseCommand):
    help = "Show what is recorded, what the scheduler has fired, and have a task of Django's run."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--wait-for", type=int, default=0, metavar="N", help="wait for so many results"
        )
        parser.add_argument("--json", action="store_true", help="print it as JSON")

    def handle(self, *, wait_for: int, **options: Any) -> None:
        books = {**run_account(), **find_report(), "recorded": count_results(wait_for)}
        self.stdout.write(json.dumps(books) if options["json"] else TEXT.format(**books))


def run_account() -> dict[str, Any]:
    """Have a worker run one of Django's tasks, and look its result up as Django does."""
    job = account.enqueue(CUSTOMER).id
    deadline = time.monotonic() + PATIENCE
    while not (found := account.get_result(job)).is_finished:
        if time.monotonic() > deadline:
            raise CommandError(
                f"account({CUSTOMER!r}) is still {found.status}; are workers running?"
            )
        time.sleep(0.05)
    value = found.return_value if found.status == "SUCCESSFUL" else None
    return {"customer": CUSTOMER, "status": str(found.status.value), "account": value}


def find_report() -> dict[str, Any]:
    """Return when the report was due that nobody had written, and what its job returned."""
    for record in fetch_group(OVERDUE, wait=PATIENCE):
        occurrence = Occurrence.objects.get(job=record.id)
        return {
            "schedule": occurrence.name,
            "due": f"{occurrence.intended:%H:%M:%S}",
            "job": occurrence.job,
            "turnover": str(record.result),
        }
    raise CommandError(f"No job of the schedule '{OVERDUE}' has ended; is a scheduler running?")


def count_results(wanted: int) -> int:
    """Count the results of background jobs; workers write them at most 0.2 seconds late."""
    results = Success.objects.filter(task__in=RECORDED)
    deadline = time.monotonic() + PATIENCE
    while (count := results.count()) < wanted and time.monotonic() < deadline:
        time.sleep(0.05)
    return count
