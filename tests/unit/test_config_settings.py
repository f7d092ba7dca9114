"""The settings schema: what is read, and how every mistake is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from gearfleet.config import DEFAULTS, Settings, read_settings
from gearfleet.errors import EXIT_CONFIG, ConfigError

ROOT = Path("/srv/app")


def read(**table: object) -> Settings:
    return read_settings(table, root=ROOT, origin="test.toml")


def test_defaults__are_those_of_an_empty_table() -> None:
    settings = read()
    assert settings.servers == ("127.0.0.1:4730",)
    assert settings.apps == ()
    assert settings.prefix == ""
    assert settings.root == ROOT
    assert settings.origin == "test.toml"


def test_layers__keep_each_rank_apart() -> None:
    settings = read(
        fleet={"processes": 2, "name": "shop"},
        queues={"bar": {"processes": 4}},
        programs={"worker_bar": {"environment": {"A": "1"}}},
        hosts={"web1": {"url": "unix:///run/s.sock", "queues": {"bar": {"processes": 8}}}},
    )
    assert settings.name == "shop"
    assert settings.layers.fleet == {"processes": 2}
    assert settings.layers.queues["bar"] == {"processes": 4}
    assert settings.layers.programs["worker_bar"] == {"environment": {"A": "1"}}
    assert settings.hosts["web1"].url == "unix:///run/s.sock"
    assert settings.hosts["web1"].layers.queues["bar"] == {"processes": 8}


def test_paths__are_relative_to_the_settings_file() -> None:
    settings = read(root="..", template_dir="conf/templates", run_dir="/run/shop")
    assert settings.root == Path("/srv")
    assert settings.template_dir == ROOT / "conf/templates"
    assert settings.run_dir == Path("/run/shop")


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"server": ["a"]}, "Unknown setting 'server' (known: "),
        ({"server": ["a"]}, "Did you mean 'servers'?"),
        ({"fleet": {"proceses": 2}}, "Unknown setting 'fleet.proceses'"),
        ({"fleet": {"proceses": 2}}, "Did you mean 'processes'?"),
        ({"queues": {"bar": {"stopwaitsec": 2}}}, "Did you mean 'stopwaitsecs'?"),
        ({"hosts": {"web1": {"queue": {}}}}, "Unknown setting 'hosts.web1.queue'"),
        (
            {"hosts": {"w": {"queues": {"bar": {"processes": "x"}}}}},
            "'hosts.w.queues.bar.processes'",
        ),
        ({"hooks": {"on_stop": ["a.b"]}}, "Unknown setting 'hooks.on_stop'"),
        ({"fleet": {"program": "x"}}, "'fleet.program' cannot be set: it is for one program"),
        ({"fleet": {"numprocs": 3}}, "'fleet.numprocs' cannot be set: set 'processes'"),
        ({"fleet": {"command": "x"}}, "set 'executable'"),
    ],
)
def test_unknown_keys__are_named_with_the_nearest(table: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(**table)
    assert said in str(caught.value)
    assert str(caught.value).startswith("test.toml: ")
    assert caught.value.exit_code == EXIT_CONFIG


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("processes", -1, "a whole number, 0 or more"),
        ("processes", True, "a whole number, 0 or more"),
        ("processes", 1.5, "a whole number"),
        ("autostart", "yes", "true or false"),
        ("autorestart", "maybe", 'true, false or "unexpected"'),
        ("stopsignal", "SIGTERM", "one of TERM"),
        ("exitcodes", [256], "exit codes from 0 to 255"),
        ("exitcodes", [], "exit codes from 0 to 255"),
        ("umask", "9", "octal"),
        ("umask", 22, "octal"),
        ("stdout_logfile_maxbytes", "1.5MB", "a size"),
        ("stdout_logfile_maxbytes", True, "a size"),
        ("stopwaitsecs", 0, "1 or more"),
        ("drain_timeout", "60", "a number of seconds"),
        ("drain_timeout", float("inf"), "a number of seconds"),
        ("drain_timeout", float("nan"), "a number of seconds"),
        ("prefetch", 0, "a whole number, 1 or more"),
        ("environment", {"A-B": "x"}, "'A-B' is no name"),
        ("environment", {"A": 1}, "put the value of A in quotes"),
        ("environment", "A=1", "a table of texts"),
        ("directory", 3, "a text"),
        ("executable", [], "a command"),
    ],
)
def test_values__of_a_wrong_kind_name_the_key_and_what_fits(
    option: str, value: object, expected: str
) -> None:
    with pytest.raises(ConfigError, match=f"Setting 'fleet.{option}' must be") as caught:
        read(fleet={option: value})
    assert expected in str(caught.value)


def test_servers__must_not_be_an_empty_list() -> None:
    with pytest.raises(ConfigError, match="names no job server"):
        read(servers=[])


@pytest.mark.parametrize("server", ["a:b", "a:0", "two words", ":4730", ""])
def test_servers__must_be_addresses(server: str) -> None:
    with pytest.raises(ConfigError, match=r"test.toml: Setting 'servers': .*use 'host'"):
        read(servers=["10.0.0.5", server])


@pytest.mark.parametrize("name", ["my shop", "all", ".hidden", "-o"])
def test_name__must_be_one_that_supervisor_can_use(name: str) -> None:
    with pytest.raises(ConfigError, match=r"'fleet.name' must be a name of letters"):
        read(fleet={"name": name})


def test_defaults__pass_their_own_checks() -> None:
    tables = {key: list(map(int, v)) if key == "exitcodes" else v for key, v in DEFAULTS.items()}
    assert read(fleet=tables).layers.fleet == DEFAULTS
