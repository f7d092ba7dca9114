"""The office: invoices and sales reports."""

import csv
import io
from datetime import date, datetime, time
from decimal import Decimal

from django.template import Context, Engine

from gearfleet import periodic, task
from shop import storage
from shop.models import Order

INVOICE = Engine().from_string("""\
<!doctype html>
<title>Invoice {{ order.pk }}</title>
<h1>Invoice {{ order.pk }}</h1>
<p>{{ order.day|date:"j F Y" }}, {{ order.customer }}</p>
<p>{{ order.copies }} prints at {{ order.price }}: <b>{{ order.total }}</b></p>
""")


@task(queue="foo")
def invoice(order_id: int) -> str:
    """Write the invoice of an order as HTML; return the name of the file."""
    order = Order.objects.get(pk=order_id)
    path = storage.place("invoices", f"{order_id}.html")
    storage.save(path, INVOICE.render(Context({"order": order})).encode())
    storage.note(f"invoice {order_id}")
    return path.name


@periodic("daily", start=time(20), name="closing time", intended_date_kwarg="day")
@task(queue="foo")
def sales_report(day: date) -> Decimal:
    """Write the orders of a day as CSV; return the day's turnover."""
    if isinstance(day, datetime):  # the moment for which its schedule means it
        day = day.date()
    orders = list(Order.objects.filter(day=day))
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(["order", "customer", "copies", "total"])
    table.writerows([order.pk, order.customer, order.copies, order.total] for order in orders)
    storage.save(storage.place("reports", f"{day}.csv"), text.getvalue().encode())
    storage.note(f"sales_report {day}")
    return sum((order.total for order in orders), Decimal("0.00"))
