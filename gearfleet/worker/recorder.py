"""`Recorder`: what a worker tells the result store.

A failure is in the store when `failure` returns, because the final packet that
follows is the last that anybody hears of the job. A success is written with
others, at most `LAG` seconds later, by a thread; what is pending is written by
`close`, at drain.

When the store is down, successes wait in memory, as many as `MAX_PENDING`, and
are written when it is back; `failure` raises, so that the worker keeps the job
and lets another one run it again.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from gearfleet.errors import ResultStoreUnavailable
from gearfleet.results import TaskRecord, seal
from gearfleet.results.record import Unsealed
from gearfleet.tasks.current import foreign_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gearfleet.results import ResultStore, Sealed
    from gearfleet.results.record import State
    from gearfleet.tasks.failure import Failure
    from gearfleet.worker.job import Job

logger = logging.getLogger(__name__)

#: Seconds that a success waits for others to be written with; dramatiq and
#: celery write each on its own, which costs a commit for each.
LAG = 0.2

#: Seconds between attempts to reach a store that is down.
PAUSE = 1.0

#: Successes that are kept while the store is down; the oldest go.
MAX_PENDING = 10_000


class Recorder:
    """Keeps what became of the jobs of one worker; `store` is None where nothing is kept."""

    def __init__(
        self, store: ResultStore | None, *, lag: float = LAG, pause: float = PAUSE
    ) -> None:
        """Write to `store`; nothing is opened before the first record."""
        self._store = store
        self._lag = lag
        self._pause = pause
        self._pending: deque[Sealed | Unsealed] = deque()
        self._lost = 0
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._writing = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def wants_success(self, save: bool | None = None, *, waits: bool = False) -> bool:
        """Return whether a success is kept, so that a record need not be made in vain.

        Args:
            save: what the caller said, `Meta.save`; None for nothing.
            waits: whether the caller waits for the result, and so has it: then only
                `save` True keeps it.
        """
        if self._store is None:
            return False
        return bool(save) if waits else self._store.retention.wants_success(save)

    def success(self, record: TaskRecord | Unsealed) -> None:
        """Keep `record` soon; if it can change it is put into bytes now.

        That of a further attempt is written now: until then the store says that one will come.
        """
        if self._store is None:
            return
        self._add(record if isinstance(record, Unsealed) else seal(record))
        if record.attempt > 1:
            with suppress(ResultStoreUnavailable):  # it is pending
                self.flush()

    def keep(self, record: Unsealed) -> None:
        """Keep the success of a first attempt soon; only where `wants_success` says so."""
        self._add(record)

    def begun(self, record: TaskRecord) -> None:
        """Keep `record`, of a job that begins, soon; what becomes of a short one is written with it."""
        if self._store is not None:
            self._add(seal(record))

    def forget(self, job: str) -> None:
        """Delete the record of a job, if the store can be reached."""
        if self._store is not None:
            with suppress(ResultStoreUnavailable):
                self._store.delete([job])

    def is_pending(self, job: str) -> bool:
        """Return whether the success of this job is about to be written."""
        with self._changed:
            return any(each.id == job and each.state != "retry" for each in self._pending)

    def failure(self, record: TaskRecord) -> None:
        """Keep `record` now.

        Raises:
            ResultStoreUnavailable: it could not be written; the job is to stay in
                hand, and the connection to be closed, so that it runs again.
        """
        if self._store is not None:
            self._store.save([record])

    def flush(self) -> None:
        """Write what is pending now, or raise `ResultStoreUnavailable` and keep it."""
        if self._store is None:
            return
        with self._writing:
            with self._changed:
                batch = list(self._pending)
                self._pending.clear()
            try:
                self._save(self._store, _sealed(self._store, batch))
            except BaseException:
                with self._changed:
                    self._pending.extendleft(reversed(batch))
                    self._drop_oldest()
                raise

    @staticmethod
    def _save(store: ResultStore, batch: list[Sealed]) -> None:
        """Write a batch; where the store refuses one, the others are not lost with it."""
        try:
            store.save(batch)
        except ResultStoreUnavailable:
            raise
        except Exception as error:
            if len(batch) > 1:
                for each in batch:
                    Recorder._save(store, [each])
                return
            logger.exception(
                "The result of job %s is lost: %s",
                batch[0].id,
                error,
                extra={"action": "result_refused", "job": batch[0].id},
            )

    def close(self) -> None:
        """Write what is pending; what cannot be written is counted in the log."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(self._lag + self._pause)
        try:
            self.flush()
        except ResultStoreUnavailable as error:
            logger.error(
                "The results of %d jobs are lost: %s",
                len(self._pending) + self._lost,
                error,
                extra={"action": "results_lost", "count": len(self._pending) + self._lost},
            )
        if self._store is not None:
            self._store.close()

    def _add(self, record: Sealed | Unsealed) -> None:
        with self._lock:  # the condition's own, which takes less time
            self._pending.append(record)
            if self._thread is None and not self._is_closed:
                self._start()
            if len(self._pending) == 1:
                self._changed.notify()
            elif len(self._pending) > MAX_PENDING:
                self._drop_oldest()

    def _drop_oldest(self) -> None:
        while len(self._pending) > MAX_PENDING:
            self._pending.popleft()
            self._lost += 1

    def _start(self) -> None:
        sys.stderr = getattr(sys, "stderr", None)  # Thread wants one, and a task may delete it
        self._thread = threading.Thread(target=self._run, name="gearfleet-results", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        pause = self._lag
        while self._wait(pause):
            pause = self._write()

    def _wait(self, pause: float) -> bool:
        """Wait for a record, and then for others to write with it; return False at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._pending or self._is_closed)
            self._changed.wait_for(lambda: self._is_closed, pause)
            return not self._is_closed

    def _write(self) -> float:
        """Write what is pending; return the seconds until the next time."""
        try:
            self.flush()
        except ResultStoreUnavailable as error:
            logger.warning(
                "%d results wait until the store is back: %s",
                len(self._pending),
                error,
                extra={"action": "results_wait", "count": len(self._pending)},
            )
            return self._pause
        if self._lost:
            logger.error(
                "%d results were dropped while the store was down",
                self._lost,
                extra={"action": "results_lost", "count": self._lost},
            )
            self._lost = 0
        return self._lag


def _sealed(store: ResultStore, batch: Sequence[Sealed | Unsealed]) -> list[Sealed]:
    """Return a batch in bytes, without those that the store would drop at once."""
    # A burst is longer than what is kept of it. A store of the project's may do more than keep.
    is_limited = getattr(store, "keeps_newest", False)
    kept = store.retention.newest(batch) if is_limited else batch
    return [each.seal() if isinstance(each, Unsealed) else each for each in kept]


def record_of(
    job: Job,
    *,
    started: float,
    stopped: float,
    server: str = "",
    result: Any = None,
    failure: Failure | None = None,
    state: State | None = None,
    has_arguments: bool = True,
) -> TaskRecord:
    """Return the record of `job`: a failure if there is one, else a success with `result`.

    A job of a foreign client, which has no id, is kept under its handle and its unique.
    """
    meta = job.meta
    return TaskRecord(
        id=meta.id if meta else foreign_id(server, job.handle, job.unique),
        task=job.task.name,
        state=state or ("failure" if failure else "success"),
        name=meta.name if meta else "",
        function=job.function,
        queue=job.task.queue,
        args=job.args,
        kwargs=job.kwargs,
        group=meta.group if meta else "",
        hook=meta.hook if meta else "",
        enqueued_at=meta.enqueued_at if meta else 0.0,
        started=started,
        stopped=stopped,
        attempt=meta.attempt if meta else 1,
        result=result,
        failure=failure,
        server=server,
        handle=job.handle,
        has_arguments=has_arguments,
        about=(meta and meta.about) or {},
    )
