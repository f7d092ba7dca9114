"""The options by which a worker's log is steered."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from gearfleet.config import values
from gearfleet.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from gearfleet.worker.logs import LogOptions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of a worker's log to `parser`."""
    parser.add_argument(
        "-l",
        "--loglevel",
        type=_level,
        default=os.environ.get("GEARFLEET_LOGLEVEL"),
        metavar="LEVEL",
        help=f"log from here on: {', '.join(values.LEVELS)} [GEARFLEET_LOGLEVEL] (default INFO)",
    )
    parser.add_argument(
        "-f",
        "--logfile",
        default=os.environ.get("GEARFLEET_LOGFILE"),
        metavar="FILE",
        help="log to FILE, which may be rotated [GEARFLEET_LOGFILE] (default: stderr)",
    )
    parser.add_argument(
        "--log-format",
        type=_format,
        default=os.environ.get("GEARFLEET_LOG_FORMAT"),
        metavar="human|json",
        help="how a line looks [GEARFLEET_LOG_FORMAT] (default human)",
    )
    parser.add_argument(
        "--log-name",
        default=os.environ.get("GEARFLEET_LOG_NAME", ""),
        metavar="LOGGER",
        help="log as the logger LOGGER does [GEARFLEET_LOG_NAME] (default: as gearfleet's own)",
    )


def _level(text: str) -> str:
    try:
        return values.level(text)
    except values.BadValue as expected:
        raise UsageError(f"--loglevel or GEARFLEET_LOGLEVEL is '{text}'; give {expected}") from None


def _format(text: str) -> str:
    try:
        return values.log_format(text)
    except values.BadValue as expected:
        raise UsageError(
            f"--log-format or GEARFLEET_LOG_FORMAT is '{text}'; give {expected}"
        ) from None


def log_options(args: argparse.Namespace, verbosity: int) -> LogOptions:
    """Return what `args` say of the log."""
    from gearfleet.cli.project import program_of
    from gearfleet.worker.logs import LogOptions

    return LogOptions(
        level=args.loglevel or "",
        file=args.logfile or "",
        format=args.log_format or "",
        verbosity=verbosity,
        program=program_of(args),
        logger=args.log_name,
        uses_stdout=getattr(args, "uses_stdout", False),
    )
