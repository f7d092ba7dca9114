"""Statements that write: records that take the place of others, and those that are too many.

In each transaction the first statement writes: SQLite lets it wait for other
writers then, and never after one that reads.
"""

from __future__ import annotations

from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING

from django.db import IntegrityError, connections, transaction
from django.db.models import Count

from gearfleet.contrib.django.results import rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from django.db.models import QuerySet

    from gearfleet.contrib.django.models import Part as PartRow
    from gearfleet.contrib.django.models import Record
    from gearfleet.results import Part, Retention, Sealed

#: Values that one statement looks for; an old SQLite takes 999.
CHUNK = 500

#: How often one row is written anew because another process wrote it meanwhile.
TRIES = 5


def write(records: QuerySet[Record], sealed: Sequence[Sealed]) -> None:
    """Write records, each in the place of one of the same or an earlier attempt of its job."""
    latest = _latest(sealed)
    if all(each.attempt <= 1 for each in latest):
        # Nearly always none of these jobs has a record. One statement is a transaction by itself.
        together = transaction.atomic(records.db) if len(latest) > 1 else nullcontext()
        with suppress(IntegrityError), together:
            rows.insert(connections[records.db], latest)
            return
    _try_again(records.db, lambda: _replace(records, latest))


def delete(records: QuerySet[Record], keys: Sequence[str]) -> int:
    """Delete the records of the jobs with these ids; return how many."""
    with transaction.atomic(records.db):
        return sum(records.filter(job__in=chunk).delete()[0] for chunk in _chunks(keys))


def put_part(parts: QuerySet[PartRow], part: Part) -> None:
    """Write one of the `parts` of a list, in the place of what it was when its job ran before."""
    row = parts.model(whole=rows.key(part.whole), place=part.index, sealed=rows.told(part.sealed))

    def put() -> None:
        parts.filter(place=part.index).delete()
        parts.bulk_create([row])

    _try_again(parts.db, put)


def prune(records: QuerySet[Record], saved: Sequence[Sealed], retention: Retention) -> None:
    """Delete what is too much of the kinds of which `saved` are; the oldest go."""
    kinds = {retention.kind(each) for each in saved if retention.limit(each)}
    if (False, "") in kinds:
        _cut(records.filter(limited_as="failure"), retention.failure_limit)
    successes, limit = records.filter(limited_as="success"), retention.save_limit
    shared = [rows.key(text) for is_success, text in kinds if is_success]
    if not retention.save_limit_per and shared:
        _cut(successes, limit)
    elif per := retention.save_limit_per:
        for key in _crowded(successes, per, shared, limit):
            _cut(successes.filter(**{per: key}), limit)


def _crowded(records: QuerySet[Record], per: str, keys: Sequence[str], limit: int) -> Iterator[str]:
    """Yield those of `keys` that more than `limit` records share, as their `per`."""
    for chunk in _chunks(keys):
        counted = records.filter(**{f"{per}__in": chunk}).values(per).annotate(count=Count("seq"))
        yield from [str(each[per]) for each in counted.filter(count__gt=limit)]


def _cut(records: QuerySet[Record], limit: int) -> None:
    """Delete all but the newest."""
    newest = records.order_by("-seq").values_list("seq", flat=True)
    for seq in newest[limit : limit + 1]:
        records.filter(seq__lte=seq).delete()


def _latest(sealed: Sequence[Sealed]) -> list[Sealed]:
    """Return of each job the record that would stay if they were written one after the other."""
    found: dict[str, Sealed] = {}
    for each in map(rows.bounded, sealed):
        key = rows.key(each.id)
        older = found.get(key)
        if older is None or older.attempt <= each.attempt:
            found.pop(key, None)
            found[key] = each
    return list(found.values())


def _replace(records: QuerySet[Record], latest: Sequence[Sealed]) -> None:
    later: set[str] = set()
    for attempt in sorted({each.attempt for each in latest}):
        for chunk in _chunks([rows.key(each.id) for each in latest if each.attempt == attempt]):
            same = records.filter(job__in=chunk)
            same.filter(attempt__lte=attempt).delete()
            later.update(same.filter(attempt__gt=attempt).values_list("job", flat=True))
    # One that another process has written meanwhile is in the way of this, and next time deleted.
    rows.insert(connections[records.db], [x for x in latest if rows.key(x.id) not in later])


def _try_again(alias: str, action: Callable[[], None]) -> None:
    """Do something in a transaction, again where another process was faster to write a row."""
    for left in reversed(range(TRIES)):
        try:
            with transaction.atomic(alias):
                action()
            return
        except IntegrityError:
            if not left:
                raise


def _chunks(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for begin in range(0, len(keys), CHUNK):
        yield keys[begin : begin + CHUNK]
