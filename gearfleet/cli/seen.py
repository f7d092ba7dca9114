"""Whom the verbs ask that show what runs: job servers, supervisord, the workers of this host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gearfleet.errors import EXIT_FAILED, EXIT_UNREACHABLE, DiscoveryError, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from gearfleet.cli.project import Project
    from gearfleet.monitor.sample import Places
    from gearfleet.monitor.truths import TaskTruth
    from gearfleet.monitor.view import ServerRow
    from gearfleet.supervisor.control import Supervisor


def add_sources(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which supervisord is meant, and how long answers may take."""
    from gearfleet.cli.hosts import add_address

    add_address(parser)
    add_timeout(parser)


def add_timeout(parser: argparse.ArgumentParser) -> None:
    """Add the option that says how long answers may take."""
    from gearfleet.supervisor.machine import parse_timeout

    parser.add_argument(
        "--timeout",
        type=parse_timeout,
        default=2.0,
        metavar="S",
        help="seconds that each answer may take (default %(default)g)",
    )


def places_of(args: argparse.Namespace) -> tuple[Places, tuple[str, ...]]:
    """Return where to look, and what has to be said about that.

    Raises:
        UsageError: there is no such file or host.
        ConfigError: the settings are wrong.
    """
    from gearfleet.cli.project import load_project
    from gearfleet.monitor.sample import Places

    project = load_project(args)
    tasks, notices = _tasks_of(project)
    places = Places(
        servers=project.settings.servers_of_workers,
        run_dir=project.settings.run_dir,
        connect=_way_to_supervisord(args),
        tasks=tasks,
        timeout=args.timeout,
    )
    return places, notices


def exit_code(servers: Sequence[ServerRow]) -> int:
    """Return 0 if all job servers are up, 4 if none is, and 1 in between."""
    up = [row for row in servers if row.is_up]
    if len(up) == len(servers):
        return 0
    return EXIT_FAILED if up else EXIT_UNREACHABLE


def _tasks_of(project: Project) -> tuple[tuple[TaskTruth, ...], tuple[str, ...]]:
    """Return the tasks; where they do not import, none, and why: everything else is shown."""
    from gearfleet.monitor import Code
    from gearfleet.tasks import discover

    try:
        registry = discover(project.apps)
    except (DiscoveryError, UsageError) as error:
        return (), (f"Queues are not named, because the tasks do not import: {error}",)
    return Code.of(registry, project.settings, "").tasks, ()


def _way_to_supervisord(args: argparse.Namespace) -> Callable[[], Supervisor] | None:
    """Return what makes the way to the supervisord that is meant; None where none is known."""
    from gearfleet.cli.hosts import (
        configuration_of,
        hosts_named,
        is_configuration,
        place_at,
        place_of,
    )

    if args.host is not None:
        (name, host), *others = hosts_named(args).items()
        if others:
            raise UsageError(f"--host {args.host}: there are several; give the name of one")
        return lambda: place_at(args, name, host, timeout=args.timeout).control
    if args.configuration is not None:
        configuration_of(args)  # so that a wrong name is told at once
    elif args.url is None and not is_configuration():
        return None
    return lambda: place_of(args, timeout=args.timeout).control
