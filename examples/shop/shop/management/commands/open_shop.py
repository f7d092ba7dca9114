"""Open the shop: make the database, the orders and their photos, and schedule what is overdue."""

from argparse import ArgumentParser
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, call_command

from gearfleet.schedule import schedule
from shop import storage
from shop.gearman_workers.worker_foo import sales_report
from shop.models import Order
from shop.pictures import draw

CUSTOMERS = ("Ada", "Grace", "Katherine", "Margaret", "Radia")
FIRST_DAY = date(2026, 3, 1)

#: The name of the schedule for it.
OVERDUE = "overdue report"


class Command(BaseCommand):
    help = "Make the database, the orders and their photos; a second run changes nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--orders", type=int, default=300, help="default %(default)s")

    def handle(self, *, orders: int, **options: Any) -> None:
        settings.SHOP_DATA.mkdir(parents=True, exist_ok=True)
        call_command("migrate", verbosity=0)
        is_new = not Order.objects.exists()
        Order.objects.bulk_create(map(order, range(1, orders + 1)), ignore_conflicts=True)
        for number in range(1, orders + 1):
            deliver_photo(number)
        if is_new:
            schedule_overdue_report()
        self.stdout.write(f"{orders} orders and their photos are in {settings.SHOP_DATA}")


def order(number: int) -> Order:
    """Return the order `number`, always the same one."""
    customer = CUSTOMERS[number % len(CUSTOMERS)]
    return Order(
        pk=number,
        customer=customer,
        email=f"{customer.lower()}{number}@customers.example",
        day=FIRST_DAY + timedelta(days=number // 10),
        copies=number % 7 + 1,
        price=Decimal("0.35") + Decimal(number % 4) / 10,
    )


def schedule_overdue_report() -> None:
    """Let the scheduler have the last day with orders reported, as soon as there is one."""
    schedule(sales_report, Order.objects.latest("day").day, name=OVERDUE)


def deliver_photo(number: int) -> None:
    """Put the photo of an order where the customer's upload would have put it."""
    path = storage.place("photos", f"{number}.png")
    if not path.exists():
        storage.save(path, photo(number % 10))


@cache
def photo(seed: int) -> bytes:
    return draw(seed).to_png()
