"""``gearfleet exec -- COMMAND``: another command, with the variables of the ``env_files``."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from gearfleet.errors import UsageError

if TYPE_CHECKING:
    from gearfleet.cli.builder import Verbs
    from gearfleet.cli.output import Output


def add_verbs(verbs: Verbs) -> None:
    """Add the verb ``exec``."""
    parser = verbs.add("exec", execute, usage="%(prog)s -- COMMAND [ARGUMENT ...]")
    parser.add_argument(
        "command", nargs=argparse.REMAINDER, metavar="COMMAND", help="what to run, after --"
    )


def execute(args: argparse.Namespace, output: Output) -> int:
    """Become another program; the variables were read when this one began."""
    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    if not command:
        raise UsageError("No command to run; give it after --")
    try:
        os.execvp(command[0], command)
    except OSError as error:
        raise UsageError(f"Cannot run '{command[0]}': {error.strerror}") from error
