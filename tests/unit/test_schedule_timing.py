"""When schedules are due: over both changes of a year, in three zones, and as properties."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gearfleet.errors import ScheduleError
from gearfleet.schedule.timing import (
    KINDS,
    Timing,
    latest_until,
    occurrence_after,
    occurrences,
    timing,
)

#: Of the north, of the south, and one whose clocks move by half an hour.
ZONES = ("Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe")

moments = st.datetimes(datetime(2015, 1, 1), datetime(2035, 1, 1)).map(
    lambda each: each.replace(tzinfo=UTC)
)
timings = st.builds(
    lambda kind, minutes, zone: Timing(
        kind=kind, minutes=minutes if kind == "minutes" else 0, zone=zone
    ),
    st.sampled_from([kind for kind in KINDS if kind not in ("once", "cron")]),
    st.integers(1, 10_000),
    st.sampled_from([*ZONES, "UTC", "Pacific/Apia", "Asia/Kathmandu", "America/New_York"]),
)
crons = st.sampled_from(
    ["* * * * *", "*/7 * * * *", "30 2 * * *", "0 0 1 * *", "15 */3 * * 1-5", "0 3 31 * *"]
)
some_timing = timings | st.builds(
    lambda cron, zone: Timing(kind="cron", cron=cron, zone=zone), crons, st.sampled_from(ZONES)
)


def at(zone: str, *when: int, fold: int = 0) -> datetime:
    return datetime(*when, tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)  # type: ignore[arg-type]


def following(made: Timing, start: datetime, count: int) -> list[str]:
    """Return the next occurrences as the clock on the wall shows them."""
    zone = ZoneInfo(made.zone)
    found = islice(occurrences(made, start, start), 1, count + 1)
    return [each.astimezone(zone).strftime("%d %H:%M %z") for each in found]


# Clocks forward: 02:30 does not exist, and is as much later as they are put.


def test_daily__a_time_that_does_not_exist__berlin() -> None:
    made = timing("daily", zone="Europe/Berlin")
    assert following(made, at("Europe/Berlin", 2026, 3, 27, 2, 30), 4) == [
        "28 02:30 +0100",
        "29 03:30 +0200",
        "30 02:30 +0200",
        "31 02:30 +0200",
    ]


def test_daily__a_time_that_does_not_exist__new_york() -> None:
    made = timing("daily", zone="America/New_York")
    assert following(made, at("America/New_York", 2026, 3, 6, 2, 30), 3) == [
        "07 02:30 -0500",
        "08 03:30 -0400",
        "09 02:30 -0400",
    ]


def test_daily__a_time_that_does_not_exist__lord_howe() -> None:
    made = timing("daily", zone="Australia/Lord_Howe")
    assert following(made, at("Australia/Lord_Howe", 2026, 10, 2, 2, 15), 3) == [
        "03 02:15 +1030",
        "04 02:45 +1100",
        "05 02:15 +1100",
    ]


# Clocks back: a time that exists twice is its first.


def test_daily__a_time_that_exists_twice__berlin() -> None:
    made = timing("daily", zone="Europe/Berlin")
    assert following(made, at("Europe/Berlin", 2026, 10, 23, 2, 30), 3) == [
        "24 02:30 +0200",
        "25 02:30 +0200",
        "26 02:30 +0100",
    ]


def test_daily__a_time_that_exists_twice__new_york() -> None:
    made = timing("daily", zone="America/New_York")
    assert following(made, at("America/New_York", 2026, 10, 31, 1, 30), 2) == [
        "01 01:30 -0400",
        "02 01:30 -0500",
    ]


def test_daily__a_time_that_exists_twice__lord_howe() -> None:
    made = timing("daily", zone="Australia/Lord_Howe")
    assert following(made, at("Australia/Lord_Howe", 2026, 4, 3, 1, 45), 3) == [
        "04 01:45 +1100",
        "05 01:45 +1100",
        "06 01:45 +1030",
    ]


def test_daily__that_starts_at_the_second_of_two() -> None:
    made = timing("daily", zone="Europe/Berlin")
    start = at("Europe/Berlin", 2026, 10, 25, 2, 30, fold=1)
    assert occurrence_after(made, start, start - timedelta(seconds=1)) == start
    assert following(made, start, 1) == ["26 02:30 +0100"]


@pytest.mark.parametrize("month", [3, 10])
def test_hourly__every_hour_of_the_nights_of_change(month: int) -> None:
    start = at("Europe/Berlin", 2026, month, 28 if month == 3 else 24, 22, 0)
    found = list(islice(occurrences(timing("hourly", zone="Europe/Berlin"), start, start), 8))
    assert {after - before for before, after in pairwise(found)} == {timedelta(hours=1)}


def test_cron__nights_of_change() -> None:
    nightly = timing(cron="30 2 * * *", zone="Europe/Berlin")
    assert following(nightly, at("Europe/Berlin", 2026, 3, 28, 0, 0), 3) == [
        "28 02:30 +0100",
        "29 03:00 +0200",
        "30 02:30 +0200",
    ]
    assert following(nightly, at("Europe/Berlin", 2026, 10, 25, 0, 0), 2) == [
        "25 02:30 +0200",
        "26 02:30 +0100",
    ]
    often = timing(cron="*/30 * * * *", zone="Europe/Berlin")
    assert following(often, at("Europe/Berlin", 2026, 10, 25, 2, 0), 4) == [
        "25 02:30 +0200",
        "25 02:00 +0100",
        "25 02:30 +0100",
        "25 03:00 +0100",
    ]


def test_monthly__the_31st_is_the_last_day_and_comes_back() -> None:
    start = datetime(2026, 1, 31, 12, tzinfo=UTC)
    found = islice(occurrences(timing("monthly"), start, start), 1, 5)
    assert [each.strftime("%m-%d") for each in found] == ["02-28", "03-31", "04-30", "05-31"]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("weekly", "2024-03-07"),
        ("biweekly", "2024-03-14"),
        ("monthly", "2024-03-29"),
        ("bimonthly", "2024-04-29"),
        ("quarterly", "2024-05-29"),
        ("yearly", "2025-02-28"),
    ],
)
def test_kinds__the_next_after_a_leap_day(kind: str, expected: str) -> None:
    start = datetime(2024, 2, 29, tzinfo=UTC)
    found = occurrence_after(timing(kind), start, start)
    assert found is not None
    assert found.date().isoformat() == expected


def test_once() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    made = timing("once")
    assert occurrence_after(made, start, start - timedelta(days=1)) == start
    assert occurrence_after(made, start, start) is None


@settings(deadline=None, max_examples=60)
@given(some_timing, moments, st.integers(0, 5_000_000))
def test_after__is_later_and_leaves_none_out(made: Timing, start: datetime, seconds: int) -> None:
    moment = start + timedelta(seconds=seconds)
    found = occurrence_after(made, start, moment)
    assert found is not None
    assert found > moment
    assert occurrence_after(made, start, found - timedelta(microseconds=1)) == found
    between = moment + (found - moment) / 2
    assert occurrence_after(made, start, between) == found or between == found


@settings(deadline=None, max_examples=60)
@given(timings.filter(lambda made: made.kind in ("daily", "weekly", "monthly", "yearly")), moments)
def test_on_the_wall__the_time_is_the_same_or_does_not_exist(made: Timing, start: datetime) -> None:
    zone = ZoneInfo(made.zone)
    wall = start.astimezone(zone).timetz().replace(tzinfo=None, fold=0)
    for each in islice(occurrences(made, start, start), 1, 20):
        local = each.astimezone(zone)
        if local.time().replace(fold=0) != wall:
            asked = datetime.combine(local.date(), wall, tzinfo=zone)
            assert asked.astimezone(UTC).astimezone(zone).replace(tzinfo=None, fold=0) != (
                asked.replace(tzinfo=None)
            )


@settings(deadline=None, max_examples=60)
@given(some_timing, moments, st.integers(0, 2_000_000))
def test_latest__is_the_last_of_all(made: Timing, start: datetime, seconds: int) -> None:
    moment = start + timedelta(seconds=seconds)
    found = latest_until(made, start, start, moment)
    assert start <= found <= moment
    after = occurrence_after(made, start, found)
    assert after is not None
    assert after > moment


def test_latest__of_millions() -> None:
    made = timing(cron="* * * * * *")
    start, now = datetime(2000, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 0, 30, tzinfo=UTC)
    assert latest_until(made, start, start, now) == now


@pytest.mark.parametrize("letter", KINDS.values())
def test_letters__django_q_wrote_them(letter: str) -> None:
    more = {"I": {"minutes": 5}, "C": {"cron": "* * * * *"}}.get(letter, {})
    assert KINDS[timing(letter, **more).kind] == letter  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"schedule_type": "dayly"}, "Did you mean 'daily'?"),
        ({"schedule_type": "cron"}, "takes cron="),
        ({"schedule_type": "daily", "cron": "* * * * *"}, "takes cron="),
        ({"schedule_type": "minutes"}, "takes minutes="),
        ({"minutes": 0}, "1 or more; it is 0"),
        ({"minutes": True}, "it is True"),
        ({"cron": "61 * * * *"}, "no expression that cron knows"),
        ({"cron": "* *"}, "no expression that cron knows"),
        ({"cron": "0 0 31 2 *"}, "no expression that cron knows"),
        ({"schedule_type": "daily", "zone": "Europe/Nowhere"}, "Unknown time zone"),
        ({"schedule_type": "daily", "zone": "../etc/passwd"}, "Unknown time zone"),
    ],
)
def test_timing__what_cannot_be_meant(given: dict[str, object], told: str) -> None:
    with pytest.raises(ScheduleError, match=told.replace("?", r"\?")):
        timing(**given)  # type: ignore[arg-type]
