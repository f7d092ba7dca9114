"""The numbers of ``scale --save``, written into the settings file."""

from __future__ import annotations

import argparse
import os
import tomllib
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gearfleet.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gearfleet.cli.fleets import Planned
    from gearfleet.cli.output import Output


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted on a host: numbers by program, and which of the given names are of groups."""

    programs: Mapping[str, int]
    groups: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """A settings file, and what it is to be."""

    path: Path
    text: str

    def save(self, output: Output) -> None:
        """Replace the file, whole or not at all, and say so; it keeps its mode and its owner."""
        path = self.path.resolve()
        before = path.stat()
        draft = path.with_name(f".{path.name}.new")
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o600)  # nobody reads it who may not read the file
        draft.write_text(self.text, encoding="utf-8")
        if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
            with suppress(PermissionError):  # only root may give a file away
                os.chown(draft, before.st_uid, before.st_gid)
        draft.chmod(before.st_mode & 0o777)
        draft.replace(path)
        output.talk(f"gearfleet: written to {self.path}")


def saving_of(args: argparse.Namespace, wanted: Mapping[str, Wanted]) -> Saving:
    """Return the settings file that says the same as is `wanted` of each host.

    Raises:
        ConfigError: it cannot be written so; the message has what to write by hand.
    """
    from gearfleet.cli.fleets import planned

    made = planned(_as_on(args, next(iter(wanted))))
    path = Path(made.project.settings.origin)
    keys: dict[tuple[str, ...], int] = {
        (*_table(args, made, name, wanted), "processes"): count for name, count in args.targets
    }
    if path.suffix != ".toml":
        raise ConfigError(f"{path} is no file that gearfleet writes; {_by_hand(keys)}")
    text = _changed(path, keys)
    for host, found in wanted.items():
        _prove(_as_on(args, host), made, found, tomllib.loads(text))
    return Saving(path=path, text=text)


def _as_on(args: argparse.Namespace, host: str) -> argparse.Namespace:
    return argparse.Namespace(**{**vars(args), "host": host, "cpus": None})


def _table(
    args: argparse.Namespace, made: Planned, name: str, wanted: Mapping[str, Wanted]
) -> tuple[str, ...]:
    """Return the table of the settings that is about a group or a program on the chosen hosts."""
    from gearfleet.config.settings import ALL_HOSTS

    is_group = any(name in found.groups for found in wanted.values())
    scope = () if args.host in {None, ALL_HOSTS} else ("hosts", args.host)
    kind = "queues" if is_group else "programs"
    return (*scope, kind, name.removeprefix(made.fleet.prefix))


def _by_hand(keys: Mapping[tuple[str, ...], int]) -> str:
    return "write by hand: " + "; ".join(f"{'.'.join(key)} = {n}" for key, n in keys.items())


def _changed(path: Path, keys: Mapping[tuple[str, ...], int]) -> str:
    from gearfleet.config.writing import maybe_changed

    text = path.read_text(encoding="utf-8")
    for key, count in keys.items():
        changed = maybe_changed(text, key, count, table=_root(path))
        if changed is None:
            raise ConfigError(f"{path} is written in a way of its own; {_by_hand(keys)}")
        text = changed
    return text


def _root(path: Path) -> str:
    return "tool.gearfleet" if path.name == "pyproject.toml" else ""


def _prove(args: argparse.Namespace, made: Planned, found: Wanted, data: dict[str, Any]) -> None:
    """Raise unless the new settings make so many processes: a stronger one may say otherwise."""
    from gearfleet.cli.fleets import plan_of
    from gearfleet.config import read_settings

    project, path = made.project, Path(made.project.settings.origin)
    for name in filter(None, _root(path).split(".")):
        data = data[name]
    new = read_settings(data, root=path.parent, origin=str(path))
    settings = replace(project.settings, layers=new.layers, hosts=new.hosts, groups=new.groups)
    fleet = plan_of(project._replace(settings=settings), args).fleet
    planned = {program.name: program.pool or program.processes for program in fleet.programs}
    for program, count in found.programs.items():
        if planned.get(program, 0) != count:
            raise ConfigError(
                f"With {count} written down, program '{program}' would still have "
                f"{planned.get(program, 0)} processes: a stronger setting says so "
                "(see `gearfleet config`). Change that one"
            )
