"""`ScheduleStore`: what every store of schedules can do, and which one the settings name."""

from __future__ import annotations

import threading
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from gearfleet.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from gearfleet.config import Settings
    from gearfleet.schedule.model import Occurrence, Schedule, Step

FILE = "gearfleet-schedules.sqlite3"

#: By path, because it stands on a higher floor.
DJANGO = "gearfleet.contrib.django.schedules.open_store"


class ScheduleStore(Protocol):
    """Keeps schedules, and which of their occurrences are claimed.

    Each method is done wholly or not at all. Whatever cannot be read or written
    raises `ScheduleStoreUnavailable`.
    """

    def all(self) -> list[Schedule]:
        """Return every schedule, by name."""

    def find(self, name: str) -> Schedule | None:
        """Return the schedule with this name, else the one with this id."""

    def due(self, now: datetime) -> list[Schedule]:
        """Return the active schedules whose next run is not after `now`, the earliest first."""

    def next_run(self) -> datetime | None:
        """Return the next run of all active schedules."""

    def add(self, schedule: Schedule) -> bool:
        """Keep a new schedule; return False if there is one of this name."""

    def change(self, before: Schedule, after: Schedule) -> bool:
        """Put `after` in the place of `before`; return False if it is not as `before` any more.

        Only what a scheduler changes by itself is compared: the next run, and how
        many are left.
        """

    def delete(self, schedules: Sequence[str]) -> int:
        """Delete the schedules with these ids; return how many. What is claimed is submitted still."""

    def claim(self, schedule: Schedule, step: Step, occurrence: Occurrence) -> bool:
        """Take `step` and keep its claimed occurrence; return False if another scheduler did.

        An occurrence that was claimed once is never claimed again: then the step is
        taken, and False returned.
        """

    def take_over(self, owner: str, now: float, until: float) -> list[Occurrence]:
        """Claim the occurrences that nobody has submitted and whose lease has ended before `now`."""

    def extend(self, occurrence: Occurrence, until: float) -> bool:
        """Make the lease of a claimed occurrence longer; return False if another has taken it over."""

    def settle(self, occurrence: Occurrence, failure: str = "") -> None:
        """Keep that the job of an occurrence was submitted, or why it never can be."""

    def note_run(self, schedule: str, intended: datetime, job: str) -> None:
        """Keep the last job of a schedule that was run by hand."""

    def close(self) -> None:
        """Let go of what is open; the next use opens it again."""


_stores: dict[tuple[Any, ...], ScheduleStore] = {}
_opening = threading.Lock()


def open_schedules(settings: Settings) -> ScheduleStore:
    """Return the store of schedules that `settings` name, one for each process.

    Nothing is opened before it is used.

    Raises:
        ConfigError: the setting ``schedule_store`` names none.
    """
    key = (settings.schedule_store, settings.root)
    with _opening:
        if key not in _stores:
            _stores[key] = _make(settings)
        return _stores[key]


def _make(settings: Settings) -> ScheduleStore:
    named = settings.schedule_store
    if named == "sqlite" or named.startswith("sqlite:///"):
        from gearfleet.schedule.sqlite import SQLiteScheduleStore

        file = FILE if named == "sqlite" else named.removeprefix("sqlite:///")
        return SQLiteScheduleStore(settings.root / file)
    module, _, name = (DJANGO if named == "django" else named).rpartition(".")
    try:
        store: ScheduleStore = getattr(import_module(module), name)(settings)
    except Exception as error:
        raise ConfigError(
            f"Setting 'schedule_store': '{named}' cannot be used: {type(error).__name__}: {error}; "
            'write "sqlite", "sqlite:///path", "django" or the dotted path of a function that returns a store'
        ) from error
    return store
