"""``gearfleet top``: a screen of job servers, queues, programs and processes, again and again.

    tables      rows as lines of text
    layout      which lines are on the screen
    keys        what a key changes
    terminal    the screen and the keys of a real terminal
    session     one thread looks, the other draws and reads keys

The first three are pure. What is seen, and what it means, is `gearfleet.monitor`'s.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from gearfleet.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from gearfleet.cli.builder import Verbs
    from gearfleet.cli.output import Output
    from gearfleet.cli.top.layout import Screen
    from gearfleet.monitor.view import View


def add_verbs(verbs: Verbs) -> None:
    """Add the verb ``top``."""
    parser = verbs.add("top", top)
    parser.add_argument("--once", action="store_true", help="show it once, as text, and end")
    add_arguments(parser)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what is shown, and who is asked."""
    from gearfleet.cli.seen import add_sources
    from gearfleet.cli.top.layout import ALL, SHOWN
    from gearfleet.monitor.arranging import BY_NAME, SORTS

    parser.add_argument(
        "--interval",
        type=_interval,
        default=2.0,
        metavar="S",
        help="seconds between two looks (default %(default)g)",
    )
    parser.add_argument("--sort", choices=SORTS, default=BY_NAME, help="what rows are sorted by")
    parser.add_argument("--reverse", action="store_true", help="the other way round")
    parser.add_argument("--filter", default="", metavar="TEXT", help="only names that hold it")
    parser.add_argument("--show", choices=SHOWN, default=ALL, help="one table only")
    add_sources(parser)


def _interval(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 3600:
        raise UsageError(f"--interval is '{text}'; give seconds, from 0.1 to 3600")
    return seconds


def top(args: argparse.Namespace, output: Output) -> int:
    """Show everything, at a terminal until the user has seen enough."""
    from gearfleet.cli.seen import exit_code, places_of
    from gearfleet.cli.top.terminal import is_terminal
    from gearfleet.monitor.sample import take
    from gearfleet.monitor.view import view_of

    places, notices = places_of(args)
    screen = _screen(args, notices)
    if not (args.once or output.json) and is_terminal(sys.stdin, output.stdout):
        from gearfleet.cli.top.session import watch

        watch(places, screen, sys.stdin, output.stdout, color=_is_coloured(output))
        return 0
    view = view_of(take(places))
    _print(view, screen, output)
    return exit_code(view.servers)


def _screen(args: argparse.Namespace, notices: tuple[str, ...]) -> Screen:
    from gearfleet.cli.top.layout import Screen
    from gearfleet.monitor.arranging import Arrangement

    arrangement = Arrangement(sort=args.sort, is_reversed=args.reverse, text=args.filter)
    return Screen(shown=args.show, arrangement=arrangement, interval=args.interval, notices=notices)


def _print(view: View, screen: Screen, output: Output) -> None:
    from dataclasses import asdict, replace

    from gearfleet.cli.top.layout import lines_of
    from gearfleet.cli.top.terminal import width_of
    from gearfleet.monitor.arranging import arranged

    if output.json:
        output.data({**asdict(arranged(view, screen.arrangement)), "notices": screen.notices})
        return
    for line in lines_of(view, replace(screen, height=0, width=width_of(output.stdout))):
        output.line(line.text)


def _is_coloured(output: Output) -> bool:
    return output.color is not False and not os.environ.get("NO_COLOR")
