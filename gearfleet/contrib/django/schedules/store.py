"""`DjangoScheduleStore`: schedules in a database of the project, for the schedulers of all hosts.

A claim is one transaction whose first statement writes, under conditions that only one
of many schedulers finds fulfilled: that holds in every database and on every level
of isolation that Django knows.

The work is done on the connection of the calling thread: what a view schedules within
a transaction is scheduled when that is committed.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.db import (
    DatabaseError,
    IntegrityError,
    InterfaceError,
    connections,
    router,
    transaction,
)
from django.db.models import F, Min

from gearfleet.contrib.django.results.migrated import missing_migrations
from gearfleet.contrib.django.schedules import rows
from gearfleet.contrib.django.schedules.models import Occurrence as OccurrenceRow
from gearfleet.contrib.django.schedules.models import Schedule as Row
from gearfleet.errors import ScheduleError, ScheduleStoreUnavailable
from gearfleet.schedule.sqlite import KEPT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from django.db.models import QuerySet

    from gearfleet.schedule import Occurrence, Schedule
    from gearfleet.schedule.model import Step

    T = TypeVar("T")

logger = logging.getLogger(__name__)


class DjangoScheduleStore:
    """Keeps schedules in the tables of the app, which ``manage.py migrate`` makes."""

    def __init__(self, alias: str = "") -> None:
        """Use the database `alias`; the one that the routers choose if that is empty."""
        self.alias = alias or router.db_for_write(Row)
        self._told: set[tuple[str, str]] = set()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.alias}>"

    def all(self) -> list[Schedule]:
        """Return every schedule, by name."""
        return self._readable(self._do(lambda: list(self._rows.order_by("name"))))

    def find(self, name: str) -> Schedule | None:
        """Return the schedule with this name, else the one with this id."""
        found = self._do(
            lambda: self._rows.filter(name=name).first() or self._rows.filter(uid=name).first()
        )
        return rows.schedule_of(found) if found else None

    def due(self, now: datetime) -> list[Schedule]:
        """Return the active schedules whose next run is not after `now`, the earliest first."""
        found = self._active.filter(next_run__lte=rows.stored(now)).order_by("next_run")
        return self._readable(self._do(lambda: list(found)))

    def next_run(self) -> datetime | None:
        """Return the next run of all active schedules."""
        found = self._do(lambda: self._active.aggregate(next=Min("next_run")))
        return rows.moment(found["next"])

    def add(self, schedule: Schedule) -> bool:
        """Keep a new schedule; return False if there is one of this name."""
        try:
            self._do(lambda: self._insert(Row(**rows.fields_of(schedule))))
        except IntegrityError:
            return False
        return True

    def change(self, before: Schedule, after: Schedule) -> bool:
        """Put `after` in the place of `before`, if that is still as it was."""
        fields = rows.fields_of(after)
        return self._do(lambda: self._as(before).update(**fields)) == 1

    def delete(self, schedules: Sequence[str]) -> int:
        """Delete the schedules with these ids; return how many."""
        return self._do(lambda: self._rows.filter(uid__in=list(schedules)).delete()[0])

    def claim(self, schedule: Schedule, step: Step, occurrence: Occurrence) -> bool:
        """Take `step` and keep its claimed occurrence, unless another scheduler did."""
        return self._do(lambda: self._claim(schedule, step, occurrence))

    def take_over(self, owner: str, now: float, until: float) -> list[Occurrence]:
        """Claim the occurrences that nobody has submitted and whose lease has ended."""
        left = self._occurrences.filter(state="claimed", lease_until__lt=now)
        found = self._do(lambda: list(left.order_by("intended")))
        return [
            rows.occurrence_of(row, owner, until)
            for row in found
            if self._do(lambda row=row: self._take(row, owner, until))  # type: ignore[misc]
        ]

    def extend(self, occurrence: Occurrence, until: float) -> bool:
        """Make the lease of a claimed occurrence longer, unless another has taken it over."""
        own = self._of(occurrence).filter(owner=occurrence.owner, state="claimed")
        return self._do(lambda: own.update(lease_until=until)) == 1

    def settle(self, occurrence: Occurrence, failure: str = "") -> None:
        """Keep that the job of an occurrence was submitted, or why it never can be."""
        state = "failed" if failure else "submitted"
        old = self._occurrences.filter(lease_until__lt=occurrence.lease_until - KEPT)
        self._do(lambda: self._of(occurrence).update(state=state, failure=failure))
        self._do(lambda: old.exclude(state="claimed").delete())

    def note_run(self, schedule: str, intended: datetime, job: str) -> None:
        """Keep the last job of a schedule that was run by hand."""
        row = self._rows.filter(uid=schedule)
        self._do(lambda: row.update(last_run=rows.stored(intended), task=job))

    def close(self) -> None:
        """Close the connection of this thread; the next use opens another."""
        if not connections[self.alias].in_atomic_block:
            connections[self.alias].close()

    @property
    def _rows(self) -> QuerySet[Row]:
        return Row.objects.using(self.alias)

    @property
    def _active(self) -> QuerySet[Row]:
        return self._rows.filter(paused=False).exclude(repeats=0)

    @property
    def _occurrences(self) -> QuerySet[OccurrenceRow]:
        return OccurrenceRow.objects.using(self.alias)

    def _as(self, schedule: Schedule) -> QuerySet[Row]:
        """Return the row of a schedule, if a scheduler has not changed it since."""
        found = self._rows.filter(uid=schedule.id, next_run=rows.stored(schedule.next_run))
        is_endless = schedule.repeats < 0
        return found.filter(
            **{"repeats__lt" if is_endless else "repeats": max(0, schedule.repeats)}
        )

    def _of(self, occurrence: Occurrence) -> QuerySet[OccurrenceRow]:
        intended = rows.stored(occurrence.intended)
        return self._occurrences.filter(schedule=occurrence.schedule, intended=intended)

    def _insert(self, row: Row | OccurrenceRow) -> None:
        with transaction.atomic(self.alias):
            row.save(using=self.alias, force_insert=True)

    def _claim(self, schedule: Schedule, step: Step, occurrence: Occurrence) -> bool:
        with transaction.atomic(self.alias):
            if not self._move(schedule, step, occurrence):
                return False
            try:
                self._insert(rows.row_of(occurrence))
            except IntegrityError:
                return False
            return True

    def _move(self, schedule: Schedule, step: Step, occurrence: Occurrence) -> bool:
        missed = {"missed": F("missed") + step.missed, "missed_at": rows.stored(step.missed_until)}
        moved = self._as(schedule).filter(paused=False).update(
            start=rows.stored(step.start),
            next_run=rows.stored(step.next_run),
            repeats=step.repeats,
            last_run=rows.stored(step.intended),
            task=occurrence.job,
            **(missed if step.missed else {}),
        )  # fmt: skip
        if moved and step.repeats == 0 and not schedule.is_kept:
            self._rows.filter(uid=schedule.id).delete()
        return bool(moved)

    def _take(self, row: OccurrenceRow, owner: str, until: float) -> bool:
        unchanged = self._occurrences.filter(
            pk=row.pk, state="claimed", owner=row.owner, lease_until=row.lease_until
        )
        return unchanged.update(owner=owner, lease_until=until) == 1

    def _readable(self, found: Iterable[Row]) -> list[Schedule]:
        """Return the schedules of rows; one that cannot be meant stops no other."""
        schedules = []
        for row in found:
            try:
                schedules.append(rows.schedule_of(row))
            except (ScheduleError, ValueError, TypeError) as error:
                self._tell(row, str(error))
        return schedules

    def _tell(self, row: Row, reason: str) -> None:
        if (row.uid, reason) not in self._told:
            self._told.add((row.uid, reason))
            logger.error(
                "Schedule '%s' is passed over: %s",
                *(row.name, reason),
                extra={"action": "schedule_unreadable", "schedule": row.name},
            )

    def _do(self, action: Callable[[], T]) -> T:
        connection = connections[self.alias]
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()
        try:
            return action()
        except IntegrityError:
            raise
        except (DatabaseError, InterfaceError, ImproperlyConfigured) as error:
            if not connection.in_atomic_block:
                connection.close()
            raise ScheduleStoreUnavailable(
                f"The schedules in Django's database '{self.alias}' cannot be used: "
                f"{self._remedy()}{' '.join(str(error).split())}"
            ) from error

    def _remedy(self) -> str:
        """Return what to do if the tables are not there."""
        try:
            missing = missing_migrations(self.alias)
        except (DatabaseError, InterfaceError, ImproperlyConfigured):
            return ""
        return f'run "manage.py migrate gearfleet", {", ".join(missing)} is not applied: ' * bool(
            missing
        )
