"""``gearfleet doctor``: the code, the configuration, supervisord and the job servers, side by side."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from gearfleet.cli.builder import Verbs
    from gearfleet.cli.fleets import Planned
    from gearfleet.cli.output import Output
    from gearfleet.fleet import Finding, Program
    from gearfleet.monitor import Snapshot

#: Nothing found but notes; the worst is a warning; there are errors.
HEALTHY, WARNED, ILL = range(3)

COLUMNS = (
    "program",
    "tasks",
    "planned",
    "on disk",
    "running",
    "since",
    "release",
    "registered",
    "waiting",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What was seen, how the files lie on the disk, and what is wrong."""

    snapshot: Snapshot
    on_disk: Mapping[str, str]
    findings: tuple[Finding, ...]


def add_verbs(verbs: Verbs) -> None:
    """Add the verb ``doctor``."""
    from gearfleet.cli.check import add_inputs

    parser = verbs.add("doctor", doctor)
    add_inputs(parser)
    parser.add_argument("--url", help="unix:///path/to.sock or http://user:password@host:port")
    parser.add_argument(
        "--timeout",
        type=float,
        default=5.0,
        metavar="S",
        help="seconds that each question may take (default %(default)g)",
    )


def doctor(args: argparse.Namespace, output: Output) -> int:
    """Ask everybody, and show what is wrong between them."""
    from gearfleet.cli import findings
    from gearfleet.cli.fleets import planned
    from gearfleet.fleet.findings import Severity, worst

    examined = examine(args, planned(args))
    if output.json:
        output.data(as_data(examined))
    else:
        for line in _lines(examined.snapshot):
            output.line(line)
        output.table("", COLUMNS, rows(examined))
        findings.show(examined.findings, output)
        output.line(findings.summary(examined.findings) or "Nothing was found.")
    codes = {Severity.ERROR: ILL, Severity.WARNING: WARNED, Severity.NOTE: HEALTHY, None: HEALTHY}
    return codes[worst(examined.findings)]


def examine(args: argparse.Namespace, made: Planned) -> Examination:
    """Ask code, configuration, supervisord and job servers."""
    from gearfleet.cli import check
    from gearfleet.fleet.findings import Severity, in_order
    from gearfleet.monitor.queues import review_servers
    from gearfleet.monitor.supervised import review_supervision

    _choose_configuration(args, made)
    if args.output is None:
        args.output = _where_it_lies(args, made)
    configured = [*check.of_project(args, made)]
    if args.configuration:
        configured += check.of_configuration(args, made)
    snapshot = _snapshot(args, made)
    found = [each for each in configured if each.severity is not Severity.NOTE]
    found += [*review_supervision(snapshot), *review_servers(snapshot)]
    on_disk = _on_disk(args, made)
    return Examination(snapshot=snapshot, on_disk=on_disk, findings=in_order(found))


def _choose_configuration(args: argparse.Namespace, made: Planned) -> None:
    """Set where supervisord is: as the command line says, else the host's settings, else Debian."""
    from gearfleet.cli.hosts import DEFAULT_CONFIG

    if args.configuration or args.url:
        return
    host = made.project.settings.hosts.get(args.host)
    if host is not None and host.url:
        args.url = host.url
    elif os.path.isfile(DEFAULT_CONFIG):  # noqa: PTH113 - Path.is_file raises in a closed folder
        args.configuration = Path(DEFAULT_CONFIG)


def _where_it_lies(args: argparse.Namespace, made: Planned) -> Path | None:
    """Return the directory in which the configuration includes files of this fleet, if any."""
    from gearfleet.fleet.checks.reading import read_main
    from gearfleet.fleet.render import marker

    if not args.configuration or not os.path.isfile(args.configuration):  # noqa: PTH113
        return None
    mark = marker(made.fleet.name)
    files = read_main(args.configuration, os.environ).files
    return next((Path(f.file).parent for f in files if f.text.startswith(mark)), None)


def _snapshot(args: argparse.Namespace, made: Planned) -> Snapshot:
    from gearfleet.config import release_of
    from gearfleet.monitor import Code, Snapshot
    from gearfleet.monitor.look import look
    from gearfleet.monitor.servers import ask_all
    from gearfleet.supervisor.registrations import Registration
    from gearfleet.worker.client_ids import client_id

    settings = made.project.settings
    here = Registration.parse(client_id(""))
    return Snapshot(
        code=Code.of(made.registry, settings, release_of(settings)),
        fleet=made.fleet,
        supervision=look(args.configuration, args.url, settings.run_dir, timeout=args.timeout),
        servers=ask_all(settings.servers_of_workers, timeout=args.timeout),
        host=here.host if here else "",
        now=time.time(),
    )


def _on_disk(args: argparse.Namespace, made: Planned) -> dict[str, str]:
    """Return how the file of each program lies on the disk."""
    from gearfleet.cli.check import folder_at, rendered

    if args.output is None:
        return {}
    wanted, found = rendered(args, made), folder_at(args.output, made.fleet).files
    states = {True: "as planned", False: "differs"}
    return {
        name.removesuffix(".conf"): states[found[name] == text] if name in found else "missing"
        for name, text in wanted.items()
    }


def _lines(snapshot: Snapshot) -> Iterator[str]:
    code, seen = snapshot.code, snapshot.supervision
    release = f", release {code.release}" if code.release else ""
    yield f"Code: {len(code.tasks)} tasks{release}"
    yield f"Configuration: from {snapshot.fleet.origin}, for host {snapshot.fleet.host}"
    silence = "silent" if seen.silence else f"{len(seen.processes)} processes"
    yield f"supervisord: {seen.address or 'unknown'}, {silence}"
    for server in snapshot.servers:
        said = "silent" if server.silence else f"{server.version}, {len(server.workers)} workers"
        yield f"Job server: {server.address}, {said}"


def rows(examined: Examination) -> list[list[str]]:
    """Return a row for each program: what it should be, and what it is."""
    return [
        [str(value) for value in _program(examined, program).values()]
        for program in examined.snapshot.fleet.programs
    ]


def _program(examined: Examination, program: Program) -> dict[str, Any]:
    from gearfleet.cli.ps import duration
    from gearfleet.monitor.supervised import processes_of, releases_of
    from gearfleet.monitor.truths import known_as

    snapshot = examined.snapshot
    processes = processes_of(snapshot).get(program.name, [])
    running = [process for process in processes if process.is_running]
    tasks = [task for task in snapshot.code.tasks if task.name in program.tasks]
    functions = [name for task in tasks for name in (task.function, task.later)]
    oldest = min((process.start for process in running), default=0)
    releases = sorted({each for each in releases_of(snapshot).get(program.name, []) if each})
    return {
        "program": program.name,
        "tasks": len(tasks),
        "planned": program.processes,
        "on disk": examined.on_disk.get(program.name, "?"),
        "running": "?" if snapshot.supervision.silence else len(running),
        "since": duration(snapshot.now - oldest) if oldest else "",
        "release": ", ".join(releases),
        "registered": sum(
            row.worker.program == known_as(program.name)
            for server in snapshot.servers
            for row in server.workers
        ),
        "waiting": sum(server.waiting(name) for server in snapshot.servers for name in functions),
    }


def as_data(examined: Examination) -> dict[str, Any]:
    """Return everything that was seen as values of JSON."""
    from gearfleet.cli import findings

    snapshot = examined.snapshot
    seen = snapshot.supervision
    return {
        "code": {
            "release": snapshot.code.release,
            "tasks": [
                {"name": task.name, "queue": task.queue, "function": task.function}
                for task in snapshot.code.tasks
            ],
        },
        "configuration": {"origin": snapshot.fleet.origin, "host": snapshot.fleet.host},
        "supervisord": {
            "address": seen.address,
            "silence": seen.silence,
            "processes": [
                {"name": process.namespec, "state": process.state, "pid": process.pid}
                for process in seen.processes
            ],
        },
        "job_servers": [
            {
                "address": server.address,
                "silence": server.silence,
                "version": server.version,
                "workers": len(server.workers),
            }
            for server in snapshot.servers
        ],
        "programs": [_program(examined, program) for program in snapshot.fleet.programs],
        "findings": findings.as_data(examined.findings),
    }
