"""The accounts: a task that is declared with Django's own framework."""

from decimal import Decimal
from typing import Any

try:
    from django.tasks import task
except ImportError:  # Django 5.2 has the framework as a package of its own
    from django_tasks import task

from shop import storage
from shop.models import Order


@task(queue_name="foo")
def account(customer: str) -> dict[str, Any]:
    """Return how many orders a customer has made, and what they cost together."""
    orders = Order.objects.filter(customer=customer)
    storage.note(f"account {customer}")
    return {"orders": len(orders), "total": str(sum((each.total for each in orders), Decimal(0)))}
