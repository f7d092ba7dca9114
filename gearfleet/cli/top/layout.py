"""The screen of ``gearfleet top``: which lines of which tables it shows. Pure."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from gearfleet.cli.top.tables import TABLES, Line, clip, plain, table
from gearfleet.monitor.arranging import Arrangement, arranged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gearfleet.monitor.view import View

ALL = "all"

#: What the screen may show.
SHOWN = (ALL, *TABLES)

KEYS = "q quit  s sort  r reverse  / filter  Tab next table  arrows scroll  space look now"

#: Lines that one table has at least where all are shown: titles, and some rows.
_FEWEST = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """What is shown, and how much room there is.

    Attributes:
        width: of the terminal.
        height: of the terminal; 0 for any number of lines.
        shown: one of `SHOWN`.
        offset: lines of the table that are above the screen.
        arrangement: of the rows.
        editing: the filter, while it is being typed; None otherwise.
        interval: seconds between two looks.
        notices: what has to be said besides.
    """

    width: int = 80
    height: int = 24
    shown: str = ALL
    offset: int = 0
    arrangement: Arrangement = field(default_factory=Arrangement)
    editing: str | None = None
    interval: float = 2.0
    notices: tuple[str, ...] = ()

    def next_table(self) -> Screen:
        """Return the same with the next table."""
        return replace(self, shown=SHOWN[(SHOWN.index(self.shown) + 1) % len(SHOWN)], offset=0)


def lines_of(view: View | None, screen: Screen) -> list[Line]:
    """Return the lines of `screen`, from top to bottom; no view is one that is not there yet."""
    head = [Line(clip(_headline(view, screen), screen.width), "title")]
    if view is None:
        return [*head, Line(clip("Looking ...", screen.width))][: screen.height or None]
    chosen = arranged(view, screen.arrangement)
    head += [Line(clip(plain(text), screen.width), "bad") for text in _notices(view, screen)]
    foot = [Line(clip(_footline(screen), screen.width), "title")] if screen.height else []
    if screen.height and screen.height < len(head) + 2:
        return head[: screen.height]
    room = screen.height - len(head) - len(foot) if screen.height else 0
    body = _all_tables(chosen, screen, room) if screen.shown == ALL else _one(chosen, screen, room)
    blank = [Line("")] * (room - len(body)) if foot else []
    return [*head, *body, *blank, *foot]


def rows_of(view: View, screen: Screen) -> int:
    """Return how many rows the table has that is shown alone."""
    if screen.shown == ALL:
        return 0
    return len(getattr(arranged(view, screen.arrangement), screen.shown))


def _headline(view: View | None, screen: Screen) -> str:
    chosen = screen.arrangement
    parts = ["gearfleet top"]
    if view is not None:
        parts.append(time.strftime("%H:%M:%S", time.localtime(view.now)))
    if screen.height:
        parts.append(f"every {screen.interval:g} s")
    parts.append(f"by {chosen.sort}{', reversed' if chosen.is_reversed else ''}")
    if chosen.text:
        parts.append(f"only '{plain(chosen.text)}'")
    if screen.shown != ALL:
        parts.append(screen.shown)
    return " - ".join(parts)


def _footline(screen: Screen) -> str:
    if screen.editing is not None:
        return f"Show only names with: {plain(screen.editing)}_  (Enter keeps it, Esc drops it)"
    return KEYS


def _notices(view: View, screen: Screen) -> list[str]:
    silent = [f"Down: {row.silence}" for row in view.servers if not row.is_up]
    if view.silence:
        silent.append(f"supervisord: {view.silence}")
    return [*silent, *screen.notices]


def _all_tables(view: View, screen: Screen, room: int) -> list[Line]:
    tables = [table(name, view, screen.width) for name in TABLES]
    given = _shares([len(lines) for lines in tables], room - len(tables)) if room else None
    body: list[Line] = []
    for number, lines in enumerate(tables):
        body += [Line(""), *(lines if given is None else _cut(lines, given[number], screen.width))]
    return body[:room] if room else body


def _shares(wanted: Sequence[int], room: int) -> list[int]:
    """Return how many lines each table gets: what it wants, or its part of what is left.

    Example:
        >>> _shares([2, 3, 40, 90], 25)
        [2, 3, 10, 10]
    """
    given = [min(each, _FEWEST) for each in wanted]
    while sum(given) < room and given != list(wanted):
        smallest = min(
            (at for at, each in enumerate(wanted) if given[at] < each), key=given.__getitem__
        )
        given[smallest] += 1
    return given


def _cut(lines: list[Line], room: int, width: int) -> list[Line]:
    if len(lines) <= room:
        return lines
    hidden = len(lines) - max(room - 1, 1)
    return [*lines[: max(room - 1, 1)], Line(clip(f"... {hidden} more", width))]


def _one(view: View, screen: Screen, room: int) -> list[Line]:
    head, *rows = table(screen.shown, view, screen.width)
    shown = rows[screen.offset :]
    return [head, *(shown[: room - 1] if room else shown)]
