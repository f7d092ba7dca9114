"""The post room: tells customers that their order has arrived."""

import time

from django.core.mail import send_mail
from shop import storage
from shop.models import Order

from gearfleet import task

#: Seconds that a real mail server would take to accept a letter; ours is a folder.
HANDSHAKE = 0.02

TEXT = """\
Dear {order.customer},

thank you for your order of {order.copies} prints. They cost {order.total}
together and leave our laboratory tomorrow.
"""


@task(queue="bar")
def confirm(order_id: int) -> str:
    """Send the confirmation of an order; return the address that it went to."""
    order = Order.objects.get(pk=order_id)
    time.sleep(HANDSHAKE)
    send_mail(f"Your order {order.pk}", TEXT.format(order=order), None, [order.email])
    storage.note(f"confirm {order_id}")
    return order.email
