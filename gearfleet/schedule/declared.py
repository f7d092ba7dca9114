"""Schedules that code and settings declare, and how a store is brought to them; no I/O here."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from gearfleet.errors import ConfigError, PayloadEncodeError, ScheduleError, did_you_mean
from gearfleet.schedule.model import Plan, Schedule
from gearfleet.schedule.timing import occurrence_after, timing
from gearfleet.tasks.payload import encode_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from gearfleet.config import Settings
    from gearfleet.schedule.model import Origin
    from gearfleet.schedule.timing import Timing
    from gearfleet.tasks import Registry, Task

#: The keys of ``[schedules.NAME]``, with the Python types of their values.
KEYS: Mapping[str, tuple[type, ...]] = {
    "task": (str,),
    "schedule_type": (str,),
    "minutes": (int,),
    "cron": (str,),
    "start": (datetime, time),
    "time_zone": (str,),
    "args": (list, tuple),
    "kwargs": (dict,),
    "repeats": (int,),
    "catch_up": (bool,),
    "intended_date_kwarg": (str,),
}

#: Where schedules begin that do not say: a Monday, the first of a month and of a year.
_BEGINNING = datetime(2024, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What brings a store to the declarations.

    Attributes:
        add: schedules that it does not have.
        update: pairs of what it has and what is to be.
        remove: schedules that nothing declares any more.
    """

    add: tuple[Schedule, ...] = ()
    update: tuple[tuple[Schedule, Schedule], ...] = ()
    remove: tuple[Schedule, ...] = ()


def declared(settings: Settings, registry: Registry, now: datetime) -> tuple[Schedule, ...]:
    """Return the schedules that `settings` and the tasks of `registry` declare.

    Raises:
        ConfigError: one cannot be meant, two have one name, or a task does not exist.
    """
    found: dict[str, Schedule] = {}
    for each in _declarations(settings, registry):
        if each.name in found:
            raise ConfigError(
                f"{each.place}: there is another schedule called '{each.name}'; rename one"
            )
        try:
            found[each.name] = _schedule(each, settings, registry, now)
        except (ScheduleError, PayloadEncodeError) as error:
            raise ConfigError(f"{each.place}: {error}") from error
    return tuple(found.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Declaration:
    """What is written somewhere of a schedule."""

    name: str
    table: Mapping[str, Any]
    origin: Origin
    place: str


def _declarations(settings: Settings, registry: Registry) -> Iterator[_Declaration]:
    for name, table in settings.schedules.items():
        place = f"{settings.origin}: Setting 'schedules.{name}'"
        yield _Declaration(name=name, table=table, origin="settings", place=place)
    for task in registry.tasks:
        for name, table in task.periodics:
            place = f"{task.place}: @periodic"
            yield _Declaration(name=name, table=table, origin="code", place=place)


def _check(table: Mapping[str, Any]) -> None:
    for key, value in table.items():
        if key not in KEYS:
            raise ScheduleError(f"Unknown key '{key}' {did_you_mean(key, KEYS)}")
        is_bool = isinstance(value, bool)
        if not isinstance(value, KEYS[key]) or (is_bool and bool not in KEYS[key]):
            kinds = " or ".join(kind.__name__ for kind in KEYS[key])
            raise ScheduleError(f"{key} must be of type {kinds}; it is {value!r}")
    repeats = table.get("repeats", -1)
    if repeats != -1 and repeats < 1:
        raise ScheduleError(f"repeats must be 1 or more, or -1 for any number; it is {repeats}")


def _task(table: Mapping[str, Any], registry: Registry) -> Task[Any, Any]:
    name = table.get("task", "")
    for task in registry.tasks:
        if task.name == name:
            return task
    known = [task.name for task in registry.tasks]
    raise ScheduleError(f"Unknown task '{name}' {did_you_mean(name, known)}")


def _timing(table: Mapping[str, Any], zone: str) -> Timing:
    if not table.keys() & {"schedule_type", "minutes", "cron"}:
        raise ScheduleError("it needs schedule_type, minutes or cron")
    return timing(
        table.get("schedule_type"),
        minutes=table.get("minutes"),
        cron=table.get("cron"),
        zone=zone,
    )


def _schedule(
    written: _Declaration, settings: Settings, registry: Registry, now: datetime
) -> Schedule:
    table = written.table
    _check(table)
    timing = _timing(table, table.get("time_zone", settings.time_zone))
    start = _start(table.get("start"), timing)
    following = occurrence_after(timing, start, now)
    told = {key: table[key] for key in sorted(table)}
    return Schedule(
        # The same in each store: two schedulers with files of their own, which should
        # not be, submit jobs of one id.
        id=_digest(f"{written.origin} {written.name}".encode()),
        name=written.name,
        plan=_plan(table, registry),
        timing=timing,
        start=start,
        next_run=following or start,
        # What was over before anybody knew of it is not run.
        repeats=table.get("repeats", -1) if following else 0,
        catch_up=table.get("catch_up", False),
        origin=written.origin,
        digest=_digest(encode_value([told, timing.zone])),
    )


def _plan(table: Mapping[str, Any], registry: Registry) -> Plan:
    return Plan(
        task=_task(table, registry).name,
        args=tuple(table.get("args", ())),
        kwargs=dict(table.get("kwargs", {})),
        intended_date_kwarg=table.get("intended_date_kwarg", ""),
    )


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _start(given: datetime | time | None, timing: Timing) -> datetime:
    """Return the first occurrence that is meant: of a time of day, on the first day of all."""
    if given is None and timing.kind == "once":
        raise ScheduleError("a schedule of type once needs start, the moment of its job")
    if isinstance(given, time):
        given = datetime.combine(_BEGINNING, given)
    moment = given or _BEGINNING
    return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(timing.zone))).astimezone(
        UTC
    )


def changes(declared: Iterable[Schedule], known: Iterable[Schedule]) -> Changes:
    """Return what brings a store that has `known` to what is `declared`.

    A schedule keeps whether it is paused, and its history. When it comes next is
    worked out anew only where its declaration has changed.

    Raises:
        ConfigError: one has the name of a schedule that was made by a call.
    """
    has = {each.name: each for each in known}
    wanted = {each.name: each for each in declared}
    for name in wanted.keys() & has.keys():
        if has[name].origin == "made":
            raise ConfigError(
                f"Schedule '{name}' is declared in {wanted[name].origin}, and one of this name "
                "was made by a call; rename one, or: gearfleet schedule delete"
            )
    return Changes(
        add=tuple(each for name, each in wanted.items() if name not in has),
        update=tuple(
            (has[name], _updated(has[name], each))
            for name, each in wanted.items()
            if name in has and has[name].digest != each.digest
        ),
        remove=tuple(
            each for each in has.values() if each.origin != "made" and each.name not in wanted
        ),
    )


def _updated(before: Schedule, after: Schedule) -> Schedule:
    return replace(
        after,
        id=before.id,
        paused=before.paused,
        last_run=before.last_run,
        last_job=before.last_job,
        missed=before.missed,
        missed_at=before.missed_at,
    )
