"""Exporters: who makes of a fleet the files of a process manager.

``supervisord`` is the one that ships. Another package adds its own as an entry
point of the group ``gearfleet.exporters``, which is an object (or a module) with
the methods of `Exporter`::

    [project.entry-points."gearfleet.exporters"]
    systemd = "shop_units:exporter"
"""

from __future__ import annotations

import os
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Protocol

from gearfleet.errors import ConfigError, GearfleetError, UnknownName
from gearfleet.fleet.install import Changes, install
from gearfleet.fleet.render import refusal_line, render, render_one
from gearfleet.fleet.validate import validate

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gearfleet.fleet.model import Fleet

GROUP = "gearfleet.exporters"

#: The exporter that is used unless another one is named.
DEFAULT = "supervisord"


class Exporter(Protocol):
    """Makes text of a fleet; nothing is written, and the same fleet gives the same text.

    Both raise a `GearfleetError` for a fleet that the process manager cannot express.
    """

    def files(self, fleet: Fleet, *, template_dir: Path | None) -> dict[str, str]:
        """Return the text of each file by its name, without folders."""

    def document(self, fleet: Fleet, *, template_dir: Path | None) -> str:
        """Return the whole fleet as one text."""


class Supervisord:
    """The exporter that ships; Supervisor's own parser has accepted what it returns."""

    def files(self, fleet: Fleet, *, template_dir: Path | None) -> dict[str, str]:
        texts = render(fleet, template_dir=template_dir)
        validate(fleet, texts)
        return texts

    def document(self, fleet: Fleet, *, template_dir: Path | None) -> str:
        text = render_one(fleet, template_dir=template_dir)
        validate(fleet, {"gearfleet.conf": text})
        return text


supervisord: Exporter = Supervisord()


def find(name: str) -> Exporter:
    """Return the exporter `name`.

    Raises:
        UnknownName: no package has one of this name; the message lists those that exist.
        ConfigError: it cannot be imported.
    """
    if name == DEFAULT:
        return supervisord
    found = {each.name: each for each in entry_points(group=GROUP)}
    if name not in found:
        raise UnknownName.of("exporter", name, {DEFAULT, *found})
    try:
        exporter: Exporter = found[name].load()
    except Exception as error:  # whatever the code of another package raises
        raise ConfigError(f"Exporter '{name}' ({found[name].value}) fails: {error!r}") from error
    return exporter


def refusal(name: str, error: BaseException) -> str:
    """Return what to print instead of a document that could not be made.

    Of other process managers it is not known what they refuse, so it is nothing.
    """
    return f"{refusal_line(error)}\n" if name == DEFAULT else ""


def write(name: str, files: Mapping[str, str], target: Path, *, force: bool = False) -> Changes:
    """Write the files of the exporter `name` to `target`; return what changed.

    For supervisord it is `install`. Other files have no line by which to know
    them again, so none is removed, and none replaced without `force`.

    Raises:
        ConfigError: a file exists that is another one.
        GearfleetError: the system refuses.
    """
    if name == DEFAULT:
        return install(files, target, force=force)
    if folders := [each for each in files if os.path.basename(each) != each]:  # noqa: PTH119
        raise ConfigError(f"Exporter '{name}' names a file in another folder: {folders[0]}")
    try:
        target.mkdir(exist_ok=True)
        changes = _compared(files, target)
        if changes.changed and not force:
            raise ConfigError(
                f"{target / changes.changed[0]} exists and is another one; --force replaces it"
            )
        for each in (*changes.added, *changes.changed):
            _replace(target / each, files[each])
    except OSError as error:
        raise GearfleetError(f"Cannot write to {target}: {error}") from error
    return changes


def _compared(files: Mapping[str, str], target: Path) -> Changes:
    there = {name for name in files if os.path.lexists(target / name)}
    same = {name for name in there if (target / name).read_bytes() == files[name].encode()}
    return Changes(
        added=tuple(sorted(files.keys() - there)),
        changed=tuple(sorted(there - same)),
        unchanged=tuple(sorted(same)),
    )


def _replace(path: Path, text: str) -> None:
    staged = path.with_name(f".{path.name}.new")
    staged.write_bytes(text.encode())
    staged.replace(path)
