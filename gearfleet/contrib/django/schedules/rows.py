"""Between the rows of the tables and the values that schedulers work with."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.utils import timezone

from gearfleet.contrib.django.schedules import literals, models
from gearfleet.errors import ScheduleError, did_you_mean
from gearfleet.schedule import KINDS, Occurrence, Plan, Schedule
from gearfleet.schedule.api import KEPT
from gearfleet.schedule.texts import plan_of, text_of_plan

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Django Q's names for options of a job.
_Q_NAMES = {"task_name": "name"}


def moment(value: datetime | None) -> datetime | None:
    """Return a moment of the database in UTC; without USE_TZ it is in the time of the project."""
    if value is None:
        return None
    return (timezone.make_aware(value) if timezone.is_naive(value) else value).astimezone(UTC)


def stored(value: datetime | None) -> datetime | None:
    """Undo `moment`."""
    if value is None or settings.USE_TZ:
        return value
    return timezone.make_naive(value)


def schedule_of(row: models.Schedule) -> Schedule:
    """Return the schedule of a row, which a person may have written.

    Raises:
        ScheduleError: it cannot be meant.
    """
    following = moment(row.next_run)
    if following is None:
        raise ScheduleError("it has no next_run")
    origin: Any = row.origin
    return Schedule(
        id=row.uid,
        name=row.name,
        plan=_plan(row),
        timing=row.timing(),
        start=moment(row.start) or following,
        next_run=following,
        repeats=max(-1, row.repeats),
        catch_up=row.catch_up,
        paused=row.paused,
        origin=origin,
        digest=row.digest,
        last_run=moment(row.last_run),
        last_job=row.task or "",
        missed=row.missed,
        missed_at=moment(row.missed_at),
    )


def _plan(row: models.Schedule) -> Plan:
    kwargs = literals.read_kwargs(row.kwargs)
    told = json.loads(row.options or "{}")
    # Django Q gives text; who made the row by its model follows Django Q.
    as_text = told.pop("intended_as_text", True)
    given = {**told, **kwargs.pop("q_options", {}), **({"hook": row.hook} if row.hook else {})}
    return Plan(
        task=row.func,
        args=literals.read_args(row.args),
        kwargs=kwargs,
        options=_checked({_Q_NAMES.get(name, name): item for name, item in given.items()}),
        intended_date_kwarg=row.intended_date_kwarg or "",
        intended_as_text=bool(as_text),
        cluster=row.cluster or "",
    )


def _checked(options: Mapping[str, Any]) -> dict[str, Any]:
    for name in options.keys() - set(KEPT):
        raise ScheduleError(
            f"The option '{name}' cannot be kept with a schedule {did_you_mean(name, KEPT)}"
        )
    return dict(options)


def fields_of(schedule: Schedule) -> dict[str, Any]:
    """Return the fields of the row of a schedule."""
    plan, timing = schedule.plan, schedule.timing
    options = {**plan.options, "intended_as_text": plan.intended_as_text}
    hook = options.pop("hook", "")
    return {
        "uid": schedule.id,
        "name": schedule.name,
        "func": plan.task,
        "hook": hook or None,
        "args": literals.write(tuple(plan.args)) or None,
        "kwargs": literals.write(dict(plan.kwargs)) or None,
        "schedule_type": KINDS[timing.kind],
        "minutes": timing.minutes or None,
        "cron": timing.cron or None,
        "repeats": schedule.repeats,
        "next_run": stored(schedule.next_run),
        "task": schedule.last_job or None,
        "intended_date_kwarg": plan.intended_date_kwarg or None,
        "cluster": plan.cluster or None,
        "time_zone": timing.zone,
        "catch_up": schedule.catch_up,
        "paused": schedule.paused,
        "origin": schedule.origin,
        "digest": schedule.digest,
        "options": json.dumps(options),
        "start": stored(schedule.start),
        "last_run": stored(schedule.last_run),
        "missed": schedule.missed,
        "missed_at": stored(schedule.missed_at),
    }


def row_of(occurrence: Occurrence) -> models.Occurrence:
    """Return the row of an occurrence, not kept yet."""
    return models.Occurrence(
        schedule=occurrence.schedule,
        intended=stored(occurrence.intended),
        name=occurrence.name,
        job=occurrence.job,
        plan=text_of_plan(occurrence.plan),
        owner=occurrence.owner,
        lease_until=occurrence.lease_until,
    )


def occurrence_of(row: models.Occurrence, owner: str, until: float) -> Occurrence:
    """Return the occurrence of a row, as `owner` has claimed it."""
    found = Occurrence(
        schedule=row.schedule,
        name=row.name,
        intended=row.intended,
        job=row.job,
        plan=plan_of(row.plan),
        owner=owner,
        lease_until=until,
    )
    return replace(found, intended=moment(row.intended) or row.intended)
