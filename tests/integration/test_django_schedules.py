"""Schedules in a database of Django: in SQLite and in PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from gearfleet.errors import ScheduleStoreUnavailable
from gearfleet.schedule import Plan
from gearfleet.schedule.model import occurrence, step
from gearfleet.schedule.timing import timing
from tests.support import django_databases
from tests.support.django_databases import EMPTY
from tests.support.firing_contract import START, Desk, FiringContract, minutely


@pytest.fixture
def desk(alias: str) -> Desk:
    return Desk(lambda: store_of(alias))


def store_of(alias: str) -> Any:
    from gearfleet.contrib.django.schedules.store import DjangoScheduleStore

    return DjangoScheduleStore(alias)


class TestFiring(FiringContract):
    """Over each database."""


def test_two_at_once__one_of_them_has_the_claim(alias: str, desk: Desk) -> None:
    def claim(number: int, at: datetime) -> bool:
        known = replace(schedule, next_run=at)
        taken = step(known, at)
        assert taken is not None
        try:
            return bool(
                store_of(alias).claim(known, taken, occurrence(known, at, str(number), 0.0))
            )
        finally:
            store_of(alias).close()

    schedule = minutely(catch_up=True)
    desk.store.add(schedule)
    with ThreadPoolExecutor(4) as pool:
        for minute in range(10):
            at = START + timedelta(minutes=minute)
            claims = list(pool.map(claim, range(4), [at] * 4))
            assert sorted(claims) == [False, False, False, True]


def test_rows__what_people_write_in_a_form(alias: str, desk: Desk) -> None:
    from gearfleet.contrib.django.models import Schedule

    Schedule.objects.using(alias).create(
        func="math.copysign",
        args="2, -2",
        kwargs="x=1, q_options={'group': 'g', 'task_name': 'n'}",
        hook="hooks.print_result",
        schedule_type=Schedule.DAILY,
        intended_date_kwarg="day",
        next_run=START,
    )
    (found,) = desk.store.due(START)
    assert found.plan == Plan(
        task="math.copysign",
        args=(2, -2),
        kwargs={"x": 1},
        options={"group": "g", "name": "n", "hook": "hooks.print_result"},
        intended_date_kwarg="day",
        intended_as_text=True,
    )
    assert found.name.startswith("math.copysign ")
    assert found.timing == timing("daily")


def test_rows__what_cannot_be_read_stops_no_other(
    alias: str, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    from gearfleet.contrib.django.models import Schedule

    desk.store.add(minutely())
    for number, bad in enumerate(
        ({"args": "__import__('os')"}, {"schedule_type": "C", "cron": "x"}, {"kwargs": "1"})
    ):
        Schedule.objects.using(alias).create(func="t", name=f"bad {number}", next_run=START, **bad)
    assert [each.name for each in desk.store.due(START)] == ["a"]
    desk.store.due(START)
    assert caplog.text.count("is passed over") == 3


def test_rows__values_come_back_equal(desk: Desk) -> None:
    plan = Plan(
        task="t",
        args=(1, "a", [None], Decimal("1.5")),
        kwargs={"when": datetime(2026, 1, 1, tzinfo=UTC), "tuple": (1, 2)},
        options={"priority": "high", "hook": "a.b"},
        cluster="long",
    )
    desk.store.add(minutely(plan=plan))
    found = desk.store.find("a")
    assert found is not None
    assert found.plan == plan


def test_model__clean_refuses_what_cannot_be_meant(alias: str) -> None:
    from django.core.exceptions import ValidationError

    from gearfleet.contrib.django.models import Schedule

    for bad in ({"schedule_type": "C", "cron": "61 * * * *"}, {"args": "f()"}, {"time_zone": "X"}):
        with pytest.raises(ValidationError):
            Schedule(func="t", **bad).clean()
    assert Schedule(func="t", schedule_type="M").calculate_next_run(
        datetime(2026, 1, 31, tzinfo=UTC)
    ) == datetime(2026, 2, 28, tzinfo=UTC)


def test_no_tables__the_message_says_what_to_run() -> None:
    django_databases.set_up()
    with pytest.raises(ScheduleStoreUnavailable, match="migrate gearfleet"):
        store_of(EMPTY).all()


def test_migrations__are_those_of_the_models() -> None:
    from django.core.management import call_command

    django_databases.set_up()
    call_command("makemigrations", "gearfleet", check=True, dry_run=True, verbosity=0)
