"""Jobs of what a transaction wrote, submitted when it is committed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec

from gearfleet.tasks.codecs import CODECS
from gearfleet.tasks.submission import submitter

if TYPE_CHECKING:
    from gearfleet.tasks import TaskCall
    from gearfleet.tasks.calls import Calls

P = ParamSpec("P")


def delay_on_commit(task: Calls[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> None:
    """Submit a job in the background when the transaction is committed; never if it is rolled back.

    A worker may begin a job before a transaction that is still open has written
    what the job is about. Outside of a transaction the job is submitted at once.

    Raises:
        PayloadEncodeError: (a TypeError) an argument cannot be sent; raised here,
            while the transaction can still be rolled back.

    Example:
        with transaction.atomic():
            order.save()
            delay_on_commit(send_receipt, order.pk)
    """
    submit_on_commit(task.call(*args, **kwargs))


def submit_on_commit(call: TaskCall, *, using: str | None = None) -> None:
    """Submit a call in the background when the transaction of database `using` is committed.

    Example:
        submit_on_commit(send_receipt.options(priority="high").call(order.pk), using="orders")
    """
    from django.db import transaction

    CODECS[call.options.codec].encode(call.args, call.kwargs)
    transaction.on_commit(partial(submitter().enqueue, *call), using=using)
