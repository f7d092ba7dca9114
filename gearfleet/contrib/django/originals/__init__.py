"""The settings of the older projects, and what each becomes here.

`readings` says it of all of them; GEARFLEET counts before them, and of two that say
something of the same key the first that is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Any

from gearfleet.contrib.django.originals import django_q, gearman, ztask
from gearfleet.contrib.django.originals.reading import Path, Reading, as_written, found_at

#: Those of which `readings` speaks by their names; ztask's have theirs from its prefix too.
SETTINGS = gearman.SETTINGS | ztask.SETTINGS | django_q.SETTINGS

#: Keys that leave nothing to say to the older settings of another one.
_BEATS: Mapping[Path, Path] = {("worker_servers",): ("servers",)}

__all__ = [
    "SETTINGS",
    "Path",
    "Reading",
    "as_written",
    "found_at",
    "readings",
    "winner",
    "with_readings",
]


def readings(django: object) -> tuple[Reading, ...]:
    """Return what becomes of the older projects' settings among the attributes of `django`."""
    parts = (part.readings(django) for part in (gearman, ztask, django_q))
    return tuple(chain.from_iterable(parts))


def with_readings(
    table: Mapping[str, Any], found: tuple[Reading, ...]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return `table` with what it leaves to the older settings, and which of those gave what.

    Raises:
        ConfigError: one of them has a value that it cannot have.
    """
    merged, sources = dict(table), {}
    for reading in found:
        reading.refuse()
        if reading.path and winner(reading, table, found) is reading and _put(merged, reading):
            sources[reading.key] = f"Django settings {reading.setting}"
    return merged, sources


def winner(
    reading: Reading, table: Mapping[str, Any], found: tuple[Reading, ...]
) -> Reading | Path:
    """Return what counts for the key of `reading`, which has no problem: it, another one, or GEARFLEET's."""
    for path in (reading.path, _BEATS.get(reading.path, ())):
        if path and found_at(table, path)[0]:
            return path
    return next(each for each in found if each.path == reading.path and not each.problem)


def _put(table: dict[str, Any], reading: Reading) -> bool:
    """Put the value of `reading` into its place, unless something there is no table."""
    *outer, last = reading.path
    for part in outer:
        below = table.get(part, {})
        if not isinstance(below, Mapping):
            return False  # the reader of the settings says so
        table[part] = dict(below)
        table = table[part]
    table[last] = reading.value
    return True
