"""When a schedule is due: pure functions over moments, no clock and no I/O.

A moment is an aware datetime in UTC. The kinds fall into three families, which
meet daylight saving time differently:

    minutes, hourly              so much time after the last one, whatever the clock on the wall
    daily ... yearly             the same time on the wall of the schedule's zone
    cron                         as Debian's cron: see `cronsim`

A time on the wall that does not exist, because clocks are put forward, is as much
later as they are put; one that exists twice is its first. All occurrences are
counted from the first: so a schedule of the 31st, or of 02:30, is back there after
a shorter month or a night without that time.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import count
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from gearfleet.errors import ScheduleError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The kinds of schedules, each with Django Q's letters for it.
KINDS = {
    "once": "O", "minutes": "I", "hourly": "H", "daily": "D", "weekly": "W", "biweekly": "BW",
    "monthly": "M", "bimonthly": "BM", "quarterly": "Q", "yearly": "Y", "cron": "C",
}  # fmt: skip

_DAYS = {"daily": 1, "weekly": 7, "biweekly": 14}
_MONTHS = {"monthly": 1, "bimonthly": 2, "quarterly": 3, "yearly": 12}
_BY_LETTER = {letter: kind for kind, letter in KINDS.items()}
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How the occurrences of a schedule follow each other.

    Attributes:
        kind: one of `KINDS`.
        minutes: between two, if the kind is ``minutes``.
        cron: the expression, of five fields or six with seconds first, if it is ``cron``.
        zone: in whose time days begin.
    """

    kind: str
    minutes: int = 0
    cron: str = ""
    zone: str = "UTC"

    def __str__(self) -> str:
        if self.kind == "cron":
            return f"cron {self.cron} ({self.zone})"
        if self.kind == "minutes":
            return f"every {self.minutes} minutes" if self.minutes > 1 else "every minute"
        return f"{self.kind} ({self.zone})" if self.kind in (*_DAYS, *_MONTHS) else self.kind


def timing(
    schedule_type: str | None = None,
    *,
    minutes: int | None = None,
    cron: str | None = None,
    zone: str = "UTC",
) -> Timing:
    """Return the timing that is meant: a kind or Django Q's letter, or what `minutes` or `cron` say.

    Raises:
        ScheduleError: an unknown kind or zone, a bad expression, or they contradict each other.
    """
    kind = _kind(schedule_type, minutes, cron)
    if (kind == "cron") != bool(cron):
        raise ScheduleError("A schedule of type cron, and no other, takes cron='* * * * *'")
    if (kind == "minutes") != (minutes is not None):
        raise ScheduleError("A schedule of type minutes, and no other, takes minutes=N")
    if minutes is not None and (type(minutes) is not int or minutes < 1):
        raise ScheduleError(f"minutes must be a whole number, 1 or more; it is {minutes!r}")
    made = Timing(kind=kind, minutes=minutes or 0, cron=cron or "", zone=zone)
    zone_of(made)
    if cron:
        _check_cron(made)
    return made


def _kind(given: str | None, minutes: int | None, cron: str | None) -> str:
    if given is None:
        return "cron" if cron else "minutes" if minutes is not None else "once"
    kind = _BY_LETTER.get(given, given)
    if kind not in KINDS:
        raise ScheduleError(f"Unknown type of schedule {given!r} {did_you_mean(str(given), KINDS)}")
    return kind


def zone_of(timing: Timing) -> tzinfo:
    """Return the time zone of `timing`, or raise `ScheduleError` if there is none of the name."""
    try:
        return ZoneInfo(timing.zone)
    except (KeyError, ValueError, OSError, TypeError):
        raise ScheduleError(
            f"Unknown time zone {timing.zone!r}; write a name such as 'UTC' or 'Europe/Berlin'"
        ) from None


def occurrence_after(timing: Timing, start: datetime, moment: datetime) -> datetime | None:
    """Return the first occurrence after `moment`; None if there is none.

    Args:
        timing: of the schedule.
        start: its first occurrence, from which the others are counted; a cron
            expression has its own, and `start` only says from when on.
        moment: that it must be later than.
    """
    if timing.kind == "cron":
        return _cron_after(timing, max(moment, start - _TICK))
    if moment < start:
        return start
    if timing.kind == "once":
        return None
    if timing.kind in ("minutes", "hourly"):
        step = timedelta(minutes=timing.minutes or 60)
        return start + ((moment - start) // step + 1) * step
    return next(each for each in _on_the_wall(timing, start, moment) if each > moment)


def occurrences(timing: Timing, first: datetime, start: datetime) -> Iterator[datetime]:
    """Yield `first`, and the occurrences after it."""
    found: datetime | None = first
    while found is not None:
        yield found
        found = occurrence_after(timing, start, found)


def latest_until(timing: Timing, first: datetime, start: datetime, moment: datetime) -> datetime:
    """Return the last occurrence from `first` on that is not after `moment`, which `first` is not.

    There may be millions in between, so it looks back farther and farther.
    """
    back = timedelta(seconds=1)
    latest = first
    while moment - back > first:
        found = occurrence_after(timing, start, moment - back)
        if found is not None and found <= moment:
            latest = found
            break
        back *= 2
    for each in occurrences(timing, latest, start):
        if each > moment:
            break
        latest = each
    return latest


def _on_the_wall(timing: Timing, start: datetime, moment: datetime) -> Iterator[datetime]:
    """Yield occurrences in their order, from one that is not after `moment` on."""
    zone = zone_of(timing)
    first, now = (each.astimezone(zone).replace(tzinfo=None) for each in (start, moment))
    if timing.kind in _DAYS:
        size, passed = _DAYS[timing.kind], (now.date() - first.date()).days
    else:
        size, passed = _MONTHS[timing.kind], _months(now) - _months(first)
    for number in count(max(0, passed // size - 1)):
        if number == 0:
            yield start  # it may be the second of two that show the same on the wall
            continue
        far = number * size
        wall = first + timedelta(days=far) if timing.kind in _DAYS else _months_later(first, far)
        yield wall.replace(tzinfo=zone, fold=0).astimezone(UTC)


def _months(moment: datetime) -> int:
    return moment.year * 12 + moment.month - 1


def _months_later(moment: datetime, months: int) -> datetime:
    """Return the same day of a later month, or its last day."""
    year, month = divmod(_months(moment) + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return moment.replace(year=year, month=month + 1, day=min(moment.day, last))


def _cron_after(timing: Timing, moment: datetime) -> datetime | None:
    from cronsim import CronSim  # an extra

    # In the hour that comes twice, cronsim begins with the first of the two.
    for each in CronSim(timing.cron, moment.astimezone(zone_of(timing))):
        found = each.astimezone(UTC)
        if found > moment:
            return found
    return None


def _check_cron(timing: Timing) -> None:
    try:
        from cronsim import CronSimError
    except ImportError as error:
        raise ScheduleError(
            "Schedules with cron expressions need one more package: pip install 'gearfleet[cron]'"
        ) from error
    try:
        found = _cron_after(timing, datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        raise ScheduleError(
            f"cron {timing.cron!r} is no expression that cron knows ({error}); its fields are "
            "minute, hour, day, month and day of the week"
        ) from error
    if found is None:
        raise ScheduleError(f"cron {timing.cron!r} never happens")
