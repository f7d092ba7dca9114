"""``manage.py qmemory [--run-once] [--workers]``: ``gearfleet top``, by memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gearfleet.cli import top
from gearfleet.contrib.django.management.commands.qmonitor import add_once
from gearfleet.contrib.django.management.verbs import VerbCommand

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(VerbCommand):
    """``gearfleet top --sort memory --show programs``, or ``processes`` with ``--workers``."""

    help = "Watch the memory of the programs, or of their processes."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add Django Q's options, and those of the verb."""
        add_once(parser)
        top.add_arguments(parser)
        parser.set_defaults(run=top.top, verb="qmemory", sort="memory", show="programs")
        parser.add_argument(
            "--workers",
            dest="show",
            action="store_const",
            const="processes",
            default="programs",
            help="that of each process",
        )
