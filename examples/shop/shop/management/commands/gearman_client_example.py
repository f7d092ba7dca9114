"""Submit jobs of the shop as users of django-gearman-jbox and django-gearman do."""

from argparse import ArgumentParser
from typing import Any

from django.core.management import BaseCommand

from gearfleet.compat import GearmanClient


class Command(BaseCommand):
    help = "Have one order's thumbnail made, and its invoice in the background."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--order", type=int, default=7, help="default %(default)s")

    def handle(self, *, order: int, **options: Any) -> None:
        with GearmanClient() as client:
            thumbnail = client.submit_job("shop.worker_bar.thumbnail", order)
            self.stdout.write(f"Result: '{thumbnail}'")
            invoice = client.submit_job(
                "shop.worker_foo.invoice", background=True, kwargs={"order_id": order}
            )
            self.stdout.write(f"In the background: {invoice.job.handle}")
