"""``gearfleet doctor``: the code, the configuration, supervisord and the job servers, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from gearfleet.cli.builder import Verbs
    from gearfleet.cli.examination import Examination
    from gearfleet.cli.output import Output
    from gearfleet.fleet import Program
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


def add_verbs(verbs: Verbs) -> None:
    """Add the verb ``doctor``."""
    from gearfleet.cli.check import add_inputs
    from gearfleet.supervisor.machine import parse_timeout

    parser = verbs.add("doctor", doctor)
    add_inputs(parser)
    parser.add_argument("--url", help="unix:///path/to.sock or http://user:password@host:port")
    parser.add_argument(
        "--timeout",
        type=parse_timeout,
        default=5.0,
        metavar="S",
        help="seconds that each question may take (default %(default)g)",
    )


def doctor(args: argparse.Namespace, output: Output) -> int:
    """Ask everybody, and show what is wrong between them."""
    from gearfleet.cli import findings
    from gearfleet.cli.examination import examine
    from gearfleet.fleet.findings import Severity, worst

    examined = examine(args)
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
        "registered": len(
            {
                row.worker
                for server in snapshot.servers
                for row in server.workers
                if row.worker.program == known_as(program.name)
            }
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
