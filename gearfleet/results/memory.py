"""A store in memory, for tests and for one process; the twin of the one in SQLite."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from gearfleet.results.record import Sealed, TaskRecord, seal
from gearfleet.results.retention import Retention
from gearfleet.results.store import unseal
from gearfleet.results.tally import kept, tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gearfleet.results.store import Part
    from gearfleet.results.tally import Kept, Tally


class MemoryStore:
    """Keeps records as long as the process lives."""

    def __init__(
        self, retention: Retention | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        """Keep as many as `retention` says."""
        self.retention = retention or Retention()
        self._clock = clock
        self._lock = threading.Lock()
        self._sealed: dict[str, Sealed] = {}  # the oldest first
        self._parts: dict[str, dict[int, Sealed]] = {}

    def save(self, records: Iterable[TaskRecord | Sealed]) -> None:
        """Keep `records`; see `ResultStore.save`."""
        saved = [each if isinstance(each, Sealed) else seal(each) for each in records]
        with self._lock:
            for each in saved:
                older = self._sealed.get(each.id)
                if older is None or older.attempt <= each.attempt:
                    self._sealed.pop(each.id, None)
                    self._sealed[each.id] = each
            self._prune()

    def get(self, job: str) -> TaskRecord | None:
        """Return the record with this id, else the newest of this name."""
        with self._lock:
            found = [each for each in self._kept() if each.name == job]
            by_id = [each for each in self._kept() if each.id == job]
        return next((each.record() for each in (*by_id, *reversed(found))), None)

    def group(self, group: str) -> list[TaskRecord]:
        """Return the records of a group, in the order in which the jobs began."""
        with self._lock:
            found = self._of(group)
        return unseal(sorted(found, key=lambda each: each.started))

    def count_group(self, group: str, *, failures: bool | None = None) -> int:
        """Count the records of a group."""
        with self._lock:
            return sum(failures in (None, each.state != "success") for each in self._of(group))

    def delete_group(self, group: str) -> int:
        """Delete the records of a group; return how many."""
        with self._lock:
            return self._delete([each.id for each in self._of(group)])

    def ungroup(self, group: str) -> int:
        """Take the records of a group out of it; return how many."""
        with self._lock:
            found = self._of(group)
            self._sealed.update({each.id: each._replace(group="") for each in found})
            return len(found)

    def delete(self, jobs: Iterable[str]) -> int:
        """Delete the records with these ids; return how many."""
        with self._lock:
            return self._delete(jobs)

    def failures(self, *, limit: int = 100, task: str | None = None) -> list[TaskRecord]:
        """Return the newest records of jobs that failed or expired."""
        with self._lock:
            found = [
                each
                for each in reversed(self._kept())
                if each.state in ("failure", "expired") and task in (None, each.task)
            ]
        return unseal(found[:limit])

    def collect(self, part: Part) -> list[TaskRecord] | None:
        """Keep a part; return all of them in order when the last one has come."""
        with self._lock:
            if part.whole in self._sealed:
                return None  # one that ran again after the list was made
            parts = self._parts.setdefault(part.whole, {})
            parts[part.index] = part.sealed
            found = [parts[index] for index in sorted(parts)]
        return unseal(found) if len(found) == part.count else None

    def drop_parts(self, whole: str) -> None:
        """Drop the parts of a list that has been kept."""
        with self._lock:
            self._parts.pop(whole, None)

    def tally(self, since: float) -> list[Tally]:
        """Count the records of jobs that ended at `since` or later, by task and state."""
        with self._lock:
            return tally(each for each in self._kept() if each.stopped >= since)

    def kept(self) -> Kept:
        """Count the records that the limits apply to."""
        with self._lock:
            return kept(self._kept())

    def close(self) -> None:
        """Keep everything: there is nothing to close."""

    def _kept(self) -> list[Sealed]:
        now = self._clock()
        return [each for each in self._sealed.values() if not 0 < each.keep_until <= now]

    def _of(self, group: str) -> list[Sealed]:
        return [each for each in self._kept() if group and each.group == group]

    def _delete(self, jobs: Iterable[str]) -> int:
        return sum(self._sealed.pop(job, None) is not None for job in jobs)

    def _prune(self) -> None:
        now = self._clock()
        alive = (each for each in self._sealed.values() if not 0 < each.keep_until <= now)
        self._sealed = {each.id: each for each in self.retention.newest(alive)}
