"""A store of schedules in one SQLite file, for the processes of one host.

What it has returned from outlives every process, and the power.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from gearfleet.errors import ScheduleStoreUnavailable
from gearfleet.schedule.model import Occurrence, Schedule
from gearfleet.schedule.texts import moment_of, plan_of, text_of, text_of_plan
from gearfleet.schedule.timing import Timing
from gearfleet.sqlitefile import SQLiteFile

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from gearfleet.schedule.model import Step

#: Seconds for which it is known that an occurrence was submitted: a clock that is put back,
#: or a schedule that is moved, does not bring it again.
KEPT = 30 * 86_400.0

_FIELDS = (
    "id", "name", "plan", "kind", "minutes", "cron", "zone", "start", "next_run", "repeats",
    "catch_up", "paused", "origin", "digest", "last_run", "last_job", "missed", "missed_at",
)  # fmt: skip
_LIST = ", ".join(_FIELDS)
_MARKS = ", ".join("?" * len(_FIELDS))
_CLAIM = "schedule, intended, name, job, plan, owner, lease_until"

_TABLES = f"""
CREATE TABLE schedules ({", ".join(f"{field} NOT NULL" for field in _FIELDS)},
  PRIMARY KEY (id), UNIQUE (name));
CREATE TABLE occurrences (schedule TEXT NOT NULL, intended TEXT NOT NULL, name NOT NULL,
  job NOT NULL, plan NOT NULL, owner NOT NULL, lease_until REAL NOT NULL,
  state TEXT NOT NULL DEFAULT 'claimed', failure TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (schedule, intended));
CREATE INDEX occurrences_claimed ON occurrences (lease_until) WHERE state = 'claimed';
PRAGMA user_version = 1;
"""


class SQLiteScheduleStore(SQLiteFile):
    """Keeps schedules in the file `path`, which is made when it is first used."""

    schema = 1
    tables = _TABLES
    noun = "store of schedules"
    unavailable = ScheduleStoreUnavailable
    #: A claim that is forgotten when the power goes would be made twice.
    synchronous = "FULL"

    def all(self) -> list[Schedule]:
        """Return every schedule, by name."""
        return self._select("1 ORDER BY name")

    def find(self, name: str) -> Schedule | None:
        """Return the schedule with this name, else the one with this id."""
        found = self._select("name = ?", name) or self._select("id = ?", name)
        return found[0] if found else None

    def due(self, now: datetime) -> list[Schedule]:
        """Return the active schedules whose next run is not after `now`, the earliest first."""
        return self._select(
            "repeats != 0 AND NOT paused AND next_run <= ? ORDER BY next_run", text_of(now)
        )

    def next_run(self) -> datetime | None:
        """Return the next run of all active schedules."""
        with self._reading() as connection:
            row = connection.execute(
                "SELECT min(next_run) FROM schedules WHERE repeats != 0 AND NOT paused"
            ).fetchone()
        return moment_of(row[0])

    def add(self, schedule: Schedule) -> bool:
        """Keep a new schedule; return False if there is one of this name."""
        return self._change(
            f"INSERT OR IGNORE INTO schedules ({_LIST}) VALUES ({_MARKS})", *_row(schedule)
        )

    def change(self, before: Schedule, after: Schedule) -> bool:
        """Put `after` in the place of `before`, if that is still as it was."""
        pairs = ", ".join(f"{field} = ?" for field in _FIELDS)
        return self._change(
            f"UPDATE schedules SET {pairs} WHERE id = ? AND next_run = ? AND repeats = ?",
            *_row(after),
            *(before.id, text_of(before.next_run), before.repeats),
        )

    def delete(self, schedules: Sequence[str]) -> int:
        """Delete the schedules with these ids; return how many."""
        with self._writing() as connection:
            rows = [(each,) for each in schedules]
            return connection.executemany("DELETE FROM schedules WHERE id = ?", rows).rowcount

    def claim(self, schedule: Schedule, step: Step, occurrence: Occurrence) -> bool:
        """Take `step` and keep its claimed occurrence, unless another scheduler did."""
        with self._writing() as connection:
            if not _take(connection, schedule, step, occurrence):
                return False
            return connection.execute(
                f"INSERT OR IGNORE INTO occurrences ({_CLAIM}) VALUES (?, ?, ?, ?, ?, ?, ?)",
                _claim_row(occurrence),
            ).rowcount == 1  # fmt: skip

    def take_over(self, owner: str, now: float, until: float) -> list[Occurrence]:
        """Claim the occurrences that nobody has submitted and whose lease has ended."""
        with self._writing() as connection:
            rows = connection.execute(
                f"SELECT {_CLAIM} FROM occurrences WHERE state = 'claimed' AND lease_until < ?"
                " ORDER BY intended",
                (now,),
            ).fetchall()
            connection.execute(
                "UPDATE occurrences SET owner = ?, lease_until = ?"
                " WHERE state = 'claimed' AND lease_until < ?",
                (owner, until, now),
            )
        return [replace(_occurrence(row), owner=owner, lease_until=until) for row in rows]

    def extend(self, occurrence: Occurrence, until: float) -> bool:
        """Make the lease of a claimed occurrence longer, unless another has taken it over."""
        return self._change(
            "UPDATE occurrences SET lease_until = ?"
            " WHERE schedule = ? AND intended = ? AND owner = ? AND state = 'claimed'",
            until,
            *_key(occurrence),
            occurrence.owner,
        )

    def settle(self, occurrence: Occurrence, failure: str = "") -> None:
        """Keep that the job of an occurrence was submitted, or why it never can be."""
        with self._writing() as connection:
            connection.execute(
                "UPDATE occurrences SET state = ?, failure = ? WHERE schedule = ? AND intended = ?",
                ("failed" if failure else "submitted", failure, *_key(occurrence)),
            )
            connection.execute(
                "DELETE FROM occurrences WHERE state != 'claimed' AND lease_until < ?",
                (occurrence.lease_until - KEPT,),
            )

    def note_run(self, schedule: str, intended: datetime, job: str) -> None:
        """Keep the last job of a schedule that was run by hand."""
        self._change(
            "UPDATE schedules SET last_run = ?, last_job = ? WHERE id = ?",
            *(text_of(intended), job, schedule),
        )

    def _select(self, where: str, *values: Any) -> list[Schedule]:
        with self._reading() as connection:
            rows = connection.execute(
                f"SELECT {_LIST} FROM schedules WHERE {where}", values
            ).fetchall()
        return [_schedule(row) for row in rows]

    def _change(self, statement: str, *values: Any) -> bool:
        with self._writing() as connection:
            return connection.execute(statement, values).rowcount == 1


def _take(
    connection: sqlite3.Connection, schedule: Schedule, step: Step, occurrence: Occurrence
) -> bool:
    """Compare the schedule with what the step was made for, and set what follows from it."""
    values = [
        *(text_of(step.start), text_of(step.next_run), step.repeats),
        *(text_of(step.intended), occurrence.job, step.missed, text_of(step.missed_until)),
        *(schedule.id, text_of(schedule.next_run), schedule.repeats),
    ]
    taken = connection.execute(
        "UPDATE schedules SET start = ?, next_run = ?, repeats = ?, last_run = ?, last_job = ?,"
        " missed = missed + ?, missed_at = coalesce(nullif(?, ''), missed_at)"
        " WHERE id = ? AND next_run = ? AND repeats = ? AND NOT paused",
        values,
    ).rowcount
    if taken and step.repeats == 0 and not schedule.is_kept:
        connection.execute("DELETE FROM schedules WHERE id = ?", (schedule.id,))
    return bool(taken)


def _row(schedule: Schedule) -> tuple[Any, ...]:
    timing = schedule.timing
    return (
        schedule.id, schedule.name, text_of_plan(schedule.plan),
        timing.kind, timing.minutes, timing.cron, timing.zone,
        text_of(schedule.start), text_of(schedule.next_run), schedule.repeats,
        schedule.catch_up, schedule.paused, schedule.origin, schedule.digest,
        text_of(schedule.last_run), schedule.last_job, schedule.missed, text_of(schedule.missed_at),
    )  # fmt: skip


def _schedule(row: Sequence[Any]) -> Schedule:
    told = dict(zip(_FIELDS, row, strict=True))
    timing = Timing(**{key: told.pop(key) for key in ("kind", "minutes", "cron", "zone")})
    moments = {
        key: moment_of(told.pop(key)) for key in ("start", "next_run", "last_run", "missed_at")
    }
    flags = {key: bool(told.pop(key)) for key in ("catch_up", "paused")}
    plan = plan_of(told.pop("plan"))
    values: dict[str, Any] = {**told, **moments, **flags}
    return Schedule(plan=plan, timing=timing, **values)


def _claim_row(occurrence: Occurrence) -> tuple[Any, ...]:
    return (
        *_key(occurrence), occurrence.name, occurrence.job, text_of_plan(occurrence.plan),
        occurrence.owner, occurrence.lease_until,
    )  # fmt: skip


def _key(occurrence: Occurrence) -> tuple[str, str]:
    return occurrence.schedule, text_of(occurrence.intended)


def _occurrence(row: Sequence[Any]) -> Occurrence:
    schedule, intended, name, job, plan, owner, lease_until = row
    return Occurrence(
        schedule=schedule,
        name=name,
        intended=datetime.fromisoformat(intended),
        job=job,
        plan=plan_of(plan),
        owner=owner,
        lease_until=lease_until,
    )
