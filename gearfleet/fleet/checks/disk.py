"""Rules over a directory with rendered files: is it what would be rendered now?"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gearfleet.fleet.checks.known import RUNNABLE
from gearfleet.fleet.findings import Finding, finding
from gearfleet.fleet.render import marker

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gearfleet.fleet.checks.ini import ConfigFile
    from gearfleet.fleet.checks.texts import Configuration
    from gearfleet.fleet.model import Fleet


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A directory to which a fleet is rendered.

    Attributes:
        path: of it.
        files: text of each file that ends as ``*.conf``, by name.
        edited: names of those that are not what gearfleet wrote last.
        exists: whether there is such a directory.
    """

    path: Path
    files: Mapping[str, str] = field(default_factory=dict)
    edited: frozenset[str] = frozenset()
    exists: bool = True


def review_folder(fleet: Fleet, wanted: Mapping[str, str], folder: Folder) -> Iterator[Finding]:
    """Yield how `folder` differs from `wanted`, the texts that would be rendered now."""
    mark = marker(fleet.name)
    if not folder.exists:
        yield finding("GF401", f"There is no directory {folder.path}")
        return
    render = f"Run gearfleet render -o {folder.path}"
    for name, text in wanted.items():
        yield from _compared(folder, name, text, mark, render)
    for name in sorted(folder.files.keys() - wanted.keys()):
        if folder.files[name].partition("\n")[0] == mark:
            message = f"{name} is of a program that the fleet does not have any more"
            yield finding("GF404", message, f"{render}, which removes it", place=_at(folder, name))


def _compared(folder: Folder, name: str, text: str, mark: str, render: str) -> Iterator[Finding]:
    place = _at(folder, name)
    if name not in folder.files:
        yield finding("GF401", f"{name} is missing in {folder.path}", render, place=place)
    elif folder.files[name].partition("\n")[0] != mark:
        yield finding("GF405", f"{name} was not written by gearfleet for this fleet", place=place)
    elif folder.files[name] != text:
        place = (place[0], _first_difference(folder.files[name], text))
        if name in folder.edited:
            yield finding("GF403", f"{name} was edited by hand", place=place)
        else:
            yield finding("GF402", f"{name} is not what would be rendered now", render, place=place)


def _at(folder: Folder, name: str) -> tuple[str, int]:
    return str(folder.path / name), 0


def _first_difference(one: str, other: str) -> int:
    """Return the first line in which two texts differ."""
    mine, theirs = one.splitlines(), other.splitlines()
    pairs = zip(mine, theirs, strict=False)
    same = next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(mine), len(theirs)))
    return same + 1


def review_inclusion(
    configuration: Configuration, wanted: Mapping[str, str], folder: Folder
) -> Iterator[Finding]:
    """Yield `folder` if the main file of `configuration` does not include what is rendered to it."""
    targets = [folder.path.resolve() / name for name in wanted]
    for pattern in map(Path, configuration.patterns):
        resolved = pattern.parent.resolve() / pattern.name
        if all(target.match(str(resolved)) for target in targets):
            return
    main = configuration.files[0].file
    yield finding("GF406", f"{main} does not include {folder.path}/*.conf", place=(main, 0))


def review_clashes(fleet: Fleet, configuration: Configuration) -> Iterator[Finding]:
    """Yield names of `fleet` that files have which gearfleet did not write for it."""
    mark = marker(fleet.name)
    groups = {group.name for group in fleet.groups}
    programs = {program.name for program in fleet.programs}
    for file in configuration.files:
        if file.text.partition("\n")[0] != mark:
            yield from _clashes(file, groups, programs)


def _clashes(file: ConfigFile, groups: set[str], programs: set[str]) -> Iterator[Finding]:
    for section in file.sections:
        is_program = section.kind in RUNNABLE and section.title in programs
        is_group = section.kind in ("group", *RUNNABLE) and section.title in groups
        if is_program or is_group:
            kind = "program" if is_program else "group"
            yield finding(
                "GF207",
                f"[{section.name}] has the name of a {kind} of this fleet, and gearfleet did not "
                "write it for that",
                place=section.place,
            )
