"""Hosts, roles and groups in the settings: how they are read, and who is meant by a name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gearfleet.config import Host
from gearfleet.config.credentials import credentials_of
from gearfleet.errors import ConfigError, UnknownName
from tests.support.fleets import settings

if TYPE_CHECKING:
    from pathlib import Path

FARM = {
    "web": {"cpus": 4, "fleet": {"processes": 8}},
    "web1": {"url": "http://web1:9001", "role": "web"},
    "web2": {"url": "http://web2:9001", "role": "web", "cpus": 2},
    "db1": {"url": "unix:///run/supervisor.sock"},
}


@pytest.mark.parametrize(
    ("name", "hosts"),
    [
        ("web1", ("web1",)),
        ("web", ("web1", "web2")),
        ("all", ("web1", "web2", "db1")),
        ("db2", ()),  # without a supervisord
    ],
)
def test_hosts_named(name: str, hosts: tuple[str, ...]) -> None:
    assert settings(hosts={**FARM, "db2": {}}).hosts_named(name) == hosts


def test_hosts_named__nobody() -> None:
    with pytest.raises(UnknownName, match=r"'wep' .*Did you mean 'web'") as raised:
        settings(hosts=FARM).hosts_named("wep")
    assert "all, db1, web, web1, web2" in str(raised.value)


def test_layers__of_a_host_its_role_and_the_project() -> None:
    paths = [path for path, _ in settings(hosts=FARM).layers_of("web2")]
    assert paths == ["", "hosts.web.", "hosts.web2."]
    assert [path for path, _ in settings(hosts=FARM).layers_of("elsewhere")] == [""]


@pytest.mark.parametrize(("host", "cpus"), [("web1", 4), ("web2", 2), ("db1", None), ("x", None)])
def test_cpus__of_a_host_or_its_role(host: str, cpus: int | None) -> None:
    assert settings(hosts=FARM).cpus_of(host) == cpus


@pytest.mark.parametrize(
    ("hosts", "said"),
    [
        ({"a": {"role": "b"}}, "'hosts.a.role' is 'b', which is no role"),
        ({"a": {"role": "w"}, "web": {}}, "(known: web)"),
        ({"a": {"role": "b"}, "b": {"url": "http://b"}}, "which is no role"),
        ({"all": {}}, "'hosts.all' cannot be"),
        ({"a": {"url": "web1:9001"}}, "'hosts.a.url' must be \"unix:///"),
        ({"a": {"password_env": "P"}}, "'hosts.a.password_env' needs 'hosts.a.url'"),
        ({"a": {"url": "http://b", "password_env": "a-b"}}, "name of an environment variable"),
        ({"a": {"cpus": 0}}, "'hosts.a.cpus' must be a whole number, 1 or more"),
        ({"a.b": {"cpu": 1}}, "Unknown setting 'hosts.\"a.b\".cpu'"),
    ],
)
def test_host__that_cannot_be(hosts: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        settings(hosts=hosts)
    assert said in str(raised.value)


def test_url__with_a_password_is_refused_without_showing_it() -> None:
    with pytest.raises(ConfigError, match="holds a user or a password") as raised:
        settings(hosts={"a": {"url": "http://user:hunter2@web1:9001"}})
    assert "hunter2" not in str(raised.value)


def test_environment__of_a_wrong_kind_shows_no_value() -> None:
    with pytest.raises(ConfigError, match="put the value of PORT in quotes") as raised:
        settings(fleet={"environment": {"TOKEN": "hunter2", "PORT": 1}})
    assert "hunter2" not in str(raised.value)


HOST = Host(url="http://web1:9001", username_env="U", password_env="P")


def test_credentials__from_the_environment() -> None:
    assert credentials_of(HOST, {"U": "shop", "P": "secret"}) == ("shop", "secret")
    with pytest.raises(ConfigError, match="the variable P for a supervisord; it is not set"):
        credentials_of(HOST, {"U": "shop"})


def test_credentials__from_netrc(tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine web1 login shop password secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    environ = {"HOME": str(tmp_path)}
    assert credentials_of(Host(url="http://web1:9001"), environ) == ("shop", "secret")
    assert credentials_of(Host(url="http://web2:9001"), environ) is None
    assert credentials_of(Host(url="unix:///run/s.sock"), environ) is None
    assert credentials_of(Host(url="http://web1"), {"HOME": "/nowhere"}) is None


def test_credentials__netrc_that_cannot_be_read_names_file_and_line(tmp_path: Path) -> None:
    broken = tmp_path / "netrc"
    broken.write_text("machine web1\nnonsense\n")
    with pytest.raises(ConfigError, match=r"credentials of web1: .*netrc, line"):
        credentials_of(Host(url="http://web1"), {"NETRC": str(broken)})


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ({"g": {"program": ["x"]}}, "Unknown setting 'groups.g.program'"),
        ({"g": {"programs": "x"}}, "'groups.g.programs' must be a list of texts"),
        ({"g": {"priority": "9"}}, "'groups.g.priority' must be a whole number"),
        ({"a b": {}}, "'groups' must be a name of letters"),
    ],
)
def test_group__that_cannot_be(groups: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        settings(groups=groups)
    assert said in str(raised.value)
