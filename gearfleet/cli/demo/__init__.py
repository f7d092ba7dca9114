"""``gearfleet demo``: the whole way from declared tasks to a rolling restart, for real."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gearfleet.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from gearfleet.cli.builder import Verbs
    from gearfleet.cli.output import Output


def add_verbs(verbs: Verbs) -> None:
    """Add the verb ``demo``."""
    parser = verbs.add("demo", demo)
    parser.add_argument(
        "--jobs",
        type=_count,
        default=400,
        metavar="N",
        help="submit at least this many jobs (default %(default)s)",
    )
    parser.add_argument(
        "--keep", action="store_true", help="leave everything running and say what to try next"
    )


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"--jobs is a whole number, 1 or more; it is '{text}'")
    return int(text)


def demo(args: argparse.Namespace, output: Output) -> int:
    """Run the demo; fail if a job was lost or a worker was not replaced."""
    from gearfleet.cli.demo.play import play

    return play(
        servers=getattr(args, "servers", None), jobs=args.jobs, keep=args.keep, output=output
    )
