"""Rules over the text of configuration files: what Supervisor passes over, or explains badly.

Each rule gets all files of a configuration, and yields findings.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gearfleet.errors import did_you_mean
from gearfleet.fleet.checks.ini import entries_of
from gearfleet.fleet.checks.known import KEYS, OPEN, RUNNABLE
from gearfleet.fleet.findings import Finding, finding
from gearfleet.fleet.render import MARKER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from gearfleet.fleet.checks.ini import ConfigFile, Entry, Section

_ESCAPES = re.compile(r"%(?:%|\((?P<name>[^)]*)\)(?P<form>[-+ 0#]*\d*[sdiux]))")
_BAD_IN_NAMES = re.compile(r"[\s*,%;#'\"\[\]]|\A\Z")
_EXPANSIONS = frozenset(
    {"here", "program_name", "group_name", "host_node_name", "process_num", "numprocs"}
)
#: A whole unix address, its last NUL not counted (unix(7), sun_path).
_SOCKET_BYTES = 107


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """The files of which a supervisord reads one configuration.

    Attributes:
        files: in the order in which they are read; the main one first, where there is one.
        has_main: whether the first is the main file, and the others are included by it.
        environ: the environment in which supervisord expands ``%(ENV_x)s``.
        patterns: of the files that are included, as whole paths.
        unmatched: those of them that no file matches.
    """

    files: tuple[ConfigFile, ...]
    has_main: bool = False
    patterns: tuple[str, ...] = ()
    unmatched: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)

    @property
    def sections(self) -> list[Section]:
        return [section for file in self.files for section in file.sections]

    @property
    def included(self) -> list[Section]:
        files = self.files[1:] if self.has_main else self.files
        return [section for file in files for section in file.sections]

    def find(self, name: str) -> Section | None:
        """Return the first section called `name`."""
        return next((section for section in self.sections if section.name == name), None)


def review_texts(configuration: Configuration) -> Iterator[Finding]:
    """Yield what all rules of this module find."""
    for rule in _RULES:
        yield from rule(configuration)


def is_ours(file: ConfigFile) -> bool:
    """Tell whether gearfleet wrote a file: for this fleet or for another one."""
    return file.text.startswith(MARKER)


def _broken(configuration: Configuration) -> Iterator[Finding]:
    for file in configuration.files:
        if file.unread:
            message = f"Nobody looked into this file: {file.unread}"
            yield finding("GF223", message, place=(file.file, 0))
        for line, reason in file.broken:
            yield finding("GF201", f"Supervisor refuses {reason}", place=(file.file, line))


def _unknown(configuration: Configuration) -> Iterator[Finding]:
    for section in configuration.sections:
        if section.kind in OPEN:
            continue
        keys = KEYS.get(section.kind)
        if keys is None or (":" in section.name) not in _titles(section.kind):
            yield _unknown_section(section)
        else:
            unknown = (entry for entry in section.entries if entry.key not in keys)
            yield from (_unknown_key(section, entry, keys) for entry in unknown)


#: Sections whose name has a second part.
_TITLED = frozenset({"group", *RUNNABLE})
#: Those that may have one.
_MAY_BE_TITLED = frozenset({"unix_http_server", "inet_http_server"})


def _titles(kind: str) -> tuple[bool, ...]:
    """Return whether a section of this kind has a second part; both where it may."""
    return (True, False) if kind in _MAY_BE_TITLED else (kind in _TITLED,)


def _unknown_section(section: Section) -> Finding:
    nearest = did_you_mean(section.kind, [*KEYS, *OPEN]).partition("). ")[2]
    return finding(
        "GF203",
        f"Section [{section.name}] means nothing to Supervisor, which passes over it",
        nearest.replace("Did you mean", "Write it as").rstrip("?"),
        place=section.place,
    )


def _unknown_key(section: Section, entry: Entry, keys: Iterable[str]) -> Finding:
    nearest = did_you_mean(entry.key, keys).partition("). ")[2]
    return finding(
        "GF202",
        f"'{entry.key}' in [{section.name}] means nothing to Supervisor, which passes over it",
        nearest.replace("Did you mean", "Write it as").rstrip("?"),
        place=(section.file, entry.line),
    )


def _cut(configuration: Configuration) -> Iterator[Finding]:
    for section, entry in entries_of(configuration.sections):
        if entry.comment and _is_cut(entry):
            yield finding(
                "GF204",
                f"Supervisor reads '{entry.key}' of [{section.name}] as '{entry.value}': "
                f"it takes '{entry.comment}' for a comment",
                place=(section.file, entry.line),
            )


def _is_cut(entry: Entry) -> bool:
    """Tell whether a comment is the rest of the value: quotes are open, or it is a command's word.

    Who comments a line leaves a space after the sign.
    """
    open_quotes = any(entry.value.count(quote) % 2 for quote in "'\"")
    return open_quotes or (
        entry.key == "command" and re.match(r"[;#]\S", entry.comment) is not None
    )


def _twice(configuration: Configuration) -> Iterator[Finding]:
    seen: dict[str, Section] = {}
    for section in configuration.sections:
        if section.name in seen:
            yield _section_twice(seen[section.name], section)
        else:
            seen[section.name] = section
        keys: dict[str, int] = {}
        for entry in section.entries:
            if entry.key in keys:
                yield finding(
                    "GF205",
                    f"'{entry.key}' stands twice in [{section.name}], first in line "
                    f"{keys[entry.key]}; the last one counts",
                    place=(section.file, entry.line),
                )
            keys[entry.key] = entry.line


def _section_twice(first: Section, second: Section) -> Finding:
    return finding(
        "GF206",
        f"[{second.name}] also stands in {first.file}:{first.line}; Supervisor mixes the two, "
        "key by key",
        place=second.place,
    )


def _escapes(configuration: Configuration) -> Iterator[Finding]:
    root = configuration.find("supervisord")
    everywhere = _names_in(root) if root else set()
    for section, entry in entries_of(configuration.sections):
        if "%" not in entry.value:
            continue
        place = (section.file, entry.line)
        known = everywhere | _names_in(section)
        for match in _ESCAPES.finditer(entry.value):
            if (name := match["name"]) is not None:
                yield from _expansion(section, entry, name, known, configuration.environ)
        if "%" in _ESCAPES.sub("", entry.value):
            yield finding(
                "GF212",
                f"'{entry.key}' of [{section.name}] holds a '%' that is neither '%%' nor an "
                "expansion",
                place=place,
            )


def _names_in(section: Section) -> set[str]:
    """Return the variables that a program's own ``environment=`` lets it expand."""
    return {f"ENV_{name}" for name in re.findall(r"(\w+)\s*=", section.value("environment"))}


def _expansion(
    section: Section, entry: Entry, name: str, own: set[str], environ: Mapping[str, str]
) -> Iterator[Finding]:
    place = (section.file, entry.line)
    if name.startswith("ENV_"):
        if name.removeprefix("ENV_") not in environ and name not in own:
            yield finding(
                "GF211",
                f"'{entry.key}' of [{section.name}] needs the variable {name.removeprefix('ENV_')}"
                ", which is not set here",
                place=place,
            )
    elif name not in _EXPANSIONS or section.kind == "ctlplugin":
        message = f"'{entry.key}' of [{section.name}] holds %({name}), which Supervisor cannot fill"
        yield finding("GF212", message, place=place)


def _included(configuration: Configuration) -> Iterator[Finding]:
    for section in configuration.included:
        if section.kind == "ctlplugin":
            yield finding(
                "GF213",
                f"[{section.name}] stands in an included file, which supervisorctl never reads",
                place=section.place,
            )
        elif section.kind == "include":
            message = "[include] stands in an included file, where Supervisor passes over it"
            yield finding("GF214", message, place=section.place)


def _names(configuration: Configuration) -> Iterator[Finding]:
    for section in configuration.sections:
        if section.kind not in _TITLED or ":" not in section.name:
            continue
        if section.title == "all" or _BAD_IN_NAMES.search(section.title):
            what = "means every process" if section.title == "all" else "cannot be typed safely"
            yield finding(
                "GF217",
                f"[{section.name}]: the name '{section.title}' {what} in supervisorctl",
                place=section.place,
            )


def _groups(configuration: Configuration) -> Iterator[Finding]:
    """Yield programs in two groups, and groups with the name of a program outside of groups."""
    sections = {section.name: section for section in configuration.sections}
    groups = [section for section in sections.values() if section.kind == "group"]
    homes: dict[str, list[str]] = defaultdict(list)
    for group in groups:
        for program in _members(group):
            homes[program].append(group.title)
    for program, names in homes.items():
        if len(names) > 1:
            yield finding(
                "GF216",
                f"Program '{program}' is in {_groups_of(names)}, and so runs {len(names)} times",
                place=sections[f"group:{names[-1]}"].at("programs"),
            )
    for group in groups:
        for kind in RUNNABLE:
            alone = sections.get(f"{kind}:{group.title}")
            if alone is not None and (kind == "eventlistener" or alone.title not in homes):
                yield finding(
                    "GF209",
                    f"[{group.name}] and [{alone.name}] of {alone.file}:{alone.line} make two "
                    "groups of one name: Supervisor runs only one of them",
                    place=group.place,
                )


def _groups_of(names: list[str]) -> str:
    if len(set(names)) == 1:
        return f"group '{names[0]}' {len(names)} times"
    return "groups " + ", ".join(f"'{name}'" for name in names)


def _members(group: Section) -> list[str]:
    return [name.strip() for name in group.value("programs").split(",") if name.strip()]


def _unmatched(configuration: Configuration) -> Iterator[Finding]:
    for section in configuration.sections:
        if section.kind == "include":
            for pattern in configuration.unmatched:
                yield finding("GF222", f"No file matches {pattern}", place=section.at("files"))
            return


def _sockets(configuration: Configuration) -> Iterator[Finding]:
    for section in configuration.sections:
        path = section.value("file")
        if section.kind == "unix_http_server" and len(path.encode()) > _SOCKET_BYTES:
            yield finding(
                "GF221",
                f"The socket's path has {len(path.encode())} bytes: {path}",
                place=section.at("file"),
            )


_RULES = (
    _broken,
    _unknown,
    _cut,
    _twice,
    _escapes,
    _included,
    _names,
    _groups,
    _unmatched,
    _sockets,
)
