"""Programs beside the workers, groups beside the queues', and processes by the CPUs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gearfleet.errors import ConfigError, InvalidFleet
from gearfleet.fleet import Fleet, Program, render, usable_cpus, validate
from tests.support.fleets import ONE, fleet

SCHEDULER = {"scheduler": {"command": ["gearfleet", "scheduler"]}}


def program(name: str, **table: Any) -> Program:
    """Return one program of a small project under the settings of `table`."""
    (found,) = (each for each in fleet(ONE, **table).programs if each.name == name)
    return found


def groups(planned: Fleet) -> dict[str, tuple[str, ...]]:
    return {group.name: group.programs for group in planned.groups}


def test_command__makes_a_program_in_a_group_of_its_own() -> None:
    planned = fleet(ONE, programs=SCHEDULER)
    assert groups(planned) == {"foo": ("worker_foo",), "scheduler": ("scheduler",)}
    validate(planned, render(planned))


def test_command__that_begins_with_gearfleet_is_that_of_the_workers() -> None:
    assert program("scheduler", programs=SCHEDULER).command == (
        "/srv/shop/.venv/bin/gearfleet",
        "scheduler",
    )
    table: dict[str, Any] = {"executable": "/opt/gearfleet"}
    assert program("scheduler", fleet=table, programs=SCHEDULER).command[0] == "/opt/gearfleet"


@pytest.mark.parametrize(
    ("command", "meant"),
    [
        ("bin/mill --name 'a b'", ("/srv/shop/bin/mill", "--name", "a b")),
        (["/usr/bin/env", "x y"], ("/usr/bin/env", "x y")),
        (["mill"], ("mill",)),
    ],
)
def test_command__in_its_forms(command: Any, meant: tuple[str, ...]) -> None:
    assert program("mill", programs={"mill": {"command": command}}).command == meant


def test_command__has_the_fleet_s_options_and_defaults_of_its_own() -> None:
    mill = program(
        "mill",
        fleet={"user": "root", "drain_timeout": 300, "processes": 1, "environment": {"A": "1"}},
        programs={"mill": {"command": ["mill"], "stopwaitsecs": 7}},
    )
    assert mill.options["user"] == "root"
    assert mill.options["directory"] == "/srv/shop"
    assert mill.options["autorestart"] is True
    assert "exitcodes" not in mill.options
    assert (mill.options["stopwaitsecs"], mill.stop_budget) == (7, 0)
    assert mill.environment == {
        "A": "1",
        "GEARFLEET_PROGRAM": "mill",
        "GEARFLEET_RUN_DIR": "/run/gearfleet",
    }


def test_command__of_one_host_only() -> None:
    hosts = {"web1": {"programs": SCHEDULER}}
    assert "scheduler" not in groups(fleet(ONE, hosts=hosts))
    assert "scheduler" in groups(fleet(ONE, hosts=hosts, host="web1"))


def test_command__is_left_out_where_it_has_no_processes() -> None:
    hosts = {"web1": {"programs": {"scheduler": {"processes": 0}}}}
    assert "scheduler" in groups(fleet(ONE, programs=SCHEDULER, hosts=hosts))
    assert "scheduler" not in groups(fleet(ONE, programs=SCHEDULER, hosts=hosts, host="web1"))


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"programs": {"worker_foo": {"command": ["x"]}}}, "worker_foo.command' cannot be set"),
        ({"programs": {"m": {"command": []}}}, "'programs.m.command' must be a command"),
        ({"programs": {"m": {"command": "a 'b"}}}, "must be a command: No closing quotation"),
        ({"programs": {"m": {"command": "m", "prefetch": 2}}}, "'programs.m.prefetch' is for work"),
        ({"programs": {"m": {"processes": 2}}}, "is for no program of this project"),
        ({"programs": {"foo": {"command": "m"}}}, "group 'foo' has other programs"),
        ({"programs": {"a b": {"command": "m"}}}, "cannot be named 'a b'"),
        ({"programs": {"m": {"command": "~/m"}}}, "'programs.m.command' is '~/m'"),
        ({"groups": {"x": {"programs": ["worker_fo"]}}}, "Did you mean 'worker_foo'?"),
        ({"groups": {"x": {}}}, "'groups.x' is for no queue"),
        (
            {"groups": {"x": {"programs": ["worker_foo"]}, "y": {"programs": ["worker_foo"]}}},
            "'worker_foo' is in two groups of the settings, 'x' and 'y'",
        ),
        (
            {
                "groups": {
                    "x": {"programs": ["worker_foo"]},
                    "y": {"programs": ["shop.gearman_workers.worker_foo"]},
                }
            },
            "'worker_foo' is in two groups",
        ),
    ],
)
def test_programs_and_groups__that_cannot_be(table: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        fleet(ONE, **table)
    assert said in str(raised.value)


def test_group__takes_programs_from_their_queues() -> None:
    planned = fleet(
        fleet={"name": "shop"},
        programs=SCHEDULER,
        groups={"slow": {"programs": ["worker_bar2", "scheduler", "mail.tasks:nightly"]}},
    )
    assert groups(planned) == {
        "shop_bar": ("shop_worker_bar",),
        "shop_foo": ("shop_mail_tasks_foo", "shop_worker_foo"),
        "shop_slow": ("shop_mail_tasks_nightly", "shop_scheduler", "shop_worker_bar2"),
    }
    validate(planned, render(planned))


def test_group__of_a_queue_takes_further_programs_and_a_priority() -> None:
    table = {"foo": {"programs": ["scheduler"], "priority": 5}}
    planned = fleet(ONE, programs=SCHEDULER, groups=table)
    assert groups(planned) == {"foo": ("scheduler", "worker_foo")}
    files = render(planned)
    assert files["groups.conf"].endswith("[group:foo]\nprograms=scheduler,worker_foo\npriority=5\n")
    validate(planned, files)


def test_role__stands_between_the_host_and_the_project() -> None:
    table: dict[str, Any] = {
        "fleet": {"processes": 1, "umask": "022", "startsecs": 3},
        "hosts": {
            "web": {"fleet": {"processes": 8, "umask": "027"}},
            "web1": {"role": "web", "queues": {"foo": {"processes": 9}}},
        },
    }
    found = program("worker_foo", host="web1", **table)
    assert (found.processes, found.options["umask"], found.options["startsecs"]) == (9, "027", 3)
    assert found.sources["umask"] == "hosts.web.fleet.umask"
    assert program("worker_foo", host="web", **table).processes == 8


@pytest.mark.parametrize(
    ("value", "processes"), [("cpu", 4), ("cpu*2", 8), ("cpu * 0.5", 2), ("cpu*0.1", 1), (3, 3)]
)
def test_processes__by_the_cpus(value: Any, processes: int) -> None:
    hosts = {"web1": {"cpus": 4}}
    assert program(
        "worker_foo", host="web1", hosts=hosts, fleet={"processes": value}
    ).processes == (processes)


def test_processes__of_a_host_whose_cpus_nobody_knows() -> None:
    with pytest.raises(
        ConfigError, match=r"'fleet.processes' is 'cpu', and nobody .*hosts.web1.cp"
    ):
        fleet(ONE, host="web1", fleet={"processes": "cpu"})


@pytest.mark.parametrize("value", ["cpus", "2*cpu", "cpu*", "cpu*-1", "", "4", True, 1.5, -1])
def test_processes__that_are_none(value: Any) -> None:
    with pytest.raises(ConfigError, match=r'"cpu", or a multiple such as "cpu\*2"'):
        fleet(ONE, fleet={"processes": value})


def test_mode__by_its_older_word() -> None:
    assert program("worker_foo", fleet={"mode": "single", "processes": 2}).pool == 0


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"app/cpu.max": "150000 100000", "cpu.max": "max 100000"}, 2),
        ({"app/cpu.max": "max 100000", "cpu.max": "100000 100000"}, 1),
        ({"app/cpu.max": "nonsense"}, 64),
        ({}, 64),
    ],
)
def test_cpus__by_the_quota_of_the_cgroup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], expected: int
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(64)))
    (tmp_path / "cgroups" / "app").mkdir(parents=True)
    (tmp_path / "self").write_text("0::/app\n")
    for name, text in files.items():
        (tmp_path / "cgroups" / name).write_text(text)
    found = usable_cpus(cgroups=tmp_path / "cgroups", of_process=tmp_path / "self")
    assert found == expected


def test_cpus__by_the_quota_of_an_older_cgroup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(64)))
    folder = tmp_path / "cpu,cpuacct" / "app"
    folder.mkdir(parents=True)
    (tmp_path / "self").write_text("4:cpu,cpuacct:/app\n3:memory:/other\n")
    (folder / "cpu.cfs_quota_us").write_text("300000\n")
    (folder / "cpu.cfs_period_us").write_text("100000\n")
    assert usable_cpus(cgroups=tmp_path, of_process=tmp_path / "self") == 3


def test_cpus__without_any_limit() -> None:
    assert usable_cpus(of_process=Path("/nowhere")) >= 1


def test_layout__one_program_for_a_whole_queue() -> None:
    planned = fleet(queues={"foo": {"layout": "queue", "processes": 3}})
    (foo,) = (each for each in planned.programs if each.queue == "foo")
    assert (foo.name, foo.processes, foo.worker) == ("foo", 3, "tasks, worker_foo")
    assert foo.tasks == ("mail.send", "shop.greet", "shop.report")
    assert foo.command[1:] == (
        *("worker", "-a", "mail", "-n", "tasks", "-a", "shop", "-n", "worker_foo", "-q", "foo"),
    )
    assert groups(planned) == {
        "bar": ("worker_bar", "worker_bar2"),
        "foo": ("foo",),
        "nightly": ("mail_tasks_nightly",),
    }
    validate(planned, render(planned))


def test_layout__of_the_fleet_and_of_one_host() -> None:
    table: dict[str, Any] = {"web1": {"fleet": {"layout": "queue"}, "programs": {"bar": {}}}}
    names = [each.name for each in fleet(hosts=table, host="web1").programs]
    assert names == ["bar", "foo", "nightly"]
    assert len(fleet(hosts=table).programs) == 5


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"programs": {"worker_foo": {"layout": "queue"}}}, "write it into [queues.QUEUE]"),
        ({"fleet": {"layout": "queues"}}, '"worker" or "queue"'),
    ],
)
def test_layout__that_cannot_be(table: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        fleet(**table)
    assert said in str(raised.value)


def test_group__priority_is_what_a_template_has_to_say(tmp_path: Path) -> None:
    planned = fleet(ONE, groups={"foo": {"priority": 5}})
    (tmp_path / "group.conf.j2").write_text(
        '{% extends "builtin/group.conf.j2" %}{% block extra %}\npriority=6\n{% endblock %}'
    )
    with pytest.raises(InvalidFleet, match="'priority' of group 'foo' as 6 where 5 is meant"):
        validate(planned, render(planned, template_dir=tmp_path))
