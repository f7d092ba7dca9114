"""A bar below the lines of a rolling restart, for somebody who watches it at a terminal.

It needs rich, which a system Python may lack: then the lines alone have to do.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from gearfleet.supervisor.events import (
    PoolLeft,
    PoolRenewing,
    ProcessBack,
    ProcessDown,
    ProcessFailed,
    ProcessStarted,
    ProcessStopping,
    RolloutStarted,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TextIO

    from rich.progress import Progress

    from gearfleet.supervisor.events import Event, Report

_TAKEN = (ProcessStopping, PoolRenewing)
_SETTLED = (ProcessBack, ProcessFailed, ProcessStarted, PoolLeft)


@contextmanager
def shown(text: Callable[[Event], str], say: Report, terminal: TextIO | None) -> Iterator[Report]:
    """Yield whom to tell of events: `say`, or a bar below the same lines on a `terminal`."""
    if terminal is None or not terminal.isatty():
        yield say
        return
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    except ImportError:
        yield say
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[away]} under way"),
    )
    with Progress(*columns, console=Console(file=terminal), transient=True) as progress:
        yield _Bar(progress, text).tell


class _Bar:
    """One bar for each group: how many of its processes are done, and how many under way."""

    def __init__(self, progress: Progress, text: Callable[[Event], str]) -> None:
        self._progress = progress
        self._text = text
        self._away: set[str] = set()

    def tell(self, event: Event) -> None:
        if said := self._text(event):
            self._progress.console.print(said, markup=False, highlight=False, soft_wrap=True)
        self._note(event)

    def _note(self, event: Event) -> None:
        if isinstance(event, RolloutStarted):
            self._away.clear()
            total = len(event.names) + len(event.awaited)
            self._progress.add_task(event.group, total=total, away=0)
        elif isinstance(event, _TAKEN):
            self._away.add(event.name)
        elif isinstance(event, _SETTLED):
            self._away.discard(event.name)
        if self._progress.task_ids:
            is_done = isinstance(event, ProcessDown | ProcessBack)
            self._progress.update(
                self._progress.task_ids[-1], advance=int(is_done), away=len(self._away)
            )
