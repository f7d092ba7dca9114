"""`DjangoStore`: a result store in a database of the Django project."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, DataError, InterfaceError, connections, router
from django.db.models import Count, F, Min, Q, Sum

from gearfleet.contrib.django.models import Part as PartRow
from gearfleet.contrib.django.models import Record
from gearfleet.contrib.django.results import rows, writing
from gearfleet.contrib.django.results.desk import Desk
from gearfleet.contrib.django.results.migrated import missing_migrations
from gearfleet.errors import ConfigError, ResultStoreUnavailable
from gearfleet.results import Kept, Retention, Sealed, Tally, TaskRecord, seal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from django.db.models import QuerySet

    from gearfleet.results import Part

    T = TypeVar("T")

#: Seconds between two looks for records that were kept for a time; nobody sees them meanwhile.
SWEEP_EVERY = 1.0


class DjangoStore:
    """Keeps records in the tables of the app, which ``manage.py migrate`` makes."""

    #: `save` drops at once what is too much of a batch, so that need not be made.
    keeps_newest = True

    def __init__(
        self,
        retention: Retention | None = None,
        *,
        alias: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Use the database `alias`; the one that the routers choose if that is empty.

        Raises:
            ConfigError: the project has none of this name.
        """
        self.retention = retention or Retention()
        self.alias = alias or router.db_for_write(Record)
        self._clock = clock
        self._desk = Desk(self.alias)
        self._swept = 0.0
        known = [name for name, one in connections.settings.items() if _is_real(one["ENGINE"])]
        if self.alias not in known:
            raise ConfigError(
                f"Setting 'results': '{self.alias}' is no database of Django's DATABASES "
                f"(known: {', '.join(known) or 'none'})"
            )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.alias}>"

    def save(self, records: Iterable[TaskRecord | Sealed]) -> None:
        """Keep `records`, all or none; see `ResultStore.save`."""
        sealed = [each if isinstance(each, Sealed) else seal(each) for each in records]
        saved = self.retention.newest(sealed)  # a burst is longer than what is kept of it
        if saved:
            self._do(lambda: self._save(saved))

    def get(self, job: str) -> TaskRecord | None:
        """Return the record with this id, else the newest of this name."""
        named = rows.key(job)

        def look() -> Record | None:
            by_name = self._kept.filter(name=named).order_by("-seq")
            return self._kept.filter(job=named).first() or by_name.first()

        found = self._do(look)
        return found.record() if found else None

    def group(self, group: str) -> list[TaskRecord]:
        """Return the records of a group, in the order in which the jobs began."""
        found = self._do(lambda: list(self._of(group).order_by("started", "seq")))
        return [each.record() for each in found]

    def count_group(self, group: str, *, failures: bool | None = None) -> int:
        """Count the records of a group."""
        found = self._of(group)
        if failures is not None:
            found = found.exclude(state="success") if failures else found.filter(state="success")
        return self._do(found.count)

    def delete_group(self, group: str) -> int:
        """Delete the records of a group; return how many."""
        return self._do(lambda: self._of(group).delete()[0])

    def ungroup(self, group: str) -> int:
        """Take the records of a group out of it; return how many."""
        return self._do(lambda: self._of(group).update(group=""))

    def delete(self, jobs: Iterable[str]) -> int:
        """Delete the records with these ids; return how many."""
        keys = [rows.key(job) for job in jobs]
        return self._do(lambda: writing.delete(self._all, keys))

    def failures(self, *, limit: int = 100, task: str | None = None) -> list[TaskRecord]:
        """Return the newest records of jobs that failed or expired."""
        found = self._all.filter(limited_as="failure", state__in=("failure", "expired"))
        if task is not None:
            found = found.filter(task=rows.key(task))
        newest = self._do(lambda: list(found.order_by("-seq")[:limit]))
        return [each.record() for each in newest]

    def collect(self, part: Part) -> list[TaskRecord] | None:
        """Keep a part; return all of them in order when the last one has come."""
        texts = self._do(lambda: self._collect(part))
        return None if texts is None else [each.record() for each in rows.read(texts)]

    def drop_parts(self, whole: str) -> None:
        """Drop the parts of a list that has been kept."""
        self._do(lambda: self._parts(whole).delete())

    def tally(self, since: float) -> list[Tally]:
        """Count the records of jobs that ended at `since` or later, by task and state."""
        begun = Q(enqueued_at__gt=0.0, started__gt=0.0)
        counted = self._kept.filter(stopped__gte=since).values("task", "state").annotate(
            jobs=Count("seq"),
            seconds=Sum(F("stopped") - F("started"), filter=Q(started__gt=0.0), default=0.0),
            begun=Count("seq", filter=begun),
            waited=Sum(F("started") - F("enqueued_at"), filter=begun, default=0.0),
        )  # fmt: skip
        return [Tally(**row) for row in self._do(lambda: list(counted.order_by("task", "state")))]

    def kept(self) -> Kept:
        """Count the records that the limits apply to."""
        successes, others = Q(limited_as="success"), Q(limited_as="failure")
        counted = self._do(
            lambda: self._all.aggregate(
                successes=Count("seq", filter=successes),
                first_success=Min("stopped", filter=successes, default=0.0),
                others=Count("seq", filter=others),
                first_other=Min("stopped", filter=others, default=0.0),
            )
        )
        return Kept(**counted)

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        self._desk.close()

    @property
    def _all(self) -> QuerySet[Record]:
        return Record.objects.using(self.alias)

    @property
    def _kept(self) -> QuerySet[Record]:
        # A record that is kept for a time only is gone when it is over, deleted or not.
        return self._all.filter(Q(keep_until=0.0) | Q(keep_until__gt=self._clock()))

    def _of(self, group: str) -> QuerySet[Record]:
        return self._kept.filter(group=rows.key(group)) if group else self._all.none()

    def _parts(self, whole: str) -> QuerySet[PartRow]:
        return PartRow.objects.using(self.alias).filter(whole=rows.key(whole))

    def _save(self, saved: list[Sealed]) -> None:
        writing.write(self._all, saved)
        # After the commit: of workers that write at the same time, the last sees all.
        writing.prune(self._all, saved, self.retention)
        self._sweep(self._clock())

    def _sweep(self, now: float) -> None:
        """Delete what was kept for a time that is over."""
        if abs(now - self._swept) >= SWEEP_EVERY:
            self._all.filter(keep_until__gt=0.0, keep_until__lte=now).delete()
            self._swept = now

    def _collect(self, part: Part) -> list[str] | None:
        parts = self._parts(part.whole)
        writing.put_part(parts, part)
        # After the commit: of two that come last, one at least sees both.
        if self._all.filter(job=rows.key(part.whole)).exists():
            parts.delete()  # one that ran again after the list was made
            return None
        if parts.count() < part.count:
            return None
        return list(parts.order_by("place").values_list("sealed", flat=True))

    def _do(self, action: Callable[[], T]) -> T:
        try:
            return self._desk.do(action)
        except DataError:
            raise  # of this record, not of the store: it will be refused again
        except (DatabaseError, InterfaceError, ImproperlyConfigured) as error:
            raise ResultStoreUnavailable(
                f"The results in Django's database '{self.alias}' cannot be used: "
                f"{self._remedy()}{' '.join(str(error).split())}"
            ) from error

    def _remedy(self) -> str:
        """Return what to do if the tables are not there, or not as this gearfleet wants them."""
        try:
            missing = self._desk.do(lambda: missing_migrations(self.alias))
        except (DatabaseError, InterfaceError, ImproperlyConfigured):
            return ""
        if not missing:
            return ""
        option = "" if self.alias == "default" else f" --database {self.alias}"
        return (
            f'run "manage.py migrate gearfleet{option}", {", ".join(missing)} is not applied '
            "(or set GEARFLEET's RESULTS to another store): "
        )


def _is_real(engine: str) -> bool:
    return engine != "django.db.backends.dummy"
