"""``manage.py gearman_server_info [FILTER]``, as django-gearman-jbox had it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gearfleet.cli.project import load_project
from gearfleet.cli.seen import add_timeout
from gearfleet.compat.server_info import GearmanServerInfo, down
from gearfleet.contrib.django.management.verbs import VerbCommand
from gearfleet.errors import EXIT_FAILED, EXIT_UNREACHABLE, GearmanError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from gearfleet.cli.output import Output


class Command(VerbCommand):
    """The tables of each job server of the settings; ``gearfleet info`` shows more."""

    help = "Show the job servers with their tasks and workers."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the words of the command."""
        parser.add_argument(
            "task_filter",
            nargs="?",
            default="",
            metavar="FILTER",
            help="only tasks, and workers of tasks, whose names hold it (in the same case)",
        )
        parser.add_argument("--servers", metavar="HOST:PORT,...", help="ask these job servers")
        parser.add_argument("--json", action="store_true", help="print data as JSON")
        add_timeout(parser)
        parser.set_defaults(run=show, verb="gearman_server_info")


def show(args: Namespace, output: Output) -> int:
    """Show all job servers; return 4 if all of them are down, and 1 if one is."""
    servers = load_project(args).settings.servers
    found = [_ask(server, args.timeout) for server in servers]
    if output.json:
        output.data(
            [
                _as_data(server, each, args.task_filter)
                for server, each in zip(servers, found, strict=True)
            ]
        )
    else:
        for server, each in zip(servers, found, strict=True):
            output.text(
                each.get_server_info(args.task_filter)
                if isinstance(each, GearmanServerInfo)
                else down(server)
            )
    silent = sum(isinstance(each, GearmanError) for each in found)
    return (EXIT_UNREACHABLE if silent == len(found) else EXIT_FAILED) if silent else 0


def _ask(server: str, timeout: float) -> GearmanServerInfo | GearmanError:
    try:
        return GearmanServerInfo(server, timeout=timeout)
    except GearmanError as error:
        return error


def _as_data(
    server: str, found: GearmanServerInfo | GearmanError, task_filter: str
) -> dict[str, Any]:
    if isinstance(found, GearmanError):
        return {"server": server, "is_up": False, "silence": str(found)}
    tasks, workers = found.filtered(task_filter)
    return {
        "server": server,
        "is_up": True,
        "version": found.server_version.removeprefix("OK "),
        "ping_seconds": found.ping_time,
        "tasks": tasks,
        "workers": workers,
    }
