"""Django Q's names: `async_task` and what is around it; thin aliases, nothing else.

`async_task` of Django Q 1.0 and later was `async` before, which Python's grammar
no longer allows: ``getattr(gearfleet.compat.django_q, "async")`` is the same function.
"""

from gearfleet.compat.django_q.calls import async_task
from gearfleet.compat.django_q.groups import AsyncTask, Chain, Iter, async_chain, async_iter
from gearfleet.compat.django_q.lookups import (
    Task,
    count_group,
    delete_cached,
    delete_group,
    fetch,
    fetch_group,
    result,
    result_group,
)
from gearfleet.compat.django_q.schedules import schedule
from gearfleet.compat.django_q.status import Stat

#: By the name that it had first.
get_task = fetch
globals()["async"] = async_task

__all__ = [
    "AsyncTask",
    "Chain",
    "Iter",
    "Stat",
    "Task",
    "async_chain",
    "async_iter",
    "async_task",
    "count_group",
    "delete_cached",
    "delete_group",
    "fetch",
    "fetch_group",
    "get_task",
    "result",
    "result_group",
    "schedule",
]
