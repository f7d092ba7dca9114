"""``manage.py qinfo [--config] [--ids]``: Django Q's name of ``gearfleet info``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gearfleet.cli import config, info
from gearfleet.cli.project import load_project
from gearfleet.contrib.django.management.verbs import VerbCommand
from gearfleet.worker.boards import read_boards

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from gearfleet.cli.output import Output


class Command(VerbCommand):
    """``gearfleet info``; with options ``gearfleet config``, and the ids of the workers."""

    help = "Show job servers and queues, and what ended in the last hour and day."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add Django Q's options, and those of the verb."""
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--config", action="store_true", help="show the settings instead")
        what.add_argument("--ids", action="store_true", help="print the ids of the workers instead")
        parser.add_argument("--json", action="store_true", help="print data as JSON")
        info.add_arguments(parser)
        parser.set_defaults(run=show, verb="qinfo", program=None)


def show(args: Namespace, output: Output) -> int:
    """Show what the options say."""
    wants_settings, args.config = args.config, None  # which names a file elsewhere
    if wants_settings:
        return config.config(args, output)
    if args.ids:
        return print_ids(args, output)
    return info.info(args, output)


def print_ids(args: Namespace, output: Output) -> int:
    """Print the id of each worker of this host, which no other worker ever has."""
    boards = read_boards(load_project(args).settings.run_dir)
    ids = [entry.about.file_name for entry in boards if entry.is_alive]
    if output.json:
        output.data(ids)
    else:
        output.text("".join(f"{each}\n" for each in ids))
    return 0
