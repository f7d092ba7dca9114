"""``manage.py qmonitor [--run-once]``: Django Q's name of ``gearfleet top``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gearfleet.cli import top
from gearfleet.contrib.django.management.verbs import VerbCommand

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(VerbCommand):
    """``gearfleet top``."""

    help = "Watch job servers, queues, programs and processes."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add Django Q's option, and those of the verb."""
        add_once(parser)
        top.add_arguments(parser)
        parser.set_defaults(run=top.top, verb="qmonitor")


def add_once(parser: ArgumentParser) -> None:
    """Add Django Q's name of ``--once``."""
    parser.add_argument(
        "--run-once", "--once", dest="once", action="store_true", help="show it once, and end"
    )
    parser.add_argument("--json", action="store_true", help="print data as JSON")
