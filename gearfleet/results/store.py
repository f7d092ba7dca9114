"""`ResultStore`: what every store can do, and which one the settings name."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from gearfleet.errors import ConfigError
from gearfleet.results.retention import Retention

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from gearfleet.config import Settings
    from gearfleet.results.record import Sealed, TaskRecord

FILE = "results.sqlite3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One of the `count` jobs whose results become one list.

    Attributes:
        whole: id of the record that the list is kept under.
        index: of this part, from 0.
        count: of the parts.
        sealed: the record of this part.
    """

    whole: str
    index: int
    count: int
    sealed: Sealed


class ResultStore(Protocol):
    """Keeps what became of jobs.

    It may be used by many threads, and on both sides of a fork. Whatever cannot
    be read or written raises `ResultStoreUnavailable`. One whose `save` does nothing with
    records that are too many may say so with ``keeps_newest = True``: it is spared them.
    """

    retention: Retention

    def save(self, records: Iterable[TaskRecord | Sealed]) -> None:
        """Keep `records`, all or none; one with the id of an older one takes its place.

        Only a record of an earlier attempt does not: that attempt ran again, and
        what came of the later one stands.

        Those that are then too many, or too old, are dropped.
        """

    def get(self, job: str) -> TaskRecord | None:
        """Return the record of the job with this id, else the newest one of this name."""

    def group(self, group: str) -> list[TaskRecord]:
        """Return the records of a group, in the order in which the jobs began."""

    def count_group(self, group: str, *, failures: bool | None = None) -> int:
        """Count the records of a group; only those that did, or did not, fail unless None."""

    def delete_group(self, group: str) -> int:
        """Delete the records of a group; return how many."""

    def ungroup(self, group: str) -> int:
        """Take the records of a group out of it, and keep them; return how many."""

    def delete(self, jobs: Iterable[str]) -> int:
        """Delete the records with these ids; return how many."""

    def failures(self, *, limit: int = 100, task: str | None = None) -> list[TaskRecord]:
        """Return the newest records of jobs that failed or expired, those of one task if it is given."""

    def collect(self, part: Part) -> list[TaskRecord] | None:
        """Keep a part; return all of them in order when the last one has come.

        They stay until `drop_parts`, so that whoever was given them may die.
        """

    def drop_parts(self, whole: str) -> None:
        """Drop the parts of a list that has been kept."""

    def close(self) -> None:
        """Let go of what is open; the next use opens it again."""


_stores: dict[tuple[Any, ...], ResultStore] = {}
_opening = threading.Lock()


def open_store(settings: Settings) -> ResultStore | None:
    """Return the store that `settings` name, one for each process; None for ``results = "none"``.

    Nothing is opened before it is used.

    Raises:
        ConfigError: the setting ``results`` names none.
    """
    retention = Retention.of(settings)
    key = (settings.results, settings.always_eager, _path(settings), settings.run_dir, retention)
    with _opening:
        if settings.results == "none":
            return None
        if key not in _stores:
            _stores[key] = _make(settings, retention)
        return _stores[key]


def _make(settings: Settings, retention: Retention) -> ResultStore:
    named = settings.results
    if settings.always_eager and named in ("sqlite", "django"):
        named = "memory"  # nobody but this process runs a job
    if named == "memory":
        from gearfleet.results.memory import MemoryStore

        return MemoryStore(retention)
    if named == "sqlite" or named.startswith("sqlite:///"):
        from gearfleet.results.sqlite import SQLiteStore

        return SQLiteStore(_path(settings), retention)
    if named == "django" or named.startswith("django:"):
        return _of_django(named.removeprefix("django").removeprefix(":"), retention)
    return _by_path(named, settings)


def _path(settings: Settings) -> Path:
    if settings.results == "sqlite":
        # Fleets that share a run directory have names, and limits of their own.
        return settings.run_dir / (f"{settings.name}-{FILE}" if settings.name else FILE)
    return settings.root / settings.results.removeprefix("sqlite:///")


def _of_django(alias: str, retention: Retention) -> ResultStore:
    """Return the store in a database of Django, which is imported only for this."""
    try:
        module = import_module("gearfleet.contrib.django.results")
    except Exception as error:
        raise ConfigError(
            "Setting 'results': \"django\" needs a Django project that is set up and has "
            "'gearfleet.contrib.django' in its INSTALLED_APPS; in other projects write \"sqlite\" "
            f"({type(error).__name__}: {error})"
        ) from error
    store: ResultStore = module.DjangoStore(retention, alias=alias)
    return store


def _by_path(named: str, settings: Settings) -> ResultStore:
    """Call what a dotted path names with the settings."""
    module, _, name = named.rpartition(".")
    try:
        store: ResultStore = getattr(import_module(module), name)(settings)
    except Exception as error:
        raise ConfigError(
            f"Setting 'results': '{named}' cannot be used: {type(error).__name__}: {error}; "
            'write "sqlite", "sqlite:///path", "django", "memory", "none" or the dotted path of a '
            "function that returns a store"
        ) from error
    return store


def close_stores() -> None:
    """Close the stores of this process; each opens again when it is used."""
    for store in list(_stores.values()):
        store.close()


def unseal(sealed: Sequence[Sealed]) -> list[TaskRecord]:
    """Return the records of `sealed`."""
    return [each.record() for each in sealed]
