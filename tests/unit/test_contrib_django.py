"""Django's settings as gearfleet reads them; Django itself is not set up here."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gearfleet.contrib.django.project import DATABASE_HOOKS, read_django
from gearfleet.errors import ConfigError
from gearfleet.tasks import App

INSTALLED = (App(name="shop", label="shop"), App(name="tools.post", label="mail"))


def read(environ: dict[str, str] | None = None, **django: Any) -> Any:
    return read_django(SimpleNamespace(**django), installed=INSTALLED, environ=environ or {})


def test_nothing_set__all_installed_apps_and_the_default_server() -> None:
    settings = read()
    assert settings.apps == ("shop", "tools.post")
    assert settings.servers == ("127.0.0.1:4730",)
    assert settings.hooks == DATABASE_HOOKS
    assert settings.root == Path.cwd()


def test_keys__upper_case_and_lower_case_names_as_they_are(tmp_path: Path) -> None:
    settings = read(
        BASE_DIR=tmp_path,
        GEARFLEET={
            "SERVERS": ["queue:4730"],
            "CLIENT_TIMEOUT": 5,
            "TEMPLATE_DIR": tmp_path / "templates",
            "FLEET": {"PROCESSES": 2, "environment": {"Mixed_Case": "x"}},
            "QUEUES": {"Bar": {"PROCESSES": 4, "DIRECTORY": tmp_path}},
            "programs": {"Worker_Foo": {"processes": 5}},
            "HOSTS": {"Web1": {"URL": "unix:///x", "QUEUES": {"Bar": {"PROCESSES": 8}}}},
            "HOOKS": {"ON_START": ["shop.hooks.begin"]},
        },
    )
    assert settings.origin == "Django settings GEARFLEET"
    assert (settings.root, settings.client_timeout) == (tmp_path.resolve(), 5)
    assert settings.template_dir == tmp_path / "templates"
    assert settings.layers.fleet == {"processes": 2, "environment": {"Mixed_Case": "x"}}
    assert settings.layers.queues == {"Bar": {"processes": 4, "directory": str(tmp_path)}}
    assert settings.layers.programs == {"Worker_Foo": {"processes": 5}}
    assert settings.hosts["Web1"].url == "unix:///x"
    assert settings.hosts["Web1"].layers.queues == {"Bar": {"processes": 8}}
    assert settings.hooks["on_start"] == ("shop.hooks.begin",)


def test_apps__those_that_are_named() -> None:
    assert read(GEARFLEET={"APPS": ["shop"]}).apps == ("shop",)


def test_hooks__the_database_comes_first() -> None:
    hooks = read(GEARFLEET={"HOOKS": {"before_job": ["shop.hooks.before"]}}).hooks
    assert hooks["before_job"] == (*DATABASE_HOOKS["before_job"], "shop.hooks.before")


@pytest.mark.parametrize(
    ("django", "servers"),
    [
        ({"GEARMAN_SERVERS": ["a:1"]}, ("a:1",)),
        ({"GEARMAN_SERVERS": "a:1"}, ("a:1",)),
        ({"GEARMAN_SERVERS": ["a:1"], "GEARMAN_WORKER_SERVERS": ["b:1"]}, ("a:1",)),
        ({"GEARMAN_WORKER_SERVERS": ["b:1"]}, ("b:1",)),
        ({"GEARMAN_CLIENT_SERVERS": ("c",), "GEARMAN_WORKER_SERVERS": ["b:1"]}, ("c",)),
        ({"GEARMAN_SERVERS": ["a:1"], "GEARFLEET": {"SERVERS": ["d:1"]}}, ("d:1",)),
    ],
)
def test_servers__the_originals_settings(django: Any, servers: tuple[str, ...]) -> None:
    assert read(**django).servers == servers


def test_environment__stands_above() -> None:
    settings = read({"GEARFLEET_SERVERS": "e:1"}, GEARFLEET={"SERVERS": ["d:1"]})
    assert settings.servers == ("e:1",)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"SERVER": []}, r"Unknown setting 'server'.*'servers'"),
        ({"QUEUES": {"bar": {"PROCESES": 1}}}, r"queues\.bar\.proceses.*'processes'"),
        ({"FLEET": 5}, "'fleet' must be a table"),
        ({"HOSTS": {"a": {"QUEUES": []}}}, r"hosts\.a\.queues"),
        (["SERVERS"], "must be a dict"),
        (None, "must be a dict"),
    ],
)
def test_mistakes__are_named(table: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=f"Django settings GEARFLEET.*{message}"):
        read(GEARFLEET=table)
