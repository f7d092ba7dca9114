"""How the doctor asks: the project, the disk, supervisord and the job servers, one after the other."""

from __future__ import annotations

import time
import traceback
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gearfleet.errors import DiscoveryError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gearfleet.cli.check import Material
    from gearfleet.cli.fleets import Planned
    from gearfleet.cli.project import Project
    from gearfleet.fleet import Finding
    from gearfleet.monitor import Snapshot, Supervision
    from gearfleet.supervisor.control import Supervisor


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What was seen, how the files lie on the disk, and what is wrong."""

    snapshot: Snapshot
    on_disk: Mapping[str, str]
    findings: tuple[Finding, ...]


def examine(args: Namespace) -> Examination:
    """Ask everybody whom `args` name.

    Raises:
        UsageError: no app is named, or there is no such file.
        ConfigError: the settings are wrong.
    """
    from gearfleet.cli.check import read_all
    from gearfleet.cli.project import load_project, require_apps
    from gearfleet.fleet.findings import in_order
    from gearfleet.monitor.queues import review_servers
    from gearfleet.monitor.supervised import review_supervision

    project = require_apps(load_project(args))
    made, found = _planned(project, args)
    chosen = _with_places(args, made)
    material = read_all(chosen, made if made.fleet.programs else None)
    snapshot = _snapshot(chosen, made)
    found += _configured(material)
    found += [*review_supervision(snapshot), *review_servers(snapshot)]
    return Examination(snapshot=snapshot, on_disk=_on_disk(material), findings=in_order(found))


def _planned(project: Project, args: Namespace) -> tuple[Planned, list[Finding]]:
    """Return the plan; an empty one, and why, where the tasks do not import."""
    from gearfleet.cli.fleets import Planned, plan_of
    from gearfleet.fleet import Fleet
    from gearfleet.tasks import Registry

    try:
        return plan_of(project, args), []
    except DiscoveryError as error:
        fleet = Fleet(host=args.host, origin=project.settings.origin, programs=(), groups=())
        nothing = Registry(modules=())
        made = Planned(project=project, registry=nothing, fleet=fleet, others={})
        return made, [_not_imported(error)]


def _not_imported(error: DiscoveryError) -> Finding:
    from gearfleet.fleet.findings import finding

    cause = error.__cause__
    if cause is None:
        return finding("GF113", str(error))
    message = f"{error}: {type(cause).__name__}: {cause}"
    frames = traceback.extract_tb(cause.__traceback__)
    place = (frames[-1].filename, frames[-1].lineno or 0) if frames else ("", 0)
    return finding("GF113", message, place=place)


def _with_places(args: Namespace, made: Planned) -> Namespace:
    """Return `args` with the main file and the directory that they leave open, where known."""
    from gearfleet.cli.hosts import DEFAULT_CONFIG, is_configuration

    chosen = Namespace(**vars(args))
    if not (chosen.configuration or chosen.url or _url_of_host(args, made.project)):
        chosen.configuration = Path(DEFAULT_CONFIG) if is_configuration() else None
    if chosen.output is None:
        chosen.output = _where_it_lies(chosen, made)
    return chosen


def _url_of_host(args: Namespace, project: Project) -> str | None:
    host = project.settings.hosts.get(args.host)
    return host.url if host else None


def _where_it_lies(args: Namespace, made: Planned) -> Path | None:
    """Return the directory in which the configuration includes files of this fleet, if any."""
    from gearfleet.cli.check import configuration_at
    from gearfleet.fleet.render import marker

    if not args.configuration:
        return None
    mark = marker(made.fleet.name)
    files = configuration_at(args.configuration).files
    return next((Path(each.file).parent for each in files if each.text.startswith(mark)), None)


def _configured(material: Material) -> list[Finding]:
    """Return what `check` says, save the notes: those are for whoever writes the tasks."""
    from gearfleet.cli.check import of_configuration, of_project
    from gearfleet.fleet import Severity

    found = [*of_project(material), *of_configuration(material)]
    return [each for each in found if each.severity is not Severity.NOTE]


def _snapshot(args: Namespace, made: Planned) -> Snapshot:
    from gearfleet.config import release_of
    from gearfleet.monitor import Code, Snapshot
    from gearfleet.monitor.servers import ask_all
    from gearfleet.supervisor.registrations import Registration
    from gearfleet.worker.client_ids import client_id

    settings = made.project.settings
    here = Registration.parse(client_id(""))
    return Snapshot(
        code=Code.of(made.registry, settings, release_of(settings)),
        fleet=made.fleet,
        supervision=_supervision(args, made.project),
        servers=ask_all(settings.servers_of_workers, timeout=args.timeout),
        host=here.host if here else "",
        now=time.time(),
    )


def _supervision(args: Namespace, project: Project) -> Supervision:
    from gearfleet.monitor.look import look

    connect, reach = _way(args, project)
    return look(
        connect,
        project.settings.run_dir,
        reach=reach,
        main=args.configuration,
        timeout=args.timeout,
    )


def _way(args: Namespace, project: Project) -> tuple[Callable[[], Supervisor] | None, str]:
    """Return how to reach supervisord, and the option by which other commands do."""
    from gearfleet.config.credentials import credentials_of
    from gearfleet.supervisor.address import Address
    from gearfleet.supervisor.control import Supervisor

    timeout = args.timeout
    if args.url:
        return lambda: Supervisor.from_url(args.url, timeout=timeout), f"--url {args.url}"
    if args.configuration:
        main = str(args.configuration)
        return lambda: Supervisor.from_config(main, timeout=timeout), f"-c {main}"
    host = project.settings.hosts.get(args.host)
    if host is None or not host.url:
        return None, ""

    def connect() -> Supervisor:
        username, password = credentials_of(host) or (None, None)
        address = Address.from_url(host.url or "", username=username, password=password)
        return Supervisor(address, timeout=timeout)

    return connect, f"--host {args.host}"


def _on_disk(material: Material) -> dict[str, str]:
    """Return how the file of each program lies on the disk."""
    if material.folder is None:
        return {}
    found = material.folder.files
    states = {True: "as planned", False: "differs"}
    return {
        name.removesuffix(".conf"): states[found[name] == text] if name in found else "missing"
        for name, text in material.files.items()
    }
