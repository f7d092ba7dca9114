"""What the nursery of a pool does with Django before it forks, see `gearfleet.worker.pool.warming`.

Django makes SQL in some thousand lines of Python, and keeps what it has worked out about models,
look-ups and expressions. Each worker would do that for itself, with 0.3 MB of its own.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from django.db.models import Count, Q, Sum

from gearfleet.contrib.django.models import Record

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

logger = logging.getLogger(__name__)

#: Databases for which Django makes such SQL without asking them what they can do.
_VENDORS = ("postgresql", "sqlite")
#: The first time it makes what Django keeps; more than twice gained nothing.
_TIMES = 2


def rehearse(connection: BaseDatabaseWrapper) -> None:
    """Make the SQL of some queries, and run none of it."""
    if connection.vendor not in _VENDORS:
        return
    try:
        for _ in range(_TIMES):
            _make_sql(connection)
    except Exception:  # of Django's: the pool does without it
        logger.debug("The queries cannot be rehearsed", exc_info=True)


def _make_sql(connection: BaseDatabaseWrapper) -> None:
    rows = (
        Record.objects.filter(Q(job="a") | Q(name="b"), state__in=("c", "d"))
        .exclude(group="e")
        .order_by("-seq", "name")
    )
    counted = rows.values("state").annotate(Count("seq"), Sum("started"))
    for queryset in (rows[:1], counted, rows.values_list("job")):
        queryset.query.get_compiler(connection=connection).as_sql()
