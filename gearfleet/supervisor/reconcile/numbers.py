"""Another number of processes, in the files that supervisord itself reads: for ``scale --host``."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gearfleet.fleet.install import Installation
    from gearfleet.fleet.scaling import Scaled


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Files that are ready to be put in place.

    Attributes:
        scaled: which programs have how many processes.
        ready: the files.
        text: the whole configuration with them, in one text.
    """

    scaled: Scaled
    ready: Installation
    text: str


@contextmanager
def prepared(supervisord: Any, wanted: Mapping[str, int]) -> Iterator[Prepared]:
    """Prepare other numbers of processes by group or program; nobody else writes meanwhile.

    Raises:
        GearfleetError: it cannot be done, as of `gearfleet.fleet.scaling.prepared`.
    """
    from gearfleet.fleet import scaling
    from gearfleet.fleet.checks.parsed import as_one
    from gearfleet.fleet.checks.reading import read_main
    from gearfleet.fleet.staged import staged

    targets = dict(scaling.parse_target(f"{name}={count}") for name, count in wanted.items())
    now = read_main(Path(supervisord.options.configfile), os.environ)
    with scaling.prepared(now, targets) as (scaled, ready):
        yield Prepared(scaled=scaled, ready=ready, text=as_one(staged(now, ready)))
