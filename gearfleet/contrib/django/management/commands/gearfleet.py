"""``manage.py gearfleet VERB``: the whole command line under Django."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gearfleet.cli.builder import add_common_options, add_verbs
from gearfleet.contrib.django.management.verbs import VerbCommand

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(VerbCommand):
    """Every verb of the command ``gearfleet``, with this project's settings."""

    help = "Turn Gearman tasks into a supervised fleet of workers, and run it."
    # Configuration must be rendered where no database is.
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the verbs, and the options that may stand before one."""
        add_common_options(parser, django=True)
        add_verbs(parser, django=True)
