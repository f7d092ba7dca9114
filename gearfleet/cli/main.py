"""From the words of the command line to an exit code."""

from __future__ import annotations

import sys
import traceback
from typing import TYPE_CHECKING

from gearfleet.cli.builder import build_parser, parse
from gearfleet.cli.output import Output
from gearfleet.errors import EXIT_FAILED, DiscoveryError, GearfleetError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

#: What a shell reports for a command that Ctrl-C ended: 128 + SIGINT.
EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command `argv` (default: this process's) and return its exit code."""
    words = sys.argv[1:] if argv is None else list(argv)
    try:
        args = parse(build_parser(words), words)
    except GearfleetError as error:
        return fail(error, Output(json="--json" in words))
    output = Output(
        json=getattr(args, "json", False),
        color=False if getattr(args, "no_color", False) else None,
        verbosity=getattr(args, "verbose", 0),
    )
    return run(args, output)


def run(args: argparse.Namespace, output: Output) -> int:
    """Run the verb that was parsed into `args` and return its exit code.

    An error of ours becomes one line on stderr (and, with ``--json``, an
    object on stdout); a failing import keeps its traceback, because the line
    that raised is what the user looks for.
    """
    output.forgive()
    try:
        return int(args.run(args, output))
    except GearfleetError as error:
        return fail(error, output)
    except KeyboardInterrupt:
        output.talk("Interrupted.")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output (head, less) has seen enough.
        sys.stderr.close()
        return EXIT_FAILED


def fail(error: GearfleetError, output: Output) -> int:
    """Report `error` and return the exit code that goes with it."""
    if isinstance(error, DiscoveryError) and error.__cause__ is not None:
        cause = error.__cause__
        output.talk("".join(traceback.format_exception(cause)).rstrip())
    output.talk(f"gearfleet: error: {error}")
    if output.json:
        output.data({"error": {"type": type(error).__name__, "message": str(error)}})
    return error.exit_code
