"""Records as rows, written as fast as the database takes them.

The models' `bulk_create` takes 120 microseconds for a record, which is as long as
the whole job may take; rows for SQLite and for PostgreSQL's COPY take about 20.
"""

from __future__ import annotations

import json
from datetime import datetime
from hashlib import sha256
from itertools import chain
from typing import TYPE_CHECKING, Any

from gearfleet.contrib.django.models import MAX_LENGTH, Record
from gearfleet.results import Sealed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from django.db.backends.base.base import BaseDatabaseWrapper

_COLUMNS = tuple(
    str(field.column) for field in Record._meta.concrete_fields if not field.primary_key
)

#: Fields of `Sealed` that are bytes.
_BYTES = ("arguments", "result", "failure")

#: Rows of one statement in SQLite. Python's sqlite3 lets go of the interpreter at each
#: statement, and may wait 5 ms until the thread that runs tasks gives it back: `executemany`
#: of 1,600 rows took 1.2 s beside a busy thread. An old SQLite takes 999 values.
CHUNK = 999 // len(_COLUMNS)

#: Of PositiveIntegerField in every database.
_MAX_INTEGER = 2**31 - 1


def insert(connection: BaseDatabaseWrapper, sealed: Sequence[Sealed]) -> None:
    """Write new rows; one whose job is there already is an IntegrityError."""
    rows = [row(each, connection) for each in sealed]
    if len(rows) > 1 and connection.vendor == "sqlite":
        _insert_chunks(connection, rows)
    elif len(rows) > 1 and _has_copy(connection):
        _copy(connection, rows)
    else:
        statement = _statement(connection, _marks("%s"))
        with connection.cursor() as cursor:
            if len(rows) == 1:
                cursor.execute(statement, rows[0])
            else:
                cursor.executemany(statement, rows)


def _insert_chunks(connection: BaseDatabaseWrapper, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write rows with few statements; not by Django's cursor, which looks for each ``%s``."""
    connection.ensure_connection()
    for begin in range(0, len(rows), CHUNK):
        chunk = rows[begin : begin + CHUNK]
        statement = _statement(connection, ", ".join([_marks("?")] * len(chunk)))
        with connection.wrap_database_errors:
            connection.connection.execute(statement, [*chain.from_iterable(chunk)])


def _copy(connection: BaseDatabaseWrapper, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write rows by PostgreSQL's COPY."""
    with connection.cursor() as cursor:
        copying = cursor.copy(_statement(connection))
        with connection.wrap_database_errors, copying as copy:
            for each in rows:
                copy.write_row(each)


def _statement(connection: BaseDatabaseWrapper, values: str = "") -> str:
    """Return the INSERT of these values, or the COPY of what follows."""
    quote = connection.ops.quote_name
    target = f"{quote(Record._meta.db_table)} ({', '.join(map(quote, _COLUMNS))})"
    return f"INSERT INTO {target} VALUES {values}" if values else f"COPY {target} FROM STDIN"


def _marks(mark: str) -> str:
    return f"({', '.join([mark] * len(_COLUMNS))})"


def row(sealed: Sealed, connection: BaseDatabaseWrapper) -> tuple[Any, ...]:
    """Return the values of the columns."""
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
        connection.ops.adapt_datetimefield_value(moment(sealed.stopped, connection)),
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


def moment(seconds: float, connection: BaseDatabaseWrapper) -> datetime:
    """Return a moment as the database keeps them: with its time zone if it can."""
    found = datetime.fromtimestamp(seconds, connection.timezone)  # None if the project has none
    return found if connection.features.supports_timezones else found.replace(tzinfo=None)


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
