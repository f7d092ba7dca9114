"""A whole configuration as it would be with new files in place, before they are."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gearfleet.errors import ConfigError
from gearfleet.fleet.checks.disk import Folder, review_inclusion
from gearfleet.fleet.checks.ini import read
from gearfleet.fleet.checks.known import RUNNABLE
from gearfleet.fleet.manifest import groups_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gearfleet.fleet.checks.ini import ConfigFile
    from gearfleet.fleet.checks.texts import Configuration
    from gearfleet.fleet.install import Installation


def staged(configuration: Configuration, ready: Installation) -> Configuration:
    """Return `configuration` as it will be when `ready` has been committed.

    Raises:
        ConfigError: the main file does not include the directory, or a name of ours is
            also in a file of somebody else.
    """
    for missing in review_inclusion(configuration, ready.files, Folder(path=ready.target)):
        raise ConfigError(missing.sentence)
    mine = {str(ready.target.resolve() / name) for name in _names(ready)}
    others = tuple(file for file in configuration.files if _real(file) not in mine)
    ours = tuple(read(text, str(ready.target / name)) for name, text in ready.files.items())
    if clashes := list(_clashes(ours, others)):
        raise ConfigError("; ".join(clashes) + ". Rename one, or set 'name' in [fleet]")
    return replace(configuration, files=(*others, *ours))


def _names(ready: Installation) -> set[str]:
    return {*ready.files, *ready.changes.removed}


def _real(file: ConfigFile) -> str:
    path = Path(file.file)
    return str(path.parent.resolve() / path.name)


def _clashes(ours: tuple[ConfigFile, ...], others: tuple[ConfigFile, ...]) -> Iterator[str]:
    places: dict[str, list[str]] = defaultdict(list)
    for file in others:
        for section in file.sections:
            if section.kind in ("group", *RUNNABLE):
                places[section.name].append(f"{section.file}:{section.line}")
    for section in (section for file in ours for section in file.sections):
        if found := places.pop(section.name, None):
            yield f"[{section.name}] stands in {section.file} and in {', '.join(found)}"
    groups = groups_in(file.text for file in ours)
    for name in sorted(groups & groups_in(file.text for file in others)):
        yield f"'{name}' is a group of this fleet, and a group or program of another file"
