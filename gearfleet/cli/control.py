"""``gearfleet restart|status|stop|start GROUP``: what supervisorctl's plugin does, without it."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gearfleet.cli.project import load_project
from gearfleet.errors import EXIT_FAILED, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from gearfleet.cli.builder import Verbs
    from gearfleet.cli.output import Output
    from gearfleet.supervisor.control import Supervisor
    from gearfleet.supervisor.events import Event, Report, SwitchResult

GROUP_HELP = "a group (bar), one process of it (bar:worker_bar_00), or all"
DEFAULT_CONFIG = "/etc/supervisor/supervisord.conf"


def add_verbs(verbs: Verbs) -> None:
    """Add the verbs that talk to a running supervisord."""
    from gearfleet.supervisor.machine import START_TIMEOUT
    from gearfleet.supervisor.waves import DEFAULT_MAX_UNAVAILABLE, MaxUnavailable

    parser = _add(verbs, "restart", restart, "restart groups in waves; jobs in hand are finished")
    parser.add_argument(
        "--max-unavailable",
        type=MaxUnavailable.parse,
        default=DEFAULT_MAX_UNAVAILABLE,
        metavar="N|P%",
        help="how many processes of a group may be away at once (default %(default)s)",
    )
    starting = _add(verbs, "start", start, "start all processes of groups and wait until they run")
    for each in (parser, starting):
        each.add_argument(
            "--timeout",
            type=float,
            default=START_TIMEOUT,
            metavar="S",
            help="seconds, beyond its startsecs, until a process serves (default %(default)g)",
        )
    _add(verbs, "stop", stop, "stop all processes of groups; jobs in hand are finished")
    _add(verbs, "status", status, "show the processes of groups, or all", groups="*")


def _add(
    verbs: Verbs, name: str, run: Any, text: str, *, groups: str = "+"
) -> argparse.ArgumentParser:
    parser = verbs.add(name, run, text)
    parser.add_argument("groups", nargs=groups, metavar="GROUP", help=GROUP_HELP)
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "-c",
        "--configuration",
        type=Path,
        metavar="FILE",
        help=f"the main supervisord.conf (default {DEFAULT_CONFIG})",
    )
    where.add_argument("--url", help="unix:///path/to.sock or http://user:password@host:port")
    return parser


def restart(args: argparse.Namespace, output: Output) -> int:
    """Restart the processes of groups in waves."""
    from gearfleet.supervisor import report, verbs
    from gearfleet.supervisor.registrations import ask

    tell = _teller(output)
    results = verbs.restart(
        _control(args),
        args.groups,
        max_unavailable=args.max_unavailable,
        timeout=args.timeout,
        registrations=ask(_servers(args), tell),
        report=tell,
    )
    if output.json:
        output.data([asdict(result) for result in results])
    else:
        _say(output, [report.summary(result) for result in results])
    _complain(output, [line for result in results for line in report.advice(result)])
    return 0 if all(result.ok for result in results) else EXIT_FAILED


def stop(args: argparse.Namespace, output: Output) -> int:
    """Stop all processes of groups at the same time, and wait until their jobs are done."""
    from gearfleet.supervisor import verbs

    return _switched(verbs.stop(_control(args), args.groups, report=_teller(output)), output)


def start(args: argparse.Namespace, output: Output) -> int:
    """Start all processes of groups at the same time, and wait until they run."""
    from gearfleet.supervisor import verbs

    result = verbs.start(_control(args), args.groups, timeout=args.timeout, report=_teller(output))
    return _switched(result, output)


def status(args: argparse.Namespace, output: Output) -> int:
    """Show processes; fail if one is not healthy."""
    from gearfleet.supervisor import report, verbs

    processes = verbs.status(_control(args), args.groups)
    if output.json:
        output.data([{**asdict(each), "healthy": each.is_healthy} for each in processes])
    else:
        _say(output, report.status_lines(processes))
    return 0 if all(each.is_healthy for each in processes) else EXIT_FAILED


def _switched(result: SwitchResult, output: Output) -> int:
    from gearfleet.supervisor import report

    if output.json:
        output.data(asdict(result))
    else:
        _say(output, [report.switch_summary(result)])
    _complain(output, report.switch_advice(result))
    return 0 if result.ok else EXIT_FAILED


def _teller(output: Output) -> Report:
    """Return what prints events; with ``--json`` they are talk, the result is the data."""
    from gearfleet.supervisor import report

    def tell(event: Event) -> None:
        if said := report.text(event):
            (output.talk if output.json else output.line)(said)

    return tell


def _say(output: Output, lines: Sequence[str]) -> None:
    for line in lines:
        output.line(line)


def _complain(output: Output, lines: Sequence[str]) -> None:
    for line in lines:
        output.talk(f"gearfleet: {line}")


def _control(args: argparse.Namespace) -> Supervisor:
    from gearfleet.supervisor.control import Supervisor

    if args.url:
        return Supervisor.from_url(args.url)
    return Supervisor.from_config(_configuration(args))


def _configuration(args: argparse.Namespace) -> Path:
    path = args.configuration or Path(DEFAULT_CONFIG)
    if not path.is_file():
        raise UsageError(f"No supervisord configuration at {path}; name it with -c FILE or --url")
    return Path(path)


def _servers(args: argparse.Namespace) -> tuple[str, ...]:
    """Return the job servers at which a restarted worker has to show up again.

    They are those of the command line or environment, then those that the
    plugin's section names, then those of a project found here. None are
    guessed: where nobody names one, RUNNING must do.
    """
    from gearfleet import config
    from gearfleet.supervisor.paste import servers_in

    if named := getattr(args, "servers", None) or os.environ.get("GEARFLEET_SERVERS"):
        return config.split_list(named)
    if not args.url and (pasted := servers_in(_configuration(args))):
        return pasted
    settings = load_project(args).settings
    return settings.servers if settings.has_origin else ()
