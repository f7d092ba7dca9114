"""From a parsed settings table to `Settings`: every key is known or named as a mistake."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from gearfleet.config import values
from gearfleet.config.options import check_options, checked
from gearfleet.config.settings import (
    ALL_HOSTS,
    GroupSettings,
    Host,
    Layers,
    Settings,
    toml_key,
)
from gearfleet.errors import ConfigError, LocalProtocolError, did_you_mean

if TYPE_CHECKING:
    from pathlib import Path

    from gearfleet.config.settings import Options

HOOKS = ("on_start", "on_fork", "before_job", "after_job", "on_failure", "on_drain", "on_shutdown")
LAYERS = ("fleet", "queues", "programs")

Table = Mapping[str, Any]
T = TypeVar("T")


def read_settings(table: Table, *, root: Path, origin: str) -> Settings:
    """Return the settings that `table` (a parsed TOML file, Django's dict) means.

    Paths in it are relative to `root`.

    Raises:
        ConfigError: an unknown key or a value of the wrong kind, named by
            `origin` and the key's path.
    """
    try:
        _refuse_unknown(table, [*_PLAIN, *_PATHS, *LAYERS, "groups", "hosts"], "")
        plain = {key: read(table[key], key) for key, read in _PLAIN.items() if key in table}
        paths: dict[str, Any] = {
            key: root / _text(table[key], key) for key in _PATHS if key in table
        }
        paths["root"] = paths.get("root", root).resolve()
        given = {*plain, *(key for key in _PATHS if key in table)}
        fleet = _read_fleet(table)
        if fleet["name"]:
            given.add("name")
        return Settings(
            **plain, **paths, **fleet, origin=origin, sources=dict.fromkeys(given, origin)
        )
    except ConfigError as error:
        raise ConfigError(f"{origin}: {error}") from None


def _read_fleet(table: Table) -> dict[str, Any]:
    fleet = dict(_table(table.get("fleet", {}), "fleet"))
    name = fleet.pop("name", "")
    return {
        "name": checked(values.name, name, "fleet.name") if name else "",
        "layers": _layers({**table, "fleet": fleet}, ""),
        "groups": {
            checked(values.name, key, "groups"): _group(item, f"groups.{toml_key(key)}")
            for key, item in _tables(table, "groups", "").items()
        },
        "hosts": _hosts(table),
    }


def _hosts(table: Table) -> dict[str, Host]:
    tables = _tables(table, "hosts", "")
    hosts = {key: _host(item, f"hosts.{toml_key(key)}") for key, item in tables.items()}
    _refuse_bad_roles(hosts)
    return hosts


def _layers(table: Table, path: str) -> Layers:
    def options_of(rank: str) -> dict[str, Options]:
        return {
            key: check_options(item, rank, f"{path}{rank}.{toml_key(key)}")
            for key, item in _tables(table, rank, path).items()
        }

    fleet = _table(table.get("fleet", {}), f"{path}fleet")
    return Layers(
        fleet=check_options(fleet, "fleet", f"{path}fleet"),
        queues=options_of("queues"),
        programs=options_of("programs"),
    )


def _group(table: Table, path: str) -> GroupSettings:
    return GroupSettings(**_given(table, _GROUP, path))


def _host(table: Table, path: str) -> Host:
    own = {key: item for key, item in table.items() if key not in LAYERS}
    given = _given(own, _HOST, path, LAYERS)
    if not given.get("url"):
        for key in given.keys() & {"username_env", "password_env"}:
            raise ConfigError(f"Setting '{path}.{key}' needs '{path}.url', which has none")
    return Host(**given, layers=_layers(table, f"{path}."))


def _given(
    table: Table,
    known: Mapping[str, Callable[[object, str], Any]],
    path: str,
    others: Sequence[str] = (),
) -> dict[str, Any]:
    """Return what `table` says, each value as its entry in `known` reads it."""
    _refuse_unknown(table, [*known, *others], f"{path}.")
    return {key: known[key](item, f"{path}.{key}") for key, item in table.items()}


def _refuse_bad_roles(hosts: Mapping[str, Host]) -> None:
    """Raise `ConfigError` for a role that is none: a role has no supervisord and no role."""
    if ALL_HOSTS in hosts:
        raise ConfigError(f"Setting 'hosts.{ALL_HOSTS}' cannot be: --host takes it for every host")
    roles = [name for name, host in hosts.items() if not host.url and not host.role]
    for name, host in hosts.items():
        if host.role is not None and host.role not in roles:
            raise ConfigError(
                f"Setting 'hosts.{toml_key(name)}.role' is '{host.role}', which is no role: an "
                f"entry of [hosts] without url and role {did_you_mean(host.role, roles)}"
            )


def _refuse_unknown(table: Table, known: list[str], path: str) -> None:
    for key in table:
        if key not in known:
            raise ConfigError(f"Unknown setting '{path}{key}' {did_you_mean(key, known)}")


def _table(value: object, path: str) -> Table:
    if not isinstance(value, Mapping):
        raise ConfigError(f"Setting '{path}' must be a table; it is {value!r}")
    return value


def _tables(table: Table, key: str, path: str) -> dict[str, Table]:
    outer = _table(table.get(key, {}), f"{path}{key}")
    return {name: _table(item, f"{path}{key}.{name}") for name, item in outer.items()}


def _text(value: object, path: str) -> str:
    return checked(values.text, value, path)


def _texts(value: object, path: str) -> tuple[str, ...]:
    return checked(values.texts, value, path)


def _servers(value: object, path: str) -> tuple[str, ...]:
    return check_servers(_texts(value, path), f"Setting '{path}'")


def check_servers(servers: tuple[str, ...], source: str) -> tuple[str, ...]:
    """Return `servers`, which are those of `source`, if each is an address.

    Raises:
        ConfigError: there is none, or one has no known form.
    """
    # Every process of a Django project imports this module; few of them speak Gearman.
    from gearfleet.gearman.addresses import Address

    if not servers:
        raise ConfigError(f"{source} names no job server; give at least one host:port")
    for server in servers:
        try:
            Address.parse(server)
        except LocalProtocolError as error:
            raise ConfigError(f"{source}: {error}") from error
    return servers


def _prefix(value: object, path: str) -> str | Callable[[str], str]:
    return value if callable(value) else _text(value, path)


def _store(value: object, path: str) -> str:
    return checked(values.store, value, path)


def _schedules(value: object, path: str) -> dict[str, Table]:
    return {
        name: _table(item, f"{path}.{toml_key(name)}") for name, item in _table(value, path).items()
    }


def _signing_keys(value: object, path: str) -> tuple[str, ...]:
    return check_signing_keys(value, f"Setting '{path}'")


def check_signing_keys(value: object, source: str) -> tuple[str, ...]:
    """Return the secrets of `source`, or raise `ConfigError`, whose message shows none of them."""
    try:
        return values.secrets(value)
    except values.BadValue as expected:
        raise ConfigError(f"{source} must be {expected}") from None


def _url(value: object, path: str) -> str:
    if isinstance(value, str) and "@" in value.partition("://")[2].partition("/")[0]:
        raise ConfigError(  # which does not show the value
            f"Setting '{path}' holds a user or a password; name their environment variables in "
            "username_env and password_env, or leave them to ~/.netrc"
        )
    return checked(values.supervisord_url, value, path)


def _hooks(value: object, path: str) -> dict[str, tuple[str, ...]]:
    table = _table(value, path)
    _refuse_unknown(table, [*HOOKS], f"{path}.")
    return {key: _texts(item, f"{path}.{key}") for key, item in table.items()}


def _by(check: Callable[[object], T]) -> Callable[[object, str], T]:
    """Return what reads a value with `check`, given the path of its key."""
    return lambda value, path: checked(check, value, path)


_PLAIN: Mapping[str, Callable[[object, str], Any]] = {
    "apps": _texts,
    "servers": _servers,
    "prefix": _prefix,
    "hooks": _hooks,
    "client_timeout": _by(values.seconds),
    "worker_servers": _servers,
    "always_eager": _by(values.boolean),
    "disabled": _by(values.boolean),
    "send_failure": _by(values.send_failure),
    "signing_keys": _signing_keys,
    "compress_above": _by(values.count),
    "max_payload_bytes": _by(values.positive),
    "retries": _by(values.count),
    "retry_after": _by(values.seconds),
    "results": _by(values.results),
    "save_limit": _by(values.save_limit),
    "failure_limit": _by(values.count),
    "save_limit_per": _by(values.save_limit_per),
    "quarantine_after": _by(values.count),
    "schedules": _schedules,
    "schedule_store": _store,
    "time_zone": _text,
    "release": _text,
}
_HOST: Mapping[str, Callable[[object, str], Any]] = {
    "url": _url,
    "username_env": _by(values.variable),
    "password_env": _by(values.variable),
    "role": _text,
    "cpus": _by(values.positive),
}
_GROUP: Mapping[str, Callable[[object, str], Any]] = {
    "programs": _texts,
    "priority": _by(values.integer),
}
_PATHS = ("root", "template_dir", "run_dir")
