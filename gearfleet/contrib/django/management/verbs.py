"""What the management commands share: the command line's verbs, run under Django."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any, TextIO, cast

from django.core.management.base import BaseCommand, SystemCheckError

from gearfleet.cli.builder import parse
from gearfleet.cli.main import fail, run
from gearfleet.cli.output import Output
from gearfleet.contrib.django.project import django_settings
from gearfleet.errors import EXIT_CONFIG, GearfleetError

if TYPE_CHECKING:
    from django.core.management.base import CommandParser, OutputWrapper


class OurCommand(BaseCommand):
    """A command that a wrong configuration ends as it ends ``gearfleet``."""

    def check(self, *args: Any, **kwargs: Any) -> Any:
        """Look at the project as Django does before a command."""
        try:
            django_settings()
        except GearfleetError:
            return None  # the command itself says so
        try:
            return super().check(*args, **kwargs)
        except SystemCheckError as error:
            error.returncode = EXIT_CONFIG
            raise


class VerbCommand(OurCommand):
    """A management command that runs a verb of ``gearfleet``.

    A subclass adds the verb's arguments and sets ``run`` among the parser's
    defaults, as the command line's own parser does.
    """

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Return a parser that leaves it to us to name the nearest verb or option."""
        return super().create_parser(prog_name, subcommand, exit_on_error=False, **kwargs)

    def run_from_argv(self, argv: list[str]) -> None:
        """Run the verb, unless the command line has a mistake, which is told as elsewhere."""
        words = argv[2:]
        self._called_from_command_line = True  # else Django raises where argparse shows the usage
        try:
            parse(self.create_parser(argv[0], argv[1]), words)
        except GearfleetError as error:
            sys.exit(fail(error, Output(json="--json" in words)))
        super().run_from_argv(argv)

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the verb; end the process with its exit code unless that is 0."""
        output = Output(
            json=options.get("json", False),
            color=False if options.get("no_color") else None,
            verbosity=max(0, int(options.get("verbosity", 1)) - 1),
            stdout=_unwrapped(self.stdout),
            stderr=_unwrapped(self.stderr),
        )
        # Django owns --settings: it has taken effect before this code runs.
        options.pop("settings", None)
        if code := run(argparse.Namespace(**options), output):
            sys.exit(code)


def _unwrapped(wrapper: OutputWrapper) -> TextIO:
    """Return the stream behind Django's wrapper, which would end every write with a newline."""
    return cast("TextIO", vars(wrapper)["_out"])
