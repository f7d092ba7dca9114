"""The fleet of the project that a command is called for, with the tasks that it is made of."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gearfleet.cli.project import load_project, require_apps
from gearfleet.errors import UnknownName, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from gearfleet.cli.project import Project
    from gearfleet.config import Settings
    from gearfleet.fleet import Fleet
    from gearfleet.tasks import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A project and its plan.

    Attributes:
        project: its settings and apps.
        registry: its tasks.
        fleet: what this host needs for them, whatever `lint` says of it.
        others: what the other hosts of the settings need, by name.
    """

    project: Project
    registry: Registry
    fleet: Fleet
    others: Mapping[str, Fleet]


def add_host(parser: argparse.ArgumentParser, *, with_cpus: bool = True) -> None:
    """Add ``--host``, which chooses the settings of a host, and what its CPUs are."""
    parser.add_argument(
        "--host",
        default=socket.gethostname(),
        metavar="NAME",
        help="as this host or role of the settings (default: this one, %(default)s)",
    )
    if with_cpus:
        parser.add_argument(
            "--cpus",
            type=_cpus,
            metavar="N",
            help='what "cpu" means in processes (default: hosts.NAME.cpus, else of this host)',
        )


def _cpus(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise UsageError(f"--cpus is a whole number, 1 or more; it is '{text}'")
    return int(text)


def cpus_of(args: argparse.Namespace, settings: Settings) -> int | None:
    """Return how many CPUs the chosen host has; None if nobody knows.

    Raises:
        UnknownName: the settings have hosts, and this is none of them, nor the one we are on.
    """
    from gearfleet.fleet import usable_cpus

    if settings.hosts and args.host not in {*settings.hosts, socket.gethostname()}:
        raise UnknownName.of("host", args.host, settings.hosts)
    here = usable_cpus() if args.host == socket.gethostname() else None
    return args.cpus or settings.cpus_of(args.host) or here


def planned(args: argparse.Namespace) -> Planned:
    """Read the settings, import the tasks, and plan the fleet.

    Raises:
        UsageError: no app is named.
        ConfigError: the settings are wrong.
        DiscoveryError: the tasks do not import.
    """
    return plan_of(require_apps(load_project(args)), args)


def maybe_planned(args: argparse.Namespace, *, may_lack_apps: bool) -> Planned | None:
    """Do as `planned`; return None where no app is named, if the command can do without."""
    project = load_project(args)
    if may_lack_apps and not project.apps:
        return None
    return plan_of(require_apps(project), args)


def plan_of(project: Project, args: argparse.Namespace) -> Planned:
    """Return the plan of `project` for the host that `args` name."""
    from gearfleet.fleet import default_executable, draft
    from gearfleet.tasks import discover

    registry = discover(project.apps)
    refuse_bad_schedules(project.settings, registry)

    def fleet_of(host: str, cpus: int | None) -> Fleet:
        return draft(
            registry,
            project.settings,
            host=host,
            executable=default_executable(),
            django_settings=project.django_settings,
            cpus=cpus,
        )

    others = [host for host in project.settings.hosts if host != args.host]
    return Planned(
        project=project,
        registry=registry,
        fleet=fleet_of(args.host, cpus_of(args, project.settings)),
        # Of the others only the tasks matter, not how many processes serve them.
        others={host: fleet_of(host, project.settings.cpus_of(host) or 1) for host in others},
    )


def refuse_bad_schedules(settings: Settings, registry: Registry) -> None:
    """Raise `ConfigError` for a schedule that would end the scheduler when it starts."""
    if settings.schedules or any(task.periodics for task in registry.tasks):
        from datetime import UTC, datetime

        from gearfleet.schedule.declared import declared

        declared(settings, registry, datetime.now(UTC))
