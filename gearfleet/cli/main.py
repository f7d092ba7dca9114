"""From the words of the command line to an exit code."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from gearfleet.cli.builder import build_parser, parse
from gearfleet.errors import DiscoveryError, GearfleetError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from gearfleet.cli.output import Output

#: What a shell reports for a command that Ctrl-C ended: 128 + SIGINT.
EXIT_INTERRUPTED = 130

#: Likewise for one whose reader (head, less) has seen enough: 128 + SIGPIPE.
EXIT_READER_GONE = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command `argv` (default: this process's) and return its exit code."""
    _open_missing_streams()
    try:
        try:
            return _main(sys.argv[1:] if argv is None else list(argv))
        finally:
            sys.stdout.flush()  # argparse, which printed the help, leaves that to the very end
    except BrokenPipeError:
        return let_go_of_pipes()


def _open_missing_streams() -> None:
    """Let the standard streams that this process was started without lead nowhere.

    Else what is opened next has the number of one of them: a connection to a job server may
    then be sent what is meant for stderr.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode))


def _main(words: Sequence[str]) -> int:
    try:
        if "GEARFLEET_ENV_FILES" in os.environ:
            from gearfleet.config.env_files import read_env_files

            read_env_files(os.environ)
        args = parse(build_parser(words), words)
    except GearfleetError as error:
        return fail(error, _output(json="--json" in words))
    output = _output(
        json=getattr(args, "json", False),
        color=False if getattr(args, "no_color", False) else None,
        verbosity=getattr(args, "verbose", 0),
    )
    return run(args, output)


def _output(**options: Any) -> Output:
    from gearfleet.cli.output import Output  # what prints the help does without it

    return Output(**options)


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
        return let_go_of_pipes()


def let_go_of_pipes() -> int:
    """Say nothing more to a reader that is gone, and return the exit code for that.

    Otherwise Python would try once more at its end, and complain.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return EXIT_READER_GONE


def fail(error: GearfleetError, output: Output) -> int:
    """Report `error` and return the exit code that goes with it."""
    if isinstance(error, DiscoveryError) and error.__cause__ is not None:
        cause = error.__cause__
        import traceback

        output.talk("".join(traceback.format_exception(cause)).rstrip())
    output.talk(f"gearfleet: error: {error}")
    if output.json:
        output.data({"error": {"type": type(error).__name__, "message": str(error)}})
    return error.exit_code
