"""``gearfleet render`` and ``supervisor-conf``: the configuration that Supervisor reads."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from gearfleet.errors import ConfigError, UsageError

if TYPE_CHECKING:
    import argparse

    from gearfleet.cli.builder import Verbs
    from gearfleet.cli.output import Output
    from gearfleet.cli.project import Project
    from gearfleet.fleet import Changes, Fleet


def add_verbs(verbs: Verbs) -> None:
    """Add the verbs ``render`` and ``supervisor-conf``."""
    parser = verbs.add("render", render)
    parser.add_argument(
        "-o",
        "--output",
        type=directory,
        metavar="DIR",
        help="write one file per program and groups.conf there; without it print one file",
    )
    add_force(parser)
    parser.add_argument(
        "--exporter",
        default="supervisord",
        metavar="NAME",
        help="for which process manager (default %(default)s); packages may bring others",
    )
    add_what_to_render(parser)
    verbs.add("supervisor-conf", supervisor_conf)


def add_target(parser: argparse.ArgumentParser) -> None:
    """Add ``-o``, which has to be given."""
    parser.add_argument(
        "-o",
        "--output",
        type=directory,
        required=True,
        metavar="DIR",
        help="the directory that is rendered to",
    )


def add_force(parser: argparse.ArgumentParser) -> None:
    """Add ``--force``."""
    parser.add_argument(
        "--force", action="store_true", help="also replace files that somebody edited by hand"
    )


def add_what_to_render(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose templates and host."""
    from gearfleet.cli.fleets import add_host

    add_template_dir(parser)
    add_host(parser)


def add_template_dir(parser: argparse.ArgumentParser) -> None:
    """Add ``--template-dir``."""
    parser.add_argument(
        "--template-dir",
        type=directory,
        metavar="DIR",
        help="templates here are used before the built-in ones [GEARFLEET_TEMPLATE_DIR]",
    )


def directory(text: str) -> Path:
    """Accept any path but none at all: an unset variable of a script is not this folder."""
    if not text:
        raise UsageError("A directory was expected where nothing stands; '.' is this one")
    return Path(text)


def render(args: argparse.Namespace, output: Output) -> int:
    """Print the configuration, or write it to a directory and say what changed."""
    if args.output is None:
        return _print(args, output)
    from gearfleet.fleet import exporters

    changes = exporters.write(args.exporter, files_of(args), args.output, force=args.force)
    _report(changes, args.output, output)
    return 0


def _print(args: argparse.Namespace, output: Output) -> int:
    """Print one file, or with ``--json`` all of them; on failure a line that Supervisor refuses.

    A shell has emptied ``> gearfleet.conf`` before we start. An empty file
    would be a valid configuration without our programs: the next update
    would stop the whole fleet.
    """
    from gearfleet.fleet import exporters

    if output.json:
        output.data(files_of(args))
        return 0
    try:
        exporter = exporters.find(args.exporter)
        fleet, project = _fleet(args)
        text = exporter.document(fleet, template_dir=template_dir_of(args, project))
    except BaseException as error:  # Ctrl-C and a mistake of ours empty a fleet as well
        output.document(exporters.refusal(args.exporter, error))
        raise
    output.document(text)
    return 0


def files_of(args: argparse.Namespace) -> dict[str, str]:
    """Return the text of each file of the fleet, by name, as Supervisor has accepted it."""
    from gearfleet.fleet import exporters

    exporter = exporters.find(getattr(args, "exporter", exporters.DEFAULT))
    fleet, project = _fleet(args)
    return exporter.files(fleet, template_dir=template_dir_of(args, project))


def _fleet(args: argparse.Namespace) -> tuple[Fleet, Project]:
    from gearfleet.cli.fleets import cpus_of, refuse_bad_schedules
    from gearfleet.cli.project import load_project, require_apps
    from gearfleet.fleet import default_executable, plan
    from gearfleet.tasks import discover

    project = require_apps(load_project(args))
    registry = discover(project.apps)
    refuse_bad_schedules(project.settings, registry)
    fleet = plan(
        registry,
        project.settings,
        host=args.host,
        executable=default_executable(),
        django_settings=project.django_settings,
        cpus=cpus_of(args, project.settings),
    )
    return fleet, project


def template_dir_of(args: argparse.Namespace, project: Project) -> Path | None:
    """Return the directory of the user's templates, if there is one.

    Raises:
        ConfigError: it cannot be read.
    """
    chosen: Path | None = args.template_dir or project.settings.template_dir
    if chosen:
        _refuse_unreadable(chosen)
    return chosen


def _refuse_unreadable(templates: Path) -> None:
    """Raise for a misspelt directory: Jinja2 would just find no template of the user's in it."""
    try:
        os.scandir(templates).close()
    except OSError as error:
        raise ConfigError(
            f"Cannot read the template directory {templates}: {error.strerror}; see "
            "--template-dir, GEARFLEET_TEMPLATE_DIR or the setting 'template_dir'"
        ) from error


def _report(changes: Changes, target: Path, output: Output) -> None:
    if output.json:
        output.data(
            {
                "directory": str(target),
                "added": list(changes.added),
                "changed": list(changes.changed),
                "removed": list(changes.removed),
                "unchanged": list(changes.unchanged),
            }
        )
        return
    for word in ("added", "changed", "removed"):
        for name in getattr(changes, word):
            output.text(f"{word:8} {target / name}\n")
    if not (changes.added or changes.changed or changes.removed):
        output.text(f"No changes in {target}\n")


def supervisor_conf(args: argparse.Namespace, output: Output) -> int:
    """Print the sections that make ``supervisorctl gearfleet`` work."""
    from gearfleet.cli.project import load_project
    from gearfleet.supervisor.paste import sections

    settings = load_project(args).settings
    servers = settings.servers_of_workers
    text = sections(servers=servers, run_dir=settings.run_dir)
    if output.json:
        output.data({"servers": servers, "run_dir": str(settings.run_dir)})
    else:
        output.document(text)
    return 0
