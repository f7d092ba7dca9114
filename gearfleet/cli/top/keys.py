"""What keys mean: from the bytes of a terminal to the next screen. Pure."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gearfleet.cli.top.layout import Screen

#: A key that sends several bytes: an arrow, Page Up, or a character that is no ASCII.
_KEY = re.compile(rb"\x1b[\[O][0-9;]*[A-Za-z~]|[\xc2-\xf4][\x80-\xbf]{1,3}|.", re.DOTALL)
_ESCAPE, _ENTER, _ERASE = b"\x1b", (b"\r", b"\n"), (b"\x7f", b"\b")

#: How many lines a key scrolls; whole pages are of the height of the screen.
_LINES = {b"\x1b[A": -1, b"\x1bOA": -1, b"k": -1, b"\x1b[B": 1, b"\x1bOB": 1, b"j": 1}
_PAGES = {b"\x1b[5~": -1, b"\x1b[6~": 1}

QUIT, LOOK = "quit", "look"


def keys_of(typed: bytes) -> Iterator[bytes]:
    """Yield key by key what a terminal has sent."""
    for found in _KEY.finditer(typed):
        yield found[0]


def press(key: bytes, screen: Screen, rows: int) -> Screen | str:
    """Return the screen after `key`, or `QUIT`, or `LOOK` for a new sample at once.

    Args:
        key: as `keys_of` yields it.
        screen: before it.
        rows: of the table that is shown alone.
    """
    if screen.editing is not None:
        return _edit(key, screen, screen.editing)
    scrolled = _LINES.get(key, 0) + _PAGES.get(key, 0) * max(1, screen.height - 4)
    if scrolled:
        return replace(screen, offset=max(0, min(screen.offset + scrolled, rows - 1)))
    return _command(key, screen)


def _command(key: bytes, screen: Screen) -> Screen | str:
    chosen = screen.arrangement
    match key:
        case b"q" | b"Q":
            return QUIT
        case b" ":
            return LOOK
        case b"s":
            return replace(screen, arrangement=chosen.next_sort())
        case b"r":
            return replace(screen, arrangement=replace(chosen, is_reversed=not chosen.is_reversed))
        case b"/":
            return replace(screen, editing=chosen.text)
        case b"\t":
            return screen.next_table()
        case b"\x1b":
            return _filtered(screen, "")
    return screen


def _edit(key: bytes, screen: Screen, text: str) -> Screen:
    """Return the screen after a key while the filter is typed; its rows follow at once."""
    if key in _ENTER:
        return replace(screen, editing=None)
    if key == _ESCAPE:
        return replace(_filtered(screen, ""), editing=None)
    if key in _ERASE:
        text = text[:-1]
    elif not key.startswith(_ESCAPE):
        typed = key.decode(errors="ignore")
        text += typed if typed.isprintable() else ""
    return replace(_filtered(screen, text), editing=text)


def _filtered(screen: Screen, text: str) -> Screen:
    return replace(screen, arrangement=replace(screen.arrangement, text=text), offset=0)
