"""Another number of processes in files that were rendered: nothing else of them changes.

Neither the settings nor the tasks are read, so that a broken code base does not
keep anybody from adding workers.
"""

from __future__ import annotations

import re
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gearfleet.errors import ConfigError, UnknownName, UsageError
from gearfleet.fleet.checks.texts import is_ours
from gearfleet.fleet.install import edited_files, installation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from gearfleet.fleet.checks.ini import ConfigFile, Section
    from gearfleet.fleet.checks.texts import Configuration
    from gearfleet.fleet.install import Installation

#: More are a typing error; supervisord has a descriptor or two for each.
MOST = 10_000

_TARGET = re.compile(r"(?P<name>[A-Za-z0-9_.-]+)=(?P<count>[0-9]{1,6})")
_POOL = re.compile(r"(?P<before> worker -a .* --processes )[0-9]+\b")
_FLEET = re.compile(r" for the fleet (\S+)\. Do not edit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled:
    """Files of one fleet with other numbers of processes.

    Attributes:
        target: their directory.
        files: text of each file of the fleet, by its name.
        programs: the new numbers, by the program's section.
        groups: those of the names that are of groups.
    """

    target: Path
    files: Mapping[str, str]
    programs: Mapping[str, int]
    groups: frozenset[str]


def parse_target(text: str) -> tuple[str, int]:
    """Return name and number of ``bar=8``.

    Raises:
        UsageError: it is something else.
    """
    match = _TARGET.fullmatch(text)
    if match is None or int(match["count"]) > MOST:
        raise UsageError(f"'{text}' is no GROUP=N: give a name and a number from 0 to {MOST}")
    return match["name"], int(match["count"])


@contextmanager
def prepared(
    configuration: Configuration, wanted: Mapping[str, int]
) -> Iterator[tuple[Scaled, Installation]]:
    """Prepare the files of `scale` to be put in place; nobody else writes to them meanwhile.

    Raises:
        UnknownName: gearfleet rendered no group or program of that name.
        UsageError: they are of two fleets.
        ConfigError: a file of the fleet was edited by hand.
        GearfleetError: the system refuses, or another command is at it.
    """
    found = scale(configuration, wanted)
    if edited := sorted(edited_files(found.target) & found.files.keys()):
        raise ConfigError(
            f"Edited by hand since gearfleet wrote it: {', '.join(edited)}. Bring the change "
            "into the settings and apply them first"
        )
    with installation(found.files, found.target) as ready:
        yield found, ready


def scale(configuration: Configuration, wanted: Mapping[str, int]) -> Scaled:
    """Return the files of the fleet in which these groups and programs have so many processes.

    The number is that of each program of a group, as in the settings.

    Raises:
        UnknownName: gearfleet rendered no group or program of that name.
        UsageError: they are of two fleets.
    """
    ours = [file for file in configuration.files if is_ours(file)]
    meant = {name: _meant(ours, name) for name in wanted}
    programs = {each: wanted[name] for name, (_, found) in meant.items() for each in found}
    files = [file for file in ours if any(_is_of(each, programs) for each in file.sections)]
    fleets = {(Path(file.file).parent, _mark(file)) for file in files}
    if len(fleets) != 1:
        raise UsageError("These are of different fleets; scale one after the other")
    ((folder, mark),) = fleets
    members = [f for f in ours if (Path(f.file).parent, _mark(f)) == (folder, mark)]
    return Scaled(
        target=folder,
        files={Path(file.file).name: _rewritten(file, programs) for file in members},
        programs=programs,
        groups=frozenset(name for name, (kind, _) in meant.items() if kind == "group"),
    )


def _mark(file: ConfigFile) -> str:
    return file.text.partition("\n")[0]


def _is_of(section: Section, programs: Iterable[str]) -> bool:
    return section.kind == "program" and section.title in programs


def _meant(files: Sequence[ConfigFile], name: str) -> tuple[str, tuple[str, ...]]:
    """Return whether `name` is a "group" or a "program", and the programs that it means."""
    known: dict[str, dict[str, tuple[str, ...]]] = defaultdict(dict)
    for file in files:
        fleet = _FLEET.search(_mark(file))
        for section in file.sections:
            names = {section.title, section.title.removeprefix(f"{fleet[1]}_" if fleet else "")}
            if section.kind == "group":
                programs = tuple(filter(None, re.split(r"[\s,]+", section.value("programs"))))
                known["group"].update(dict.fromkeys(names, programs))
            elif section.kind == "program":
                known["program"].update(dict.fromkeys(names, (section.title,)))
    for kind in ("group", "program"):
        if name in known[kind]:
            return kind, known[kind][name]
    raise UnknownName.of("group", name, known["group"])


def _rewritten(file: ConfigFile, programs: Mapping[str, int]) -> str:
    lines = file.text.split("\n")
    for section in reversed(file.sections):  # so that the lines before stay where they are
        if _is_of(section, programs):
            _set(lines, section, programs[section.title])
    return "\n".join(lines)


def _set(lines: list[str], section: Section, count: int) -> None:
    command = section.find("command")
    if command is not None and _POOL.search(line := lines[command.line - 1]):
        if count:
            lines[command.line - 1] = _POOL.sub(rf"\g<before>{count}", line)
        count = min(count, 1)
    entry = section.find("numprocs")
    if entry is None:
        raise ConfigError(
            f"{section.file}: [{section.name}] has no numprocs= that could be changed; "
            "does a template leave it out?"
        )
    lines[entry.line - 1] = f"numprocs={count}"
