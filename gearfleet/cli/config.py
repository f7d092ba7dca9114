"""``gearfleet config``: the settings that count, and where each of them comes from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from gearfleet.cli.builder import Verbs
    from gearfleet.cli.output import Output
    from gearfleet.cli.project import Project
    from gearfleet.config import Layers, Settings

COLUMNS = ("setting", "value", "from")
DEFAULT = "default"
HIDDEN = "(not shown)"

#: Of `Settings` what is no setting, or is shown in parts.
_NOT_SHOWN = ("layers", "groups", "hosts", "origin", "rendered_environment", "sources", "name")
#: How a variable is called whose value nobody should read over a shoulder.
_SECRET = re.compile(r"SECRET|PASS|PWD|TOKEN|KEY|CREDENTIAL|AUTH|PRIVATE|DSN|COOKIE|SALT", re.I)
_PASSWORD_IN_URL = re.compile(r"(://[^/\s:@]*):[^/\s@]+@")

#: A setting by its key's path, its value, and where that comes from.
Row = tuple[str, Any, str]


def add_verbs(verbs: Verbs) -> None:
    """Add the verb ``config``."""
    from gearfleet.cli.fleets import add_host

    parser = verbs.add("config", config)
    parser.add_argument(
        "program", nargs="?", metavar="PROGRAM", help="the options of one program, all layers told"
    )
    add_host(parser, with_cpus=False)


def config(args: argparse.Namespace, output: Output) -> int:
    """Show the settings of the project, or the options of one program."""
    from gearfleet.cli.project import load_project

    project = load_project(args)
    rows = [*(_of_program(project, args) if args.program else of_project(project.settings))]
    shown = [(path, hidden(path, value), source) for path, value, source in rows]
    if output.json:
        output.data([dict(zip(COLUMNS, row, strict=True)) for row in shown])
    else:
        output.table("", COLUMNS, [[path, _text(value), source] for path, value, source in shown])
    return 0


def of_project(settings: Settings) -> Iterator[Row]:
    """Yield every setting of the project: the defaults too, but of programs what is written."""
    from gearfleet.config import release_of

    effective = {"release": release_of(settings), "worker_servers": settings.servers_of_workers}
    for field in fields(settings):
        if field.name not in _NOT_SHOWN:
            value = effective.get(field.name, getattr(settings, field.name))
            yield field.name, _plain(value), _source(settings, field.name)
    for path, value in _of_fleet(settings):
        yield path, _plain(value), settings.sources.get(path, settings.origin)


def _source(settings: Settings, name: str) -> str:
    other = "servers" if name == "worker_servers" else name  # which it is where nobody says
    return settings.sources.get(name) or settings.sources.get(other, DEFAULT)


def _of_fleet(settings: Settings) -> Iterator[tuple[str, object]]:
    from gearfleet.config import toml_key

    if settings.name:
        yield "fleet.name", settings.name
    yield from _of_layers("", settings.layers)
    for name, group in settings.groups.items():
        yield from _given(f"groups.{toml_key(name)}", group)
    for name, host in settings.hosts.items():
        path = f"hosts.{toml_key(name)}"
        yield from _given(path, host)
        yield from _of_layers(f"{path}.", host.layers)


def _given(path: str, table: Any) -> Iterator[tuple[str, object]]:
    for name, value in table._asdict().items():
        if name != "layers" and value not in (None, ()):
            yield f"{path}.{name}", value


def _of_layers(path: str, layers: Layers) -> Iterator[tuple[str, object]]:
    from gearfleet.config import toml_key

    tables: list[tuple[str, Mapping[str, Any]]] = [("fleet", layers.fleet)]
    tables += [(f"queues.{toml_key(name)}", table) for name, table in layers.queues.items()]
    tables += [(f"programs.{toml_key(name)}", table) for name, table in layers.programs.items()]
    for name, table in tables:
        for option, value in table.items():
            parts = value.items() if option == "environment" else ()
            yield from ((f"{path}{name}.environment.{key}", item) for key, item in parts)
            if option != "environment":
                yield f"{path}{name}.{option}", value


def _of_program(project: Project, args: argparse.Namespace) -> Iterator[Row]:
    """Yield the options of a program after all layers."""
    from gearfleet.cli.project import require_apps
    from gearfleet.config import OPTIONS
    from gearfleet.fleet import options_of
    from gearfleet.tasks import discover

    registry = discover(require_apps(project).apps)
    found = options_of(registry, project.settings, args.host, args.program)
    for option in OPTIONS:
        if option in found.values:
            yield option, _plain(found.values[option]), found.sources.get(option, DEFAULT)
    for name, value in sorted(found.environment.items()):
        yield f"environment.{name}", value, found.sources[f"environment.{name}"]


def _plain(value: Any) -> Any:
    """Return `value` as one of JSON."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if callable(value):
        module, name = getattr(value, "__module__", ""), getattr(value, "__qualname__", "")
        return f"{module}.{name}" if name else repr(value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def hidden(path: str, value: Any) -> Any:
    """Return `value` unless it is a secret, by the key's `path` or by its looks."""
    name = path.rpartition(".")[2]
    if path == "signing_keys":
        return [HIDDEN] * len(value)
    if ".environment." in f".{path}" and _SECRET.search(name):
        return HIDDEN
    if isinstance(value, dict):
        return {key: hidden(f"{path}.{key}", item) for key, item in value.items()}
    if isinstance(value, list):
        return [hidden(path, item) for item in value]
    return _PASSWORD_IN_URL.sub(rf"\1:{HIDDEN}@", value) if isinstance(value, str) else value


def _text(value: Any) -> str:
    import json

    if value is None or value == "":
        return "-"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
