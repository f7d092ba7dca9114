"""The table of django-ztask, ``django_ztask_task``: jobs that wait, and those that have failed.

It is read as it is, without the models of django-ztask, which Python 3 cannot import.
"""

from __future__ import annotations

import pickle
from base64 import b64decode
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_OID, UUID, uuid5

from django.utils.dateparse import parse_datetime

from gearfleet.errors import GearfleetError
from gearfleet.tasks.failure import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.db.backends.base.base import BaseDatabaseWrapper

TABLE = "django_ztask_task"

_COLUMNS = (
    "uuid", "function_name", "args", "kwargs", "retry_count", "last_exception", "next_attempt",
    "created", "failed",
)  # fmt: skip

#: What a job may be sent with, by the names that Python 2 and 3 have for it.
_PLAIN = frozenset(
    {("datetime", name) for name in ("datetime", "date", "time", "timedelta", "timezone")}
    | {(builtins, name) for builtins in ("__builtin__", "builtins")
       for name in ("set", "frozenset", "object", "bytes", "bytearray")}
    | {("decimal", "Decimal"), ("uuid", "UUID"), ("_codecs", "encode"),
       ("copy_reg", "_reconstructor"), ("copyreg", "_reconstructor"),
       ("collections", "OrderedDict")}
)  # fmt: skip


class UnreadableArguments(GearfleetError):
    """The arguments of an old job cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OldJob:
    """One row; moments are seconds since the epoch, and 0 where there is none.

    Attributes:
        uuid: the primary key.
        function: dotted path of the function.
        pickled: args and kwargs, as they are in the row.
        attempts_left: how often django-ztask would try it again.
        last_exception: text of the last failure.
        next_attempt: before which it is not run.
        created: when it was submitted.
        failed: when it last failed.
    """

    uuid: str
    function: str
    pickled: tuple[str, str]
    attempts_left: int
    last_exception: str
    next_attempt: float
    created: float
    failed: float

    @property
    def id(self) -> str:
        """The id of the job that it becomes, which is the same each time."""
        try:
            return UUID(self.uuid).hex
        except ValueError:
            return uuid5(NAMESPACE_OID, self.uuid).hex

    @property
    def is_failure(self) -> bool:
        """Whether it failed for good."""
        return bool(self.failed) and self.attempts_left <= 0

    def arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return args and kwargs.

        Raises:
            UnreadableArguments: they are no pickles, or of what a job is not sent with.
        """
        args, kwargs = map(_unpickled, self.pickled)
        try:
            return tuple(args), {str(name): value for name, value in dict(kwargs).items()}
        except (TypeError, ValueError) as error:
            raise UnreadableArguments(f"they are {args!r} and {kwargs!r}") from error

    def failure(self) -> Failure:
        """Return why it failed."""
        lines = self.last_exception.strip().splitlines() or [""]
        kind, _, message = lines[-1].partition(": ")
        if lines[0].startswith("Traceback "):
            return Failure(type=kind, message=message, traceback=self.last_exception)
        return Failure(type="", message=self.last_exception)


def has_table(connection: BaseDatabaseWrapper) -> bool:
    """Return whether django-ztask has a table in this database."""
    return TABLE in connection.introspection.table_names()


def old_jobs(connection: BaseDatabaseWrapper) -> list[OldJob]:
    """Return all rows, the oldest first."""
    quote = connection.ops.quote_name
    columns = ", ".join(map(quote, _COLUMNS))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {columns} FROM {quote(TABLE)} ORDER BY {quote('created')}")
        return [_job(dict(zip(_COLUMNS, row, strict=True))) for row in cursor.fetchall()]


def forget(connection: BaseDatabaseWrapper, job: OldJob) -> None:
    """Delete the row of a job that is elsewhere now."""
    quote = connection.ops.quote_name
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {quote(TABLE)} WHERE {quote('uuid')} = %s", [job.uuid])


def _job(row: Mapping[str, Any]) -> OldJob:
    return OldJob(
        uuid=str(row["uuid"]),
        function=row["function_name"],
        pickled=(row["args"], row["kwargs"]),
        attempts_left=row["retry_count"] or 0,
        last_exception=row["last_exception"] or "",
        next_attempt=row["next_attempt"] or 0.0,
        created=_seconds(row["created"]),
        failed=_seconds(row["failed"]),
    )


def _seconds(value: datetime | str | None) -> float:
    """Return a moment of a row, which django-ztask writes in UTC and without a zone."""
    found = parse_datetime(value) if isinstance(value, str) else value
    if found is None:
        return 0.0
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _unpickled(text: str) -> Any:
    """Return what a pickle holds, if that is plain data; a fork wrote pickles in base64."""
    reasons = []
    for encoding in ("utf-8", "latin-1"):  # the texts of Python 2, and then its dates
        try:
            data = text.encode("latin-1") if text.endswith(".") else b64decode(text, validate=True)
            return _Plain(BytesIO(data), encoding=encoding).load()
        except Exception as error:  # a pickle that is damaged raises anything
            reasons.append(f"{error}" or type(error).__name__)
    raise UnreadableArguments(reasons[-1])


class _Plain(pickle.Unpickler):
    """Reads data and no code: whoever could write into the table shall not run what he likes."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _PLAIN:
            raise UnreadableArguments(f"they hold a {module}.{name}, which no job is sent with")
        return super().find_class(module, name)
