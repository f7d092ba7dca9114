"""The plan: which programs, with which options, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gearfleet.config import Settings
from gearfleet.errors import ConfigError
from gearfleet.fleet import Program, plan
from gearfleet.fleet.programs import POOL_MARGIN
from gearfleet.tasks import App, Registry, WorkerModule
from gearfleet.worker.pool.parent import PATIENCE
from tests.support.fleets import ONE, SHOP, fleet, registry, settings

TWICE = {
    "mail.gearman_workers.worker_bar": {"send": "bar"},
    "shop.gearman_workers.worker_bar": {"resize": "bar"},
}
SEVERAL = {"shop.gearman_workers.worker_foo": {"greet": "foo", "wave": "bar"}}


def program(**table: Any) -> Program:
    """Return the only program of a small project under the settings of `table`."""
    host = table.pop("host", None)
    return fleet(ONE, host=host, **table).programs[0]


def names(modules: Any = SHOP, **table: Any) -> list[str]:
    return [item.name for item in fleet(modules, **table).programs]


def test_programs__are_one_per_worker_module_and_queue() -> None:
    assert names() == [
        "mail_tasks_foo",
        "mail_tasks_nightly",
        "worker_bar",
        "worker_bar2",
        "worker_foo",
    ]


def test_groups__are_one_per_queue_with_their_programs_sorted() -> None:
    groups = {group.name: group.programs for group in fleet().groups}
    assert groups == {
        "bar": ("worker_bar", "worker_bar2"),
        "foo": ("mail_tasks_foo", "worker_foo"),
        "nightly": ("mail_tasks_nightly",),
    }


def test_plan__is_the_same_in_any_order_of_discovery() -> None:
    modules = dict(reversed(SHOP.items()))
    assert fleet(modules) == fleet()


def test_program__knows_what_it_serves() -> None:
    found = {item.name: item for item in fleet().programs}
    assert (found["worker_foo"].app, found["worker_foo"].worker) == ("shop", "worker_foo")
    assert found["worker_foo"].tasks == ("shop.greet", "shop.report")
    assert found["mail_tasks_nightly"].tasks == ("mail.digest",)
    assert found["mail_tasks_nightly"].queue == "nightly"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("shop.gearman_workers.worker_foo", "worker_foo"),
        ("deep.inside.shop.gearman_jobs", "shop_gearman_jobs"),
        ("shop.tasks", "shop_tasks"),
    ],
)
def test_program_name__by_kind_of_module(path: str, name: str) -> None:
    assert names({path: {"greet": "foo"}}) == [name]


def test_program_name__of_an_app_that_is_one_module() -> None:
    app = App(name="tasks", label="tasks")
    tasks = registry(ONE).tasks
    module = WorkerModule(app=app, worker="tasks", module="tasks", tasks=tasks)
    assert [p.name for p in plan(Registry(modules=(module,)), settings()).programs] == ["tasks"]


def test_command__names_app_worker_and_queue() -> None:
    assert program().command == (
        "/srv/shop/.venv/bin/gearfleet", "worker", "-a", "shop", "-n", "worker_foo", "-q", "foo",
    )  # fmt: skip


def test_command__names_the_queue_of_several() -> None:
    assert fleet(SEVERAL).programs[0].command[-2:] == ("-q", "bar")


def test_command__tells_the_stop_ladder_where_it_differs() -> None:
    command = program(
        fleet={"drain_timeout": 120, "hook_timeout": 0.5, "interrupt_grace": 5}
    ).command
    assert command[-4:] == ("--drain-timeout", "120", "--hook-timeout", "0.5")


def test_command__tells_the_prefetch_of_the_queue() -> None:
    assert program(queues={"foo": {"prefetch": 16}}).command[-2:] == ("--prefetch", "16")


def test_command__executable_of_the_settings_comes_first() -> None:
    assert program(fleet={"executable": "/usr/bin/nice gearfleet"}).command[:3] == (
        "/usr/bin/nice", "gearfleet", "worker",
    )  # fmt: skip


def test_command__without_executable_is_looked_up_on_the_path() -> None:
    assert plan(registry(ONE), settings()).programs[0].command[0] == "gearfleet"


def test_environment__names_program_and_run_directory() -> None:
    assert program().environment == {
        "GEARFLEET_PROGRAM": "worker_foo",
        "GEARFLEET_RUN_DIR": "/run/gearfleet",
    }


def test_environment__names_the_settings_module_under_django() -> None:
    planned = plan(registry(ONE), settings(), django_settings="shop.settings")
    assert planned.programs[0].environment["DJANGO_SETTINGS_MODULE"] == "shop.settings"


def test_environment__has_what_the_worker_needs_to_see_the_same_settings() -> None:
    base = Settings(root=Path("/srv"), rendered_environment={"GEARFLEET_CONFIG": "/srv/g.toml"})
    assert plan(registry(ONE), base).programs[0].environment["GEARFLEET_CONFIG"] == "/srv/g.toml"


def test_environment__is_merged_key_by_key() -> None:
    environment = program(
        fleet={"environment": {"A": "fleet", "B": "fleet", "C": "fleet"}},
        queues={"foo": {"environment": {"B": "queue", "C": "queue"}}},
        programs={"worker_foo": {"environment": {"C": "program"}}},
    ).environment
    assert [environment[key] for key in "ABC"] == ["fleet", "queue", "program"]


@pytest.mark.parametrize("variable", ["GEARFLEET_PROGRAM", "GEARFLEET_RUN_DIR"])
def test_environment__what_gearfleet_relies_on_cannot_be_set(variable: str) -> None:
    with pytest.raises(ConfigError, match=rf"'queues.foo.environment.{variable}' cannot be set"):
        program(queues={"foo": {"environment": {variable: "x"}}})


# In the order of the design, the strongest first.
RANKS = [
    ("hosts.web1.programs.worker_foo", "hosts", "programs", "worker_foo"),
    ("hosts.web1.queues.foo", "hosts", "queues", "foo"),
    ("hosts.web1.fleet", "hosts", "fleet", ""),
    ("programs.worker_foo", "", "programs", "worker_foo"),
    ("queues.foo", "", "queues", "foo"),
    ("fleet", "", "fleet", ""),
]


def _table(ranks: list[tuple[str, str, str, str]]) -> dict[str, Any]:
    """Return settings in which each of `ranks` gives `processes` its own number."""
    table: dict[str, Any] = {"hosts": {"web1": {}}}
    for rank in ranks:
        layers = table["hosts"]["web1"] if rank[1] else table
        options = {"processes": 10 + RANKS.index(rank)}
        layers[rank[2]] = {rank[3]: options} if rank[3] else options
    return table


@pytest.mark.parametrize("first", range(len(RANKS)))
def test_precedence__the_strongest_layer_speaks_last(first: int) -> None:
    found = program(host="web1", **_table(RANKS[first:]))
    assert found.processes == 10 + first
    assert found.sources["processes"] == f"{RANKS[first][0]}.processes"


def test_precedence__built_in_comes_last() -> None:
    assert program().processes == 1
    assert program().options["startretries"] == 24
    assert "processes" not in program().sources


def test_precedence__of_another_host_means_nothing() -> None:
    assert program(host="web2", **_table(RANKS)).processes == 13


def test_program_table__by_module_path() -> None:
    table = {"programs": {"shop.gearman_workers.worker_foo": {"processes": 3}}}
    assert program(**table).processes == 3


def test_program_table__by_module_path_and_queue() -> None:
    table = {"programs": {"shop.gearman_workers.worker_foo:bar": {"processes": 3}}}
    assert [item.processes for item in fleet(SEVERAL, **table).programs] == [3, 1]


def test_program_table__a_path_beats_a_name() -> None:
    table = {
        "programs": {
            "shop.gearman_workers.worker_foo": {"processes": 3},
            "worker_foo": {"processes": 2},
        }
    }
    assert program(**table).processes == 3


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            {"programs": {"worker_fo": {}}},
            "Setting 'programs.worker_fo' is for no program of this project (known: worker_foo). "
            "Did you mean 'worker_foo'? A program that is no worker has a 'command'.",
        ),
        (
            {"queues": {"fo": {}}},
            "Setting 'queues.fo' is for no queue of this project (known: foo). Did you mean 'foo'?",
        ),
        (
            {"hosts": {"web1": {"queues": {"fo": {}}}}},
            "Setting 'hosts.web1.queues.fo' is for no queue of this project (known: foo). "
            "Did you mean 'foo'?",
        ),
        (
            {"programs": {"shop.worker_foo": {}}},
            "Setting 'programs.\"shop.worker_foo\"' is for no program of this project "
            "(known: worker_foo). Did you mean 'worker_foo'? A program that is no worker has a "
            "'command'.",
        ),
    ],
)
def test_table__that_matches_nothing(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        program(**table)
    assert str(raised.value) == message


def test_table__of_a_program_that_this_host_lacks_is_no_mistake() -> None:
    table = {"programs": {"worker_bar": {"processes": 0}}}
    assert "worker_bar" not in names(**table)


def test_processes__zero_leaves_program_and_empty_group_out() -> None:
    planned = fleet(hosts={"web1": {"queues": {"bar": {"processes": 0}}}}, host="web1")
    assert [item.name for item in planned.groups] == ["foo", "nightly"]
    assert all(item.queue != "bar" for item in planned.programs)


def test_name_clash__names_both_modules_and_the_setting() -> None:
    with pytest.raises(ConfigError) as raised:
        fleet(TWICE)
    assert str(raised.value) == (
        "Two programs would be named 'worker_bar': mail.gearman_workers.worker_bar and "
        "shop.gearman_workers.worker_bar. "
        "Set 'program' in [programs.\"shop.gearman_workers.worker_bar\"]"
    )


def test_name_clash__is_solved_as_the_message_says() -> None:
    table = {"programs": {"shop.gearman_workers.worker_bar": {"program": "shop_bar"}}}
    assert names(TWICE, **table) == ["shop_bar", "worker_bar"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("shop.gearman_workers.all", "letters, digits"),
        ("shop.gearman_workers.wörker", "letters, digits"),
        ("shop.gearman_workers.groups", "its file is that of the groups"),
    ],
)
def test_program_name__that_cannot_be(path: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as raised:
        names({path: {"greet": "foo"}})
    assert f"Set 'program' in [programs.\"{path}\"]" in str(raised.value)


@pytest.mark.parametrize("name", [".hidden", "-x"])
def test_program_name__that_no_glob_or_option_parser_would_see(name: str) -> None:
    with pytest.raises(ConfigError, match="a letter or digit first"):
        program(programs={"worker_foo": {"program": name}})


@pytest.mark.parametrize("queue", ["all", "a/b", "a:b", "a,b", "é", "-x"])
def test_queue_name__that_cannot_be_a_group(queue: str) -> None:
    with pytest.raises(ConfigError, match=rf"Queue '{queue}' of task 'shop.greet' cannot name"):
        names({"shop.tasks": {"greet": queue}})


def test_fleet_name__prefixes_programs_and_groups_but_not_tables() -> None:
    table: dict[str, Any] = {
        "fleet": {"name": "eu"},
        "programs": {"worker_foo": {"processes": 2}},
        "queues": {"foo": {"startsecs": 7}},
    }
    planned = fleet(ONE, **table)
    assert [item.name for item in planned.programs] == ["eu_worker_foo"]
    assert [item.name for item in planned.groups] == ["eu_foo"]
    assert planned.programs[0].processes == 2
    assert planned.programs[0].options["startsecs"] == 7
    assert planned.programs[0].environment["GEARFLEET_PROGRAM"] == "eu_worker_foo"


def test_stopwaitsecs__is_the_ladder_and_a_margin() -> None:
    assert program().options["stopwaitsecs"] == 80
    assert program().stop_budget == 75
    assert program(fleet={"drain_timeout": 0.2}).options["stopwaitsecs"] == 21


def test_stopwaitsecs__explicit() -> None:
    assert program(fleet={"stopwaitsecs": 75}).options["stopwaitsecs"] == 75


def test_stopwaitsecs__lower_than_the_ladder() -> None:
    with pytest.raises(ConfigError) as raised:
        program(queues={"foo": {"stopwaitsecs": 74}})
    assert str(raised.value).startswith(
        "Setting 'queues.foo.stopwaitsecs' is 74, but a worker may need 75 s to stop "
    )


def test_problem__of_all_programs_is_said_once() -> None:
    with pytest.raises(ConfigError) as raised:
        fleet(fleet={"stopwaitsecs": 10})
    assert str(raised.value).count("Setting 'fleet.stopwaitsecs' is 10") == 1


def test_directory__is_the_project_s() -> None:
    assert program().options["directory"] == "/srv/shop"


def test_paths__are_relative_to_the_project() -> None:
    options = program(fleet={"directory": "src", "stdout_logfile": "log/%(process_num)d"}).options
    assert options["directory"] == "/srv/shop/src"
    assert options["stdout_logfile"] == "/srv/shop/log/%(process_num)d"


@pytest.mark.parametrize("word", ["AUTO", "NONE", "none", "off"])
def test_paths__supervisor_s_words_for_a_log_stay(word: str) -> None:
    assert program(fleet={"stdout_logfile": word}).options["stdout_logfile"] == word


@pytest.mark.parametrize("option", ["directory", "stdout_logfile"])
def test_paths__a_tilde_is_refused(option: str) -> None:
    with pytest.raises(ConfigError, match=rf"'fleet.{option}' is '~/x'.*write the whole path"):
        program(fleet={option: "~/x"})


def test_log__to_a_device_is_not_rotated() -> None:
    options = program(fleet={"stdout_logfile": "/dev/stdout"}).options
    assert options["stdout_logfile_maxbytes"] == "0"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"processes": 2, "process_name": "x"},
            "'fleet.process_name' is 'x', the same for all 2 processes",
        ),
        ({"stopasgroup": True, "killasgroup": False}, "'fleet.killasgroup' is false"),
        ({"stderr_logfile": "/tmp/x"}, "'fleet.stderr_logfile' is not used"),
        ({"stdout_logfile": "syslog"}, "set stdout_syslog = true instead"),
        (
            {"stdout_logfile": "/dev/stdout", "stdout_logfile_maxbytes": "1MB"},
            "'fleet.stdout_logfile_maxbytes' is 1MB, but /dev/stdout cannot be rotated",
        ),
        ({"processes": 2, "stdout_logfile": "/tmp/x"}, "2 processes would rotate one file"),
    ],
)
def test_lint__options_that_contradict_each_other(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        program(fleet=options)


@pytest.mark.parametrize(
    "options",
    [
        {"processes": 2, "process_name": "%(process_num)d"},
        {"stopasgroup": True},
        {"redirect_stderr": False, "stderr_logfile": "/tmp/x"},
        {"processes": 2, "stdout_logfile": "/tmp/x", "stdout_logfile_maxbytes": 0},
        {"processes": 2, "stdout_logfile": "/tmp/%(process_num)02d"},
    ],
)
def test_lint__says_nothing_of_options_that_go_together(options: dict[str, Any]) -> None:
    assert program(fleet=options)


def test_lint__tells_all_problems_at_once() -> None:
    with pytest.raises(ConfigError) as raised:
        fleet(programs={"worker_foo": {"stopwaitsecs": 1}, "worker_bar": {"stopwaitsecs": 2}})
    assert len(str(raised.value).splitlines()) == 2


def test_plan__without_tasks_is_refused() -> None:
    with pytest.raises(ConfigError, match="No tasks in shop: a fleet without programs"):
        plan(Registry(modules=()), settings(apps=["shop"]))


def test_plan__leaves_its_settings_as_they_were() -> None:
    given = settings(fleet={"environment": {"A": "b"}})
    plan(registry(ONE), given, django_settings="x")
    assert given.layers.fleet == {"environment": {"A": "b"}}


def test_pool__is_one_process_that_forks_the_workers() -> None:
    single = program(fleet={"processes": 8})
    pool = program(fleet={"processes": 8, "mode": "pool"})
    assert (single.processes, single.pool, single.workers) == (8, 0, 8)
    assert (pool.processes, pool.pool, pool.workers) == (1, 8, 8)
    assert pool.command == (*single.command, "--processes", "8")
    assert pool.options["stopwaitsecs"] == single.options["stopwaitsecs"] + 5  # type: ignore[operator]
    assert pool.environment["GEARFLEET_DIRECTORY"] == pool.options["directory"]
    assert "GEARFLEET_DIRECTORY" not in single.environment


def test_pool__of_no_workers_is_left_out() -> None:
    assert names(fleet={"mode": "pool"}, queues={"foo": {"processes": 0}}) == [
        "mail_tasks_nightly",
        "worker_bar",
        "worker_bar2",
    ]


def test_pool__stops_before_supervisor_kills_it() -> None:
    assert POOL_MARGIN == PATIENCE
    with pytest.raises(ConfigError, match=r"hook_timeout \+ 5 for its pool"):
        program(fleet={"mode": "pool", "stopwaitsecs": 79})


def test_mode__is_one_of_two() -> None:
    with pytest.raises(ConfigError, match='must be "processes" or "pool"; it is \'prefork\''):
        program(fleet={"mode": "prefork"})
