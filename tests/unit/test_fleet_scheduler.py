"""The program `scheduler`: there where there are schedules, and on one host if they are in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gearfleet import periodic, task
from gearfleet.config import read_settings
from gearfleet.errors import ConfigError
from gearfleet.fleet import Fleet, plan
from gearfleet.tasks import App, Registry, WorkerModule


@task(name="shop.plain", queue="bar")
def plain() -> None: ...


@periodic("daily")
@task(name="shop.nightly", queue="bar")
def nightly() -> None: ...


SCHEDULES = {"schedules": {"a": {"task": "shop.plain", "minutes": 5}}}
HOSTS = {"hosts": {"one": {"url": "http://one:9001"}, "two": {"url": "http://two:9001"}}}


def planned(table: dict[str, Any], task: Any = plain, host: str | None = None) -> Fleet:
    app = App(name="shop", label="shop")
    module = WorkerModule(app=app, worker="w", module="shop.gearman_workers.w", tasks=(task,))
    settings = read_settings(table, root=Path("/srv"), origin="test")
    return plan(Registry(modules=(module,)), settings, host=host, executable=("/bin/gf",))


def names(fleet: Fleet) -> list[str]:
    return [program.name for program in fleet.programs]


def test_no_schedules__no_scheduler() -> None:
    assert names(planned({})) == ["w"]


@pytest.mark.parametrize(
    ("table", "declares"),
    [(SCHEDULES, plain), ({}, nightly), ({"programs": {"scheduler": {}}}, plain)],
    ids=["settings", "code", "asked for"],
)
def test_schedules__one_scheduler_in_its_own_group(table: dict[str, Any], declares: Any) -> None:
    fleet = planned({**table, "fleet": {"processes": 4, "user": "www"}}, declares)
    program = next(each for each in fleet.programs if each.name == "scheduler")
    assert program.command == ("/bin/gf", "scheduler")
    assert program.processes == 1
    assert program.options["user"] == "www"
    assert program.options["autorestart"] == "unexpected"
    assert program.options["exitcodes"] == ("2", "3", "78")
    assert ("scheduler", ("scheduler",)) in [(each.name, each.programs) for each in fleet.groups]


def test_schedules__a_command_of_the_settings_takes_its_place() -> None:
    fleet = planned({**SCHEDULES, "programs": {"scheduler": {"command": "bin/own"}}})
    commands = [program.command for program in fleet.programs if program.name == "scheduler"]
    assert commands == [("/srv/bin/own",)]


def test_schedules__options_and_none() -> None:
    assert names(planned({**SCHEDULES, "programs": {"scheduler": {"processes": 0}}})) == ["w"]


def test_hosts__a_file_is_not_shared() -> None:
    with pytest.raises(ConfigError, match="which the hosts"):
        planned({**SCHEDULES, **HOSTS}, host="one")
    planned({**SCHEDULES, **HOSTS, "schedule_store": "django"}, host="one")


def test_hosts__one_is_named() -> None:
    hosts = {
        "one": {"url": "http://one:9001", "programs": {"scheduler": {"processes": 1}}},
        "two": {"url": "http://two:9001"},
    }
    table = {**SCHEDULES, "hosts": hosts, "programs": {"scheduler": {"processes": 0}}}
    assert names(planned(table, host="one")) == ["scheduler", "w"]
    assert names(planned(table, host="two")) == ["w"]
