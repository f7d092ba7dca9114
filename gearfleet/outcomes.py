"""What became of the jobs of a submitter: the answers to `JobHandle.wait`, `result` and `aresult`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gearfleet.errors import JobTimeout
from gearfleet.results.reading import afetch, fetch, value_of
from gearfleet.results.store import open_store
from gearfleet.tasks.submission import HandleStatus

if TYPE_CHECKING:
    from gearfleet.config import Settings
    from gearfleet.gearman.client import GearmanClient
    from gearfleet.results import TaskRecord
    from gearfleet.tasks import JobHandle

UNKNOWN = HandleStatus()


class Outcomes:
    """The part of a submitter that looks into the result store of its `settings`."""

    settings: Settings

    def status(self, handle: JobHandle) -> HandleStatus:
        """Return ``unknown``: no job server has the job."""
        return UNKNOWN

    def wait(self, handle: JobHandle, timeout: float | None = None) -> bool:
        """Wait until the job has ended and its record is kept; return False if time ran out."""
        return fetch(handle, wait=self._limit(timeout), settings=self.settings) is not None

    def outcome(self, handle: JobHandle, timeout: float | None = None) -> Any:
        """Return what the task returned; see `JobHandle.result`."""
        limit = self._limit(timeout)
        return self._value(handle, fetch(handle, wait=limit, settings=self.settings), limit)

    async def aoutcome(self, handle: JobHandle, timeout: float | None = None) -> Any:
        """Do what `outcome` does, and let the event loop go on meanwhile."""
        limit = self._limit(timeout)
        return self._value(handle, await afetch(handle, wait=limit, settings=self.settings), limit)

    def _limit(self, timeout: float | None) -> float:
        return self.settings.client_timeout if timeout is None else timeout

    def _value(self, handle: JobHandle, record: TaskRecord | None, limit: float) -> Any:
        if record is None:
            raise JobTimeout(
                f"No result of {handle.function} within {limit:g} s (job {handle.id} at "
                f"{handle.server}); it has not ended, or its result is not kept"
            )
        return value_of(record)


def status_of(handle: JobHandle, gearman: GearmanClient, settings: Settings) -> HandleStatus:
    """Ask the job server of `handle` for the status of its job."""
    status = _ask(handle.unique, handle, gearman)
    if status is UNKNOWN and (later := _next_attempt(handle, settings)):
        return _ask(later, handle, gearman)
    return status


def _ask(unique: str, handle: JobHandle, gearman: GearmanClient) -> HandleStatus:
    said = gearman.get_status(unique=unique, server=handle.server)
    if not said.known:
        return UNKNOWN
    return HandleStatus(
        state="running" if said.running else "queued",
        numerator=said.numerator,
        denominator=said.denominator,
    )


def _next_attempt(handle: JobHandle, settings: Settings) -> str | None:
    """Return the unique of the attempt that follows the last one that failed."""
    store = open_store(settings)
    found = store.get(handle.id) if store is not None else None
    if found is None or found.id != handle.id or found.is_final:
        return None
    return f"{handle.id}.{found.attempt + 1}"
