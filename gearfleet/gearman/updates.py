"""What a callback may say about its job: python-gearman's `send_job_*`, written at once."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from gearfleet.gearman.encoding import NoopEncoder, encode_with
from gearfleet.gearman.hub import STALL
from gearfleet.gearman.jobs import to_bytes
from gearfleet.gearman.limits import either
from gearfleet.gearman.manager import GearmanConnectionManager
from gearfleet.gearman.protocol import Command, encode, encode_result

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gearfleet.gearman.hub import Hub
    from gearfleet.gearman.jobs import GearmanJob
    from gearfleet.gearman.link import Link

logger = logging.getLogger(__name__)

#: How much streamed data may wait for a slow job server.
_MAX_BACKLOG_BYTES = 1024 * 1024


class JobUpdates(GearmanConnectionManager):
    """The part of a worker that sends what becomes of a job.

    `poll_timeout`, or `timeout`, is how many seconds to wait for a job server
    that takes no more, when a lot waits to be sent to it.
    """

    _hub: Hub | None = None
    #: Seconds that an update waits by default for a job server that takes no more.
    _update_timeout: float

    def send_job_status(
        self,
        current_job: GearmanJob,
        numerator: int,
        denominator: int,
        poll_timeout: float | None = None,
        *,
        timeout: float | None = None,
    ) -> None:
        """Tell how much of the job is done; the job server keeps the last one for GET_STATUS."""
        progress = (str(int(numerator)).encode(), str(int(denominator)).encode())
        self._update(
            current_job, Command.WORK_STATUS, *progress, limit=either(poll_timeout, timeout)
        )

    def send_job_data(
        self,
        current_job: GearmanJob,
        data: Any,
        poll_timeout: float | None = None,
        *,
        timeout: float | None = None,
    ) -> None:
        """Send a part of the result to the clients that wait."""
        encoded = self._encode(data)
        self._update(current_job, Command.WORK_DATA, encoded, limit=either(poll_timeout, timeout))

    def send_job_warning(
        self,
        current_job: GearmanJob,
        data: Any,
        poll_timeout: float | None = None,
        *,
        timeout: float | None = None,
    ) -> None:
        """Send a warning to the clients that wait."""
        encoded = self._encode(data)
        self._update(
            current_job, Command.WORK_WARNING, encoded, limit=either(poll_timeout, timeout)
        )

    def send_job_complete(
        self,
        current_job: GearmanJob,
        data: Any,
        poll_timeout: float | None = None,
        *,
        timeout: float | None = None,
    ) -> None:
        """End the job with a result."""
        limit = either(poll_timeout, timeout)
        self._finish(current_job, Command.WORK_COMPLETE, self._encode(data))
        self._flush_now(current_job, limit)

    def send_job_failure(
        self,
        current_job: GearmanJob,
        poll_timeout: float | None = None,
        *,
        timeout: float | None = None,
    ) -> None:
        """End the job without a reason."""
        limit = either(poll_timeout, timeout)
        self._finish(current_job, Command.WORK_FAIL)
        self._flush_now(current_job, limit)

    def send_job_exception(
        self,
        current_job: GearmanJob,
        data: Any,
        poll_timeout: float | None = None,
        *,
        timeout: float | None = None,
    ) -> None:
        """End the job with a reason; it is the client's `request.exception`."""
        limit = either(poll_timeout, timeout)
        self._finish(current_job, Command.WORK_EXCEPTION, self._encode(data))
        self._flush_now(current_job, limit)

    def wait_until_updates_sent(
        self,
        multiple_gearman_jobs: Iterable[GearmanJob],
        poll_timeout: float | None = None,
        *,
        timeout: float | None = None,
    ) -> bool:
        """Wait until all that was said about these jobs is on its way; return whether it is."""
        until = self._until(either(poll_timeout, timeout))
        links = {job.connection for job in multiple_gearman_jobs}
        are_sent = [self._wait_for_room(link, 0, until) for link in links]
        return all(are_sent)

    def _encode(self, value: Any) -> bytes:
        if self.data_encoder is NoopEncoder:
            if isinstance(value, bytes):
                return value
            if value is None:
                return b""
        if isinstance(value, reversed):
            value = _joined(value)
        return encode_with(self.data_encoder, value)

    def _complete(self, job: GearmanJob, data: bytes) -> None:
        """Queue the result of a job that came over the wire, as `_finish` does."""
        link: Link = job.connection
        if job.is_finished or link.machine is None or job.handle is None:
            self._finish(job, Command.WORK_COMPLETE, data)
            return
        handle = job.handle.encode("utf-8", "surrogateescape")
        link.machine.outgoing += encode_result(handle, data)
        job.is_finished = True
        link.jobs.discard(job)

    def _finish(self, job: GearmanJob, command: Command, *data: bytes) -> None:
        """Queue the one final packet of a job."""
        if self._queue(job, command, *data):
            job.is_finished = True
            job.connection.jobs.discard(job)

    def _update(self, job: GearmanJob, command: Command, *args: bytes, limit: float | None) -> None:
        if self._queue(job, command, *args):
            self._flush_now(job, limit)

    def _queue(self, job: GearmanJob, command: Command, *args: bytes) -> bool:
        if job.is_finished:
            logger.debug("%r is not ours any more, or has ended: no %s", job, command.name)
            return False
        assert job.handle is not None
        link: Link = job.connection
        assert link.machine is not None
        link.machine.outgoing += encode(command, to_bytes(job.handle), *args)
        return True

    def _flush_now(self, job: GearmanJob, limit: float | None) -> None:
        """Send; wait only if a slow job server leaves too much of it here."""
        link: Link = job.connection
        link.flush(time.monotonic())
        if link.waiting_bytes > _MAX_BACKLOG_BYTES:
            self._wait_for_room(link, _MAX_BACKLOG_BYTES, self._until(limit))

    def _until(self, limit: float | None) -> float:
        return time.monotonic() + (self._update_timeout if limit is None else limit)

    def _wait_for_room(self, link: Link, allowed_bytes: int, until: float) -> bool:
        """Wait until no more than `allowed_bytes` have to be sent; return whether that is so.

        What the job servers send meanwhile is read. A job among it has to wait.
        """
        while link.waiting_bytes > allowed_bytes:
            left = until - time.monotonic()
            if left <= 0 or self._hub is None:
                return False
            self._hub.poll(min(left, STALL))
        return True


def _joined(pieces: reversed[Any]) -> Any:
    """Return the text or bytes that `pieces` gives back to front, or else its items as a list.

    python-gearman's README returns `reversed(job.data)`, which no encoder takes.
    """
    original: Any = pieces.__reduce__()[1]
    if isinstance(original[0], str):
        return "".join(pieces)
    if isinstance(original[0], bytes | bytearray):
        return bytes(pieces)
    return list(pieces)
