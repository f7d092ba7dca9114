"""`Settings`: everything that a project tells gearfleet, as one frozen value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gearfleet.config.options import (
    BadValue,
    Value,
    check_options,
    checked_value,
    name,
    seconds,
    text,
    texts,
)
from gearfleet.config.rundir import default_run_dir
from gearfleet.errors import ConfigError, did_you_mean

#: Options of a program, as one table of the settings gives them.
Options = Mapping[str, Value]

HOOKS = ("on_start", "before_job", "after_job", "on_shutdown")
DEFAULT_SERVERS = ("127.0.0.1:4730",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """Program options at three ranks; a program's own beat its queue's, those the fleet's."""

    fleet: Options = field(default_factory=dict)
    queues: Mapping[str, Options] = field(default_factory=dict)
    programs: Mapping[str, Options] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What is different on one host, and where its supervisord listens."""

    url: str | None = None
    layers: Layers = field(default_factory=Layers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one project.

    Attributes:
        apps: packages (or modules) that are searched for worker modules.
        servers: job servers, each ``host``, ``host:port`` or ``[v6]:port``.
        prefix: put before a task's name to make its function; a text or a callable.
        hooks: dotted paths of hooks, by the name of the hook.
        client_timeout: seconds that a caller waits for a result by default.
        template_dir: templates here are used before the built-in ones.
        run_dir: where the workers of this host keep what they tell about themselves.
        name: of the fleet, put before programs and groups; empty for none.
        layers: program options of the project.
        hosts: program options of single hosts, and their supervisord's address.
        root: the project's directory: imports start and programs run there.
        origin: what the settings were read from, for messages and headers.
        rendered_environment: variables that a worker needs to see the same settings.
    """

    apps: tuple[str, ...] = ()
    servers: tuple[str, ...] = DEFAULT_SERVERS
    prefix: str | Callable[[str], str] = ""
    hooks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    client_timeout: float = 60.0
    template_dir: Path | None = None
    run_dir: Path = field(default_factory=default_run_dir)
    name: str = ""
    layers: Layers = field(default_factory=Layers)
    hosts: Mapping[str, Host] = field(default_factory=dict)
    root: Path = field(default_factory=Path.cwd)
    origin: str = "built-in defaults"
    rendered_environment: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_mapping(cls, table: Mapping[str, Any], *, root: Path, origin: str) -> Settings:
        """Return the settings that `table` (a parsed TOML file, Django's dict) means.

        Paths in it are relative to `root`.

        Raises:
            ConfigError: an unknown key or a value of the wrong kind, named by
                `origin` and the key's path.
        """
        try:
            return cls(**_read(table, root), origin=origin)
        except ConfigError as error:
            raise ConfigError(f"{origin}: {error}") from None


def _read(table: Mapping[str, Any], root: Path) -> dict[str, Any]:
    for key in table:
        if key not in _READERS:
            raise ConfigError(f"Unknown setting '{key}' {did_you_mean(key, _READERS)}")
    base = root / _text(table.get("root", "."), "root")
    values: dict[str, Any] = {"root": base.resolve()}
    values.update(_read_layers(table))
    for key in table.keys() & _PLAIN.keys():
        values[key] = _PLAIN[key](table[key], key)
    for key in table.keys() & {"template_dir", "run_dir"}:
        values[key] = root / _text(table[key], key)
    return values


def _text(value: object, path: str) -> str:
    return str(checked_value(text, value, path))


def _apps(value: object, path: str) -> tuple[str, ...]:
    return _texts(value, path)


def _texts(value: object, path: str) -> tuple[str, ...]:
    checked = checked_value(texts, value, path)
    assert isinstance(checked, tuple)
    return checked


def _servers(value: object, path: str) -> tuple[str, ...]:
    servers = _texts(value, path)
    if not servers:
        raise ConfigError(f"Setting '{path}' names no job server; give at least one host:port")
    return servers


def _prefix(value: object, path: str) -> str | Callable[[str], str]:
    return value if callable(value) else _text(value, path)


def _seconds(value: object, path: str) -> float:
    checked = checked_value(seconds, value, path)
    assert isinstance(checked, int | float)
    return checked


def _hooks(value: object, path: str) -> dict[str, tuple[str, ...]]:
    table = _table(value, path)
    for key in table:
        if key not in HOOKS:
            raise ConfigError(f"Unknown setting '{path}.{key}' {did_you_mean(key, HOOKS)}")
    return {key: _texts(item, f"{path}.{key}") for key, item in table.items()}


def _table(value: object, path: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"Setting '{path}' must be a table; it is {value!r}")
    return value


def _tables(value: object, path: str) -> dict[str, Mapping[str, Any]]:
    return {key: _table(item, f"{path}.{key}") for key, item in _table(value, path).items()}


def _read_layers(table: Mapping[str, Any]) -> dict[str, Any]:
    fleet = dict(_table(table.get("fleet", {}), "fleet"))
    values: dict[str, Any] = {"layers": _layers({**table, "fleet": fleet}, "")}
    hosts = _tables(table.get("hosts", {}), "hosts")
    values["hosts"] = {key: _host(item, f"hosts.{key}.") for key, item in hosts.items()}
    if "name" in fleet:
        values["name"] = checked_value(name, fleet["name"], "fleet.name") if fleet["name"] else ""
    return values


def _layers(table: Mapping[str, Any], path: str) -> Layers:
    fleet = {k: v for k, v in _table(table.get("fleet", {}), f"{path}fleet").items()}
    if not path:
        fleet.pop("name", None)
    queues = _tables(table.get("queues", {}), f"{path}queues")
    programs = _tables(table.get("programs", {}), f"{path}programs")
    return Layers(
        fleet=check_options(fleet, f"{path}fleet", without=["program"]),
        queues={
            key: check_options(item, f"{path}queues.{key}", without=["program"])
            for key, item in queues.items()
        },
        programs={
            key: check_options(item, f"{path}programs.{key}") for key, item in programs.items()
        },
    )


def _host(table: Mapping[str, Any], path: str) -> Host:
    known = ("url", "fleet", "queues", "programs")
    for key in table:
        if key not in known:
            raise ConfigError(f"Unknown setting '{path}{key}' {did_you_mean(key, known)}")
    url = _text(table["url"], f"{path}url") if "url" in table else None
    return Host(url=url, layers=_layers(table, path))


_PLAIN: Mapping[str, Callable[[object, str], Any]] = {
    "apps": _apps,
    "servers": _servers,
    "prefix": _prefix,
    "hooks": _hooks,
    "client_timeout": _seconds,
}
_READERS = frozenset(
    {*_PLAIN, "root", "template_dir", "run_dir", "fleet", "queues", "programs", "hosts"}
)

__all__ = ["DEFAULT_SERVERS", "HOOKS", "BadValue", "Host", "Layers", "Options", "Settings"]
