"""``gearfleet scale bar=8``: another number of processes, at once."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gearfleet.errors import ConfigError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from gearfleet.cli.builder import Verbs
    from gearfleet.cli.fleets import Planned
    from gearfleet.cli.output import Output
    from gearfleet.fleet.scaling import Scaled


def add_verbs(verbs: Verbs) -> None:
    """Add the verb ``scale``."""
    from gearfleet.cli.apply import add_how
    from gearfleet.cli.fleets import add_host
    from gearfleet.fleet.scaling import parse_target

    parser = verbs.add("scale", scale)
    parser.add_argument(
        "targets",
        nargs="+",
        type=parse_target,
        metavar="GROUP=N",
        help="how many processes each program of a group has; or one program: PROGRAM=N",
    )
    parser.add_argument("--save", action="store_true", help="also write it into the settings file")
    add_how(parser)
    add_host(parser)


def scale(args: argparse.Namespace, output: Output) -> int:
    """Change the rendered files, and bring supervisord to them, as ``apply`` does."""
    from gearfleet.cli.apply import prepare, require_configuration
    from gearfleet.fleet import scaling
    from gearfleet.fleet.checks.reading import read_main
    from gearfleet.fleet.install import edited_files, installation

    require_configuration(args.configuration)
    found = scaling.scale(read_main(args.configuration, os.environ), dict(args.targets))
    saving = _saving(args, found) if args.save else None
    with installation(found.files, found.target) as ready:
        if edited := sorted(edited_files(found.target) & found.files.keys()):
            raise ConfigError(
                f"Edited by hand since gearfleet wrote it: {', '.join(edited)}. Bring the change "
                "into the settings and apply them first"
            )
        change = prepare(ready, args, output)
    if change.is_committed and saving is not None:
        saving.write()
        output.talk(f"gearfleet: written to {saving.path}")
    return change.carry_out()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Saving:
    """A settings file, and what it is to be."""

    path: Path
    text: str

    def write(self) -> None:
        """Replace the file, whole or not at all; it keeps its mode."""
        path = self.path.resolve()
        draft = path.with_name(f".{path.name}.new")
        draft.write_text(self.text, encoding="utf-8")
        draft.chmod(path.stat().st_mode & 0o777)
        draft.replace(path)


def _saving(args: argparse.Namespace, found: Scaled) -> _Saving:
    """Return the settings file that says the same as `found`.

    Raises:
        ConfigError: it cannot be written so; the message has what to write by hand.
    """
    from gearfleet.cli.fleets import planned

    made = planned(args)
    path = Path(made.project.settings.origin)
    keys: dict[tuple[str, ...], int] = {
        (*_table(made, name, found), "processes"): count for name, count in args.targets
    }
    if path.suffix != ".toml":
        raise ConfigError(f"{path} is no file that gearfleet writes; {_by_hand(keys)}")
    text = _changed(path, keys)
    _prove(args, made, found, tomllib.loads(text))
    return _Saving(path=path, text=text)


def _table(made: Planned, name: str, found: Scaled) -> tuple[str, str]:
    """Return the table of the settings that is about a group or a program."""
    short = name.removeprefix(made.fleet.prefix)
    return ("queues" if name in found.groups else "programs", short)


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


def _prove(args: argparse.Namespace, made: Planned, found: Scaled, data: dict[str, Any]) -> None:
    """Raise unless the new settings make so many processes: a stronger one may say otherwise."""
    from gearfleet.cli.fleets import plan_of
    from gearfleet.config import read_settings

    project, path = made.project, Path(made.project.settings.origin)
    for name in filter(None, _root(path).split(".")):
        data = data[name]
    new = read_settings(data, root=path.parent, origin=str(path))
    settings = replace(project.settings, layers=new.layers, hosts=new.hosts, groups=new.groups)
    fleet = plan_of(replace(project, settings=settings), args).fleet
    planned = {program.name: program.pool or program.processes for program in fleet.programs}
    for program, count in found.programs.items():
        if planned.get(program, 0) != count:
            raise ConfigError(
                f"With {count} written down, program '{program}' would still have "
                f"{planned.get(program, 0)} processes: a stronger setting says so "
                "(see `gearfleet config`). Change that one"
            )
