"""What the nursery of a pool does with Django before it forks, see `gearfleet.worker.pool.warming`.

Django makes SQL in some thousand lines of Python. Each worker would be the first to run them in
its own memory, and get copies of the pages that they and their notes of it stand on: 0.3 MB.
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
#: So often that Python has specialised the code.
_TIMES = 8


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
