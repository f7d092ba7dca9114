"""``gearfleet check``: what Supervisor lets pass and should not, without any running service."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gearfleet.errors import EXIT_FAILED, ConfigError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping, Sequence

    from gearfleet.cli.builder import Verbs
    from gearfleet.cli.fleets import Planned
    from gearfleet.cli.output import Output
    from gearfleet.fleet import Finding, Fleet
    from gearfleet.fleet.checks.disk import Folder
    from gearfleet.fleet.checks.texts import Configuration


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What is looked at.

    Attributes:
        made: the plan; None without a project.
        files: that would be rendered now, by name.
        folder: that they would be rendered to, as it is; None where it is not named.
        configuration: of supervisord; None where it is not named.
    """

    made: Planned | None
    files: Mapping[str, str]
    folder: Folder | None
    configuration: Configuration | None


def add_verbs(verbs: Verbs) -> None:
    """Add the verb ``check``."""
    parser = verbs.add("check", check)
    add_inputs(parser)


def add_inputs(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what to look at."""
    from gearfleet.cli.render import add_what_to_render, directory

    parser.add_argument(
        "-o", "--output", type=directory, metavar="DIR", help="the directory that is rendered to"
    )
    parser.add_argument(
        "-c",
        "--configuration",
        type=Path,
        metavar="FILE",
        help="the main supervisord.conf; it is read with all that it includes",
    )
    add_what_to_render(parser)


def check(args: argparse.Namespace, output: Output) -> int:
    """Show what is wrong with the project, a directory, and a whole configuration."""
    from gearfleet.cli import findings
    from gearfleet.fleet.findings import Severity, in_order, worst

    found = in_order(_findings(args))
    if output.json:
        output.data({"findings": findings.as_data(found)})
    else:
        findings.show(found, output)
        output.line(findings.summary(found) or "Nothing was found.")
    return EXIT_FAILED if worst(found) in (Severity.ERROR, Severity.WARNING) else 0


def _findings(args: argparse.Namespace) -> Iterator[Finding]:
    from gearfleet.cli.fleets import maybe_planned

    material = read_all(args, maybe_planned(args, may_lack_apps=bool(args.configuration)))
    yield from of_project(material)
    yield from of_configuration(material)


def read_all(args: argparse.Namespace, made: Planned | None) -> Material:
    """Render the fleet of `made`, and read the files that `args` name."""
    return Material(
        made=made,
        files=rendered(args, made) if made else {},
        folder=folder_at(args.output, made.fleet) if made and args.output else None,
        configuration=configuration_at(args.configuration) if args.configuration else None,
    )


def of_project(material: Material) -> Iterator[Finding]:
    """Yield what is wrong with the project, and with the directory that is rendered to."""
    from gearfleet.fleet.checks import ThisHost, check_fleet, check_tasks
    from gearfleet.fleet.checks.disk import review_clashes, review_folder
    from gearfleet.fleet.checks.reading import read_folder

    made, folder = material.made, material.folder
    if made is None:
        return
    found = [
        *check_tasks(made.registry, made.fleet, made.others),
        *check_fleet(made.fleet, material.files, ThisHost()),
    ]
    yield from _with_lines(found, made.fleet.origin)
    if folder is not None:
        yield from review_folder(made.fleet, material.files, folder)
        if material.configuration is None:
            yield from review_clashes(made.fleet, read_folder(folder.path, os.environ))


def of_configuration(material: Material) -> Iterator[Finding]:
    """Yield what is wrong with a whole configuration, and with the place of the fleet in it."""
    from gearfleet.fleet.checks import ThisHost, check_configuration
    from gearfleet.fleet.checks.disk import review_clashes, review_inclusion

    configuration = material.configuration
    if configuration is None:
        return
    yield from check_configuration(configuration, ThisHost())
    if material.made is not None:
        yield from review_clashes(material.made.fleet, configuration)
    if material.folder is not None:
        yield from review_inclusion(configuration, material.files, material.folder)


def configuration_at(path: Path) -> Configuration:
    """Return the configuration whose main file is `path`.

    Raises:
        UsageError: there is no such file.
        ConfigError: it cannot be read.
    """
    from gearfleet.cli.hosts import require_configuration
    from gearfleet.fleet.checks.reading import read_main

    require_configuration(path)
    return read_main(path, os.environ)


def rendered(args: argparse.Namespace, made: Planned) -> dict[str, str]:
    """Return what ``render`` would write, unchecked."""
    from gearfleet.cli.render import template_dir_of
    from gearfleet.fleet import render

    return render(made.fleet, template_dir=template_dir_of(args, made.project))


def folder_at(path: Path, fleet: Fleet) -> Folder:
    """Return what lies in the directory `path`, to which `fleet` is rendered."""
    from gearfleet.fleet import manifest
    from gearfleet.fleet.checks.disk import Folder
    from gearfleet.fleet.render import marker

    try:
        data = {each.name: each.read_bytes() for each in path.glob("*.conf") if each.is_file()}
        written = manifest.load(manifest.path_of(path, marker(fleet.name)))
        exists = path.is_dir()
    except OSError as error:
        raise ConfigError(f"Cannot look into {path}: {error}") from error
    return Folder(
        path=path,
        files={name: text.decode(errors="replace") for name, text in data.items()},
        edited=frozenset(name for name, text in data.items() if written.is_edited(name, text)),
        exists=exists,
    )


def _with_lines(found: Sequence[Finding], origin: str) -> Iterator[Finding]:
    """Yield findings about a setting with its place in the settings file, where there is one."""
    from gearfleet.config.lines import line_of

    text = ""
    with suppress(OSError, UnicodeDecodeError):
        text = Path(origin).read_text(encoding="utf-8")
    for each in found:
        if text and each.setting and not each.file:
            yield replace(each, file=origin, line=line_of(text, each.setting))
        else:
            yield each
