"""Records as rows, written as fast as the database takes them.

The models' `bulk_create` takes 120 microseconds for a record, which is as long as
the whole job may take; rows for SQLite and for PostgreSQL's COPY take about 20.
"""

from __future__ import annotations

import json
from datetime import datetime, tzinfo
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from gearfleet.contrib.django.models import MAX_LENGTH, Record
from gearfleet.results import Sealed
from gearfleet.results.inserting import Inserting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from django.db.backends.base.base import BaseDatabaseWrapper

_COLUMNS = tuple(
    str(field.column) for field in Record._meta.concrete_fields if not field.primary_key
)

#: Fields of `Sealed` that are bytes.
_BYTES = ("arguments", "result", "failure")

#: Of PositiveIntegerField in every database.
_MAX_INTEGER = 2**31 - 1


def insert(connection: BaseDatabaseWrapper, sealed: Sequence[Sealed]) -> None:
    """Write new rows; one whose job is there already is an IntegrityError."""
    moment = moments(connection)
    rows = [row(each, moment) for each in sealed]
    if len(rows) > 1 and connection.vendor == "sqlite":
        _insert_many(connection, rows)
    elif len(rows) > 1 and _has_copy(connection):
        _copy(connection, rows)
    else:
        _insert(connection, rows)


def _insert(connection: BaseDatabaseWrapper, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write rows by Django's cursor."""
    marks = ", ".join(["%s"] * len(_COLUMNS))
    statement = f"INSERT INTO {_target(connection)} VALUES ({marks})"
    with connection.cursor() as cursor:
        if len(rows) == 1:
            cursor.execute(statement, rows[0])
        else:
            cursor.executemany(statement, rows)


def _insert_many(connection: BaseDatabaseWrapper, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write rows with few statements; not by Django's cursor, which looks for each ``%s``."""
    connection.ensure_connection()
    with connection.wrap_database_errors:
        _inserting(_target(connection)).write(connection.connection, rows)


@cache
def _inserting(target: str) -> Inserting:
    return Inserting(target, len(_COLUMNS))


def _copy(connection: BaseDatabaseWrapper, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write rows by PostgreSQL's COPY."""
    with connection.cursor() as cursor:
        copying = cursor.copy(f"COPY {_target(connection)} FROM STDIN")
        with connection.wrap_database_errors, copying as copy:
            for each in rows:
                copy.write_row(each)


def _target(connection: BaseDatabaseWrapper) -> str:
    """Return the table and its columns."""
    quote = connection.ops.quote_name
    return f"{quote(Record._meta.db_table)} ({', '.join(map(quote, _COLUMNS))})"


def row(sealed: Sealed, moment: Callable[[float], Any]) -> tuple[Any, ...]:
    """Return the values of the columns; `moment` is what `moments` returns."""
    job, name, task, function, queue, group, server, handle = keys(sealed)
    return (
        job,
        name,
        task,
        sealed.state,
        limited_as(sealed),
        function,
        queue,
        group,
        sealed.hook.replace("\0", "\ufffd"),
        sealed.enqueued_at,
        sealed.started,
        sealed.stopped,
        moment(sealed.stopped),
        sealed.attempt,
        server,
        handle,
        sealed.keep_until,
        sealed.arguments.decode(),
        sealed.result.decode(),
        sealed.failure.decode(),
    )


def bounded(sealed: Sealed) -> Sealed:
    """Return `sealed` with an attempt that the database can count to, whoever sent it."""
    if 0 <= sealed.attempt <= _MAX_INTEGER:
        return sealed
    return sealed._replace(attempt=min(max(sealed.attempt, 0), _MAX_INTEGER))


def limited_as(sealed: Sealed) -> str:
    """Return as what a record counts where so many are kept."""
    if sealed.keep_until:
        return ""
    return "success" if sealed.state == "success" else "failure"


def keys(sealed: Sealed) -> Sequence[str]:
    """Return what `key` returns of each of eight fields."""
    texts = (
        *(sealed.id, sealed.name, sealed.task, sealed.function),
        *(sealed.queue, sealed.group, sealed.server, sealed.handle),
    )
    together = "".join(texts)
    if len(together) <= MAX_LENGTH and together.isascii() and "\0" not in together:
        return texts  # one look instead of eight
    return [*map(key, texts)]


def key(text: str) -> str:
    """Return `text` as the database can keep and find it; nearly always that is `text`."""
    if len(text) > MAX_LENGTH:
        text = f"{text[:180]}...{sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"
    if text.isascii() and "\0" not in text:
        return text
    # PostgreSQL has no NUL, and no database takes half a surrogate pair.
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def moments(connection: BaseDatabaseWrapper) -> Callable[[float], Any]:
    """Return what makes a value for the database of a moment: with its time zone if it can."""
    zone, adapt = connection.timezone, connection.ops.adapt_datetimefield_value
    if connection.vendor == "sqlite":
        return _texts(zone)
    moment = datetime.fromtimestamp
    if connection.features.supports_timezones:
        return lambda seconds: adapt(moment(seconds, zone))
    return lambda seconds: adapt(moment(seconds, zone).replace(tzinfo=None))


def _texts(zone: tzinfo | None) -> Callable[[float], str]:
    """Return what writes a moment as SQLite keeps it, and works out each second only once."""

    @cache
    def second(whole: int) -> str:
        return str(datetime.fromtimestamp(whole, zone).replace(tzinfo=None))

    def text(seconds: float) -> str:
        whole = int(seconds // 1)
        microseconds = min(round((seconds - whole) * 1e6), 999_999)
        return f"{second(whole)}.{microseconds:06d}" if microseconds else second(whole)

    return text


def told(sealed: Sealed) -> str:
    """Return a record as one text."""
    fields = sealed._asdict()
    return json.dumps(fields | {name: fields[name].decode() for name in _BYTES})


def read(texts: Iterable[str]) -> list[Sealed]:
    """Return what `told` made these texts of."""
    fields = map(json.loads, texts)
    return [Sealed(**(each | {name: each[name].encode() for name in _BYTES})) for each in fields]


def _has_copy(connection: BaseDatabaseWrapper) -> bool:
    """Return whether this is PostgreSQL with psycopg 3, whose cursors have ``copy``."""
    if connection.vendor != "postgresql":
        return False
    from django.db.backends.postgresql.psycopg_any import is_psycopg3

    return bool(is_psycopg3)
