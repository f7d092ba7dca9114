"""What code and settings declare of schedules, and how a store is brought to it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time
from typing import Any

import pytest

from gearfleet import periodic, task
from gearfleet.config import Settings
from gearfleet.errors import ConfigError, TaskDeclarationError
from gearfleet.schedule.declared import changes, declared
from gearfleet.tasks import App, Registry, Task, WorkerModule

NOW = datetime(2026, 7, 15, 12, 30, tzinfo=UTC)  # a Wednesday


@periodic("daily", start=time(3, 0), time_zone="Europe/Berlin")
@task(name="shop.report")
def report() -> None: ...


@task(name="shop.sweep")
def sweep() -> None: ...


def registry(*tasks: Task[..., Any]) -> Registry:
    app = App(name="shop", label="shop")
    return Registry(
        modules=(WorkerModule(app=app, worker="w", module="shop.w", tasks=tasks or (sweep,)),)
    )


def of(table: dict[str, Any], **settings: Any) -> Any:
    made = Settings(schedules={"a": {"task": "shop.sweep", **table}}, **settings)
    return declared(made, registry(), NOW)[0]


def test_code__the_time_of_day_in_its_zone() -> None:
    (found,) = declared(Settings(), registry(report), NOW)
    assert (found.name, found.origin) == ("shop.report", "code")
    assert found.next_run == datetime(2026, 7, 16, 1, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("table", "following"),
    [
        ({"schedule_type": "hourly"}, datetime(2026, 7, 15, 13)),
        ({"minutes": 20}, datetime(2026, 7, 15, 12, 40)),
        ({"schedule_type": "daily"}, datetime(2026, 7, 16)),
        ({"schedule_type": "weekly"}, datetime(2026, 7, 20)),
        ({"schedule_type": "monthly"}, datetime(2026, 8, 1)),
        ({"schedule_type": "quarterly"}, datetime(2026, 10, 1)),
        ({"schedule_type": "yearly"}, datetime(2027, 1, 1)),
        ({"cron": "0 3 * * *"}, datetime(2026, 7, 16, 3)),
        ({"schedule_type": "monthly", "start": datetime(2026, 1, 31, 8)}, datetime(2026, 7, 31, 8)),
    ],
)
def test_settings__where_schedules_begin(table: dict[str, Any], following: datetime) -> None:
    assert of(table).next_run == following.replace(tzinfo=UTC)


def test_settings__the_zone_of_the_project() -> None:
    found = of({"schedule_type": "daily"}, time_zone="America/New_York")
    assert found.next_run == datetime(2026, 7, 16, 4, tzinfo=UTC)


def test_settings__what_was_over_before_is_not_run() -> None:
    over = of({"schedule_type": "once", "start": datetime(2026, 7, 1, tzinfo=UTC)})
    assert over.state == "ended"


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"schedule_type": "daily", "crom": 1}, "Did you mean 'cron'"),
        ({"minutes": "5"}, "minutes must be of type int"),
        ({"minutes": True}, "minutes must be of type int"),
        ({}, "needs schedule_type, minutes or cron"),
        ({"task": "shop.swep", "minutes": 5}, "Did you mean 'shop.sweep'"),
        ({"schedule_type": "once"}, "needs start"),
        ({"minutes": 5, "repeats": 0}, "repeats must be 1 or more"),
        ({"minutes": 5, "time_zone": "Mars"}, "Unknown time zone"),
    ],
)
def test_settings__mistakes_name_their_place(table: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=f"'schedules.a'.*{told}"):
        of(table)


def test_names__two_of_one() -> None:
    made = Settings(schedules={"shop.report": {"task": "shop.report", "minutes": 5}})
    with pytest.raises(ConfigError, match="another schedule called"):
        declared(made, registry(report), NOW)


def test_periodic__needs_a_task() -> None:
    with pytest.raises(TaskDeclarationError, match="stands above @task"):
        periodic("daily")(lambda: None)  # type: ignore[arg-type]


def test_changes__add_update_and_remove() -> None:
    one, other = of({"minutes": 5}), of({"minutes": 10})
    assert changes([one], []).add == (one,)
    assert changes([one], [one]) == changes([], [])
    known = replace(one, paused=True, missed=3)
    ((before, after),) = changes([other], [known]).update
    assert before == known
    assert (after.timing.minutes, after.paused, after.missed) == (10, True, 3)
    assert changes([], [known]).remove == (known,)
    assert changes([], [replace(known, origin="made")]).remove == ()


def test_changes__a_name_that_a_call_has_taken() -> None:
    one = of({"minutes": 5})
    with pytest.raises(ConfigError, match="made by a call"):
        changes([one], [replace(one, origin="made")])
