"""What a callback may say about its job: python-gearman's `send_job_*`, written at once."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, ClassVar

from gearfleet.gearman.encoding import DataEncoder, NoopEncoder, encode_with
from gearfleet.gearman.hub import STALL
from gearfleet.gearman.jobs import to_bytes
from gearfleet.gearman.protocol import Command, encode

if TYPE_CHECKING:
    from gearfleet.gearman.hub import Hub
    from gearfleet.gearman.jobs import GearmanJob
    from gearfleet.gearman.link import Link

logger = logging.getLogger(__name__)

#: How much streamed data may wait for a slow job server.
_MAX_BACKLOG_BYTES = 1024 * 1024


class JobUpdates:
    """The part of a worker that sends what becomes of a job."""

    data_encoder: ClassVar[type[DataEncoder]] = NoopEncoder

    _hub: Hub | None = None
    #: Seconds that an update waits by default for a job server that takes no more.
    _update_timeout: float

    def send_job_status(
        self,
        current_job: GearmanJob,
        numerator: int,
        denominator: int,
        poll_timeout: float | None = None,
    ) -> None:
        """Tell how much of the job is done; the job server keeps the last one for GET_STATUS."""
        progress = (str(int(numerator)).encode(), str(int(denominator)).encode())
        self._update(current_job, Command.WORK_STATUS, *progress, poll_timeout=poll_timeout)

    def send_job_data(
        self, current_job: GearmanJob, data: Any, poll_timeout: float | None = None
    ) -> None:
        """Send a part of the result to the clients that wait."""
        encoded = self._encode(data)
        self._update(current_job, Command.WORK_DATA, encoded, poll_timeout=poll_timeout)

    def send_job_warning(
        self, current_job: GearmanJob, data: Any, poll_timeout: float | None = None
    ) -> None:
        """Send a warning to the clients that wait."""
        encoded = self._encode(data)
        self._update(current_job, Command.WORK_WARNING, encoded, poll_timeout=poll_timeout)

    def send_job_complete(
        self, current_job: GearmanJob, data: Any, poll_timeout: float | None = None
    ) -> None:
        """End the job with a result."""
        self._finish(current_job, Command.WORK_COMPLETE, self._encode(data))
        self._flush_now(current_job, poll_timeout)

    def send_job_failure(self, current_job: GearmanJob, poll_timeout: float | None = None) -> None:
        """End the job without a reason."""
        self._finish(current_job, Command.WORK_FAIL)
        self._flush_now(current_job, poll_timeout)

    def send_job_exception(
        self, current_job: GearmanJob, data: Any, poll_timeout: float | None = None
    ) -> None:
        """End the job with a reason; it is the client's `request.exception`."""
        self._finish(current_job, Command.WORK_EXCEPTION, self._encode(data))
        self._flush_now(current_job, poll_timeout)

    def _encode(self, value: Any) -> bytes:
        if self.data_encoder is NoopEncoder:
            if isinstance(value, bytes):
                return value
            if value is None:
                return b""
        return encode_with(self.data_encoder, value)

    def _finish(self, job: GearmanJob, command: Command, *data: bytes) -> None:
        """Queue the one final packet of a job."""
        if self._queue(job, command, *data):
            job.connection.jobs.discard(job)
            job.is_finished = True

    def _update(
        self, job: GearmanJob, command: Command, *args: bytes, poll_timeout: float | None
    ) -> None:
        if self._queue(job, command, *args):
            self._flush_now(job, poll_timeout)

    def _queue(self, job: GearmanJob, command: Command, *args: bytes) -> bool:
        if job.is_finished:
            logger.debug("%r is not ours any more, or has ended: no %s", job, command.name)
            return False
        assert job.handle is not None
        link: Link = job.connection
        assert link.machine is not None
        link.machine.outgoing += encode(command, to_bytes(job.handle), *args)
        return True

    def _flush_now(self, job: GearmanJob, poll_timeout: float | None) -> None:
        """Send; wait only if a slow job server leaves too much of it here."""
        link: Link = job.connection
        timeout = self._update_timeout if poll_timeout is None else poll_timeout
        limit = time.monotonic() + timeout
        link.flush(time.monotonic())
        while link.machine is not None and len(link.machine.outgoing) > _MAX_BACKLOG_BYTES:
            if time.monotonic() >= limit:
                break
            assert self._hub is not None
            self._hub.poll(STALL)
