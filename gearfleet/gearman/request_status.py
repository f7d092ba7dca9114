"""What the job servers know of a client's own requests: python-gearman's `get_job_status`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar

from gearfleet import errors
from gearfleet.gearman.jobs import to_bytes
from gearfleet.gearman.limits import either
from gearfleet.gearman.protocol import Command, encode
from gearfleet.gearman.session import Question, number
from gearfleet.gearman.submits import Submitter, deadline_after, seconds_until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gearfleet.gearman.channel import Channel
    from gearfleet.gearman.jobs import GearmanJobRequest
    from gearfleet.gearman.servers import Server
    from gearfleet.gearman.submits import Candidate

    S = TypeVar("S", bound=Candidate)


class RequestQueries(Submitter):
    """The part of a client that asks about requests; for other jobs see `get_status`."""

    _servers: list[Server]

    def get_job_status(
        self,
        current_request: GearmanJobRequest,
        poll_timeout: float | None = None,
        *,
        timeout: float | None = None,
    ) -> GearmanJobRequest:
        """Ask what has become of one job; see `get_job_statuses`."""
        return self.get_job_statuses([current_request], either(poll_timeout, timeout))[0]

    def get_job_statuses(
        self,
        job_requests: Sequence[GearmanJobRequest],
        poll_timeout: float | None = None,
        *,
        timeout: float | None = None,
    ) -> list[GearmanJobRequest]:
        """Ask what has become of jobs; `status` of each request says it, and `timed_out` if not.

        A job that has ended, or that its job server has lost, is not `known`.

        Raises:
            InvalidClientState: one of them was never accepted by a job server.
            ServerUnavailable: the job server of one cannot be reached.
        """
        deadline = deadline_after(either(poll_timeout, timeout))
        self._notice_fork()
        for request in job_requests:
            self._ask_for_status(request, deadline)
        return self.wait_until_job_statuses_received(job_requests, seconds_until(deadline))

    def wait_until_job_statuses_received(
        self,
        job_requests: Sequence[GearmanJobRequest],
        poll_timeout: float | None = None,
        *,
        timeout: float | None = None,
    ) -> list[GearmanJobRequest]:
        """Wait for answers that `get_job_statuses` did not wait for long enough."""
        deadline = deadline_after(either(poll_timeout, timeout))
        for request in job_requests:
            request.timed_out = not self._hear_status(request, deadline)
        return list(job_requests)

    def _ask_for_status(self, request: GearmanJobRequest, deadline: float | None) -> None:
        question, packet = status_question(request, has_own_unique=self._has_own_unique(request))
        ask = partial(_ask, question, packet, deadline)
        try:
            channel = server_of(self._servers, request).write(ask, deadline)
        except errors.ConnectionError as error:
            raise errors.ServerUnavailable(str(error)) from error
        request.status_query = (channel, question)

    def _hear_status(self, request: GearmanJobRequest, deadline: float | None) -> bool:
        """Wait for the answer to the last question; return whether it came."""
        if request.status_query is None:
            return True
        channel, question = request.status_query
        if not channel.wait(lambda: question.is_answered, deadline):
            return False
        note_status(request, question)
        return True


def _ask(question: Question, packet: bytes, deadline: float | None, channel: Channel) -> None:
    channel.ask(question, packet, deadline)


def status_question(request: GearmanJobRequest, *, has_own_unique: bool) -> tuple[Question, bytes]:
    """Return the question what has become of a job, and its packet.

    Raises:
        InvalidClientState: no job server has accepted it.
    """
    job = request.gearman_job
    if job.handle is None:
        raise errors.InvalidClientState(f"No job server has accepted {request!r}")
    if has_own_unique:
        # A handle may mean another job after a restart of the job server (F14).
        unique = encode(Command.GET_STATUS_UNIQUE, to_bytes(job.unique))
        return Question(Command.STATUS_RES_UNIQUE), unique
    # Other functions may have jobs of a unique that the caller named.
    return Question(Command.STATUS_RES), encode(Command.GET_STATUS, to_bytes(job.handle))


def server_of(servers: Sequence[S], request: GearmanJobRequest) -> S:
    """Return the job server that a request was submitted to.

    Raises:
        InvalidClientState: it is none of these.
    """
    for server in servers:
        if server.address == request.gearman_job.connection:
            return server
    raise errors.InvalidClientState(f"{request!r} was submitted by another client")


def note_status(request: GearmanJobRequest, question: Question) -> None:
    """Put an answered question into the request's `status`.

    Raises:
        ServerUnavailable: the connection broke before the answer.
    """
    request.status_query = None
    if question.answer is None:
        raise errors.ServerUnavailable(str(question.error)) from question.error
    known, running, numerator, denominator = map(number, question.answer.args[1:5])
    request.update_status(bool(known), bool(running), numerator, denominator)
