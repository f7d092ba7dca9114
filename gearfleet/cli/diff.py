"""``gearfleet diff``: what ``render`` and ``apply`` would change in a directory."""

from __future__ import annotations

from difflib import unified_diff
from typing import TYPE_CHECKING

from gearfleet.errors import EXIT_FAILED

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from gearfleet.cli.builder import Verbs
    from gearfleet.cli.output import Output
    from gearfleet.fleet.install import Installation

#: How a line of a difference is shown, by its first characters; the longer ones first.
STYLES = {"---": "bold", "+++": "bold", "@@": "cyan", "-": "red", "+": "green"}


def add_verbs(verbs: Verbs) -> None:
    """Add the verb ``diff``."""
    from gearfleet.cli.render import add_target, add_what_to_render

    parser = verbs.add("diff", diff)
    add_target(parser)
    add_what_to_render(parser)


def diff(args: argparse.Namespace, output: Output) -> int:
    """Show the differences; fail if there are any."""
    from gearfleet.cli.render import files_of
    from gearfleet.fleet.install import examine

    ready = examine(files_of(args), args.output)
    if output.json:
        output.data(as_data(ready))
    else:
        show(ready, output)
    return EXIT_FAILED if ready.changes else 0


def show(ready: Installation, output: Output) -> None:
    """Print the differences, with colours on a terminal, and say what was edited by hand."""
    from rich.text import Text

    console = output.console(output.stdout)
    for name in _names(ready):
        for line in lines_of(ready, name):
            console.print(Text(line, style=_style(line)), soft_wrap=True)
    for name in ready.changes.edited:
        output.talk(f"{ready.target / name} was edited by hand since gearfleet wrote it")


def as_data(ready: Installation) -> list[dict[str, object]]:
    """Return the differences as values of JSON."""
    changes = ready.changes
    return [
        {
            "file": str(ready.target / name),
            "change": next(
                word for word in ("added", "changed", "removed") if name in getattr(changes, word)
            ),
            "edited": name in changes.edited,
            "diff": "".join(f"{line}\n" for line in lines_of(ready, name)),
        }
        for name in _names(ready)
    ]


def lines_of(ready: Installation, name: str) -> Iterator[str]:
    """Yield the unified difference of one file, without the ends of lines."""
    path = ready.target / name
    old, new = ready.old_text(name), ready.files.get(name)
    yield from unified_diff(
        (old or "").splitlines(),
        (new or "").splitlines(),
        str(path) if old is not None else "/dev/null",
        str(path) if new is not None else "/dev/null",
        lineterm="",
    )


def _names(ready: Installation) -> list[str]:
    changes = ready.changes
    return sorted((*changes.added, *changes.changed, *changes.removed))


def _style(line: str) -> str:
    return next((style for start, style in STYLES.items() if line.startswith(start)), "")
