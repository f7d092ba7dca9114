"""What the management commands share: the command line's verbs, run under Django."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any, TextIO, cast

from django.core.management.base import BaseCommand

from gearfleet.cli.main import run
from gearfleet.cli.output import Output

if TYPE_CHECKING:
    from django.core.management.base import OutputWrapper


class VerbCommand(BaseCommand):
    """A management command that runs a verb of ``gearfleet``.

    A subclass adds the verb's arguments and sets ``run`` among the parser's
    defaults, as the command line's own parser does.
    """

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
