"""`GearmanClient`: submit jobs and wait for them, with python-gearman's names.

Where it differs from python-gearman 2.0.2, on purpose:

* A submit that was written and not answered when its connection broke may have
  been accepted. It goes to another job server only if the caller allows it with
  `max_retries`; otherwise `AmbiguousSubmit` is raised.
* Every request has a random unique of its own unless the caller names one.
  gearmand loses jobs of a unique that foreground and background submits share
  (reference "gearmand", F1 and F2), so callers that name uniques keep the two
  apart, with a prefix for instance.
* One client may be used by many threads, and in a child after `fork`.
"""

from __future__ import annotations

import itertools
import os
import time
from typing import TYPE_CHECKING, Any, ClassVar

from gearfleet import errors
from gearfleet.gearman.addresses import parse_all
from gearfleet.gearman.channel import HEARTBEAT_INTERVAL, HEARTBEAT_LIMIT
from gearfleet.gearman.connection import Unwritten
from gearfleet.gearman.dial import CONNECT_TIMEOUT
from gearfleet.gearman.encoding import DataEncoder, NoopEncoder, encode_with
from gearfleet.gearman.jobs import (
    JOB_UNKNOWN,
    PRIORITY_HIGH,
    PRIORITY_LOW,
    PRIORITY_NONE,
    GearmanJob,
    GearmanJobRequest,
    to_bytes,
    to_text,
)
from gearfleet.gearman.protocol import Command, encode
from gearfleet.gearman.servers import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from gearfleet.gearman.addresses import Address, AddressLike
    from gearfleet.gearman.channel import Channel

_SUBMIT = {
    (PRIORITY_NONE, False): Command.SUBMIT_JOB,
    (PRIORITY_HIGH, False): Command.SUBMIT_JOB_HIGH,
    (PRIORITY_LOW, False): Command.SUBMIT_JOB_LOW,
    (PRIORITY_NONE, True): Command.SUBMIT_JOB_BG,
    (PRIORITY_HIGH, True): Command.SUBMIT_JOB_HIGH_BG,
    (PRIORITY_LOW, True): Command.SUBMIT_JOB_LOW_BG,
}


class GearmanClient:
    """Submits jobs to the job servers of a list.

    Example:
        client = GearmanClient(["127.0.0.1:4730"])
        request = client.submit_job("reverse", b"abc")
        assert request.complete and request.result == b"cba"
    """

    data_encoder: ClassVar[type[DataEncoder]] = NoopEncoder

    def __init__(
        self,
        host_list: AddressLike | Iterable[AddressLike] | None = None,
        random_unique_bytes: int = 16,
        *,
        connect_timeout: float = CONNECT_TIMEOUT,
        heartbeat_interval: float = HEARTBEAT_INTERVAL,
        heartbeat_limit: float = HEARTBEAT_LIMIT,
    ) -> None:
        """Remember the job servers; connect when the first job is submitted.

        Args:
            host_list: "host", "host:port", "[v6]:port" or (host, port), one or many.
            random_unique_bytes: how much of a unique is random, at most 24.
            connect_timeout: seconds to connect to one job server, name look-up included.
            heartbeat_interval: seconds of silence after which a waiting caller
                asks the job server whether it lives.
            heartbeat_limit: seconds of silence after which a job server that
                owes an answer is taken for dead.
        """
        addresses = parse_all(host_list)
        self._limits = (connect_timeout, heartbeat_interval, heartbeat_limit)
        self._servers = [Server(address, *self._limits) for address in addresses]
        self._turn = itertools.count()
        self._unique_bytes = min(max(random_unique_bytes, 8), 24)
        self._unique_start = os.urandom(self._unique_bytes).hex()
        self._unique_count = itertools.count()
        self._pid = os.getpid()

    @property
    def addresses(self) -> tuple[Address, ...]:
        """The job servers."""
        return tuple(server.address for server in self._servers)

    def submit_job(  # noqa: PLR0917 - python-gearman's signature
        self,
        task: str | bytes,
        data: Any,
        unique: str | bytes | None = None,
        priority: str | None = PRIORITY_NONE,
        background: bool = False,
        wait_until_complete: bool = True,
        max_retries: int = 0,
        poll_timeout: float | None = None,
    ) -> GearmanJobRequest:
        """Submit one job; wait until it is accepted, and by default until it has ended.

        A background job is complete when the job server has accepted it.

        Args:
            task: the name of the function.
            data: the payload: bytes, unless the class has a `data_encoder`.
            unique: 1-63 bytes that name the job; jobs of one function and one
                unique that wait at the same time are run once. Default: a fresh one.
            priority: PRIORITY_NONE, PRIORITY_LOW or PRIORITY_HIGH.
            background: do not wait for a result; there will be none.
            wait_until_complete: False returns as soon as the job is accepted.
            max_retries: how often to submit again if the connection breaks
                before the job is accepted. The job may then run more than once.
            poll_timeout: seconds, for connecting and waiting together. When they
                have passed, the request is returned with `timed_out` set.

        Raises:
            ServerUnavailable: no job server could be reached; the job was not submitted.
            AmbiguousSubmit: the connection broke; the job may run or may not.
            ExceededConnectionAttempts: it broke `max_retries` times more.
            ServerError: the job server refused the job.
            LocalProtocolError: (a ValueError) a name that the protocol cannot carry.
            TypeError: `data` is not bytes.
        """
        request = self._new_request(
            task, data, unique, priority, background=background, max_retries=max_retries
        )
        packet = self._encode(request, data)
        deadline = None if poll_timeout is None else time.monotonic() + poll_timeout
        while True:
            channel = self._submit(request, packet, deadline)
            channel.wait(lambda: request.is_accepted, deadline)
            if not isinstance(request.error, errors.AmbiguousSubmit):
                break
            self._prepare_retry(request, deadline)
        if isinstance(request.error, errors.ServerError):
            raise request.error
        if wait_until_complete and request.is_accepted:
            channel.wait(lambda: request.is_settled, deadline)
        request.timed_out = not (request.is_settled if wait_until_complete else request.is_accepted)
        return request

    def submit_multiple_jobs(
        self,
        jobs_to_submit: Sequence[Mapping[str, Any]] | set[Any],
        background: bool = False,
        wait_until_complete: bool = True,
        max_retries: int = 0,
        poll_timeout: float | None = None,
    ) -> list[GearmanJobRequest]:
        """Submit many jobs at once; return their requests in the same order.

        Each job is a dict with `task` and `data`, and maybe `unique` and
        `priority`. All are written before the first answer is awaited.

        A job that is refused, or whose connection breaks, does not raise here,
        because the others have requests too: look at `state`,
        `connection_failed` and `error` of each. `ServerUnavailable` is raised
        before anything is submitted, otherwise as for a lost connection.
        """
        if not isinstance(jobs_to_submit, list | tuple | set):
            raise TypeError(
                f"jobs_to_submit is a list of dicts, got {type(jobs_to_submit).__name__}"
            )
        requests = [
            self._new_request(
                job["task"],
                job["data"],
                job.get("unique"),
                job.get("priority", PRIORITY_NONE),
                background=background,
                max_retries=max_retries,
            )
            for job in jobs_to_submit
        ]
        return self.submit_multiple_requests(requests, wait_until_complete, poll_timeout)

    def submit_multiple_requests(
        self,
        job_requests: Sequence[GearmanJobRequest],
        wait_until_complete: bool = True,
        poll_timeout: float | None = None,
    ) -> list[GearmanJobRequest]:
        """Submit the requests that are not submitted or were lost, and wait for all of them.

        `poll_timeout` seconds are for connecting, accepting and completing together.
        """
        requests = list(job_requests)
        deadline = None if poll_timeout is None else time.monotonic() + poll_timeout
        fresh = [request for request in requests if request.state == JOB_UNKNOWN]
        while fresh:
            self._submit_all(fresh, deadline)
            self._wait_for(fresh, _is_accepted, deadline)
            fresh = [request for request in fresh if _may_retry(request) and not _is_over(deadline)]
        done = _is_settled if wait_until_complete else _is_accepted
        return self._wait_for(requests, done, deadline)

    def wait_until_jobs_accepted(
        self, job_requests: Sequence[GearmanJobRequest], poll_timeout: float | None = None
    ) -> list[GearmanJobRequest]:
        """Wait until the job server has answered each submit; `timed_out` tells which it has not."""
        deadline = None if poll_timeout is None else time.monotonic() + poll_timeout
        return self._wait_for(list(job_requests), _is_accepted, deadline)

    def wait_until_jobs_completed(
        self, job_requests: Sequence[GearmanJobRequest], poll_timeout: float | None = None
    ) -> list[GearmanJobRequest]:
        """Wait until each job has ended; `timed_out` tells which has not."""
        deadline = None if poll_timeout is None else time.monotonic() + poll_timeout
        return self._wait_for(list(job_requests), _is_settled, deadline)

    def close(self) -> None:
        """Close all connections. Foreground jobs that still wait in a queue will not run."""
        for server in self._servers:
            server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _new_request(
        self,
        task: str | bytes,
        data: Any,
        unique: str | bytes | None,
        priority: str | None,
        *,
        background: bool,
        max_retries: int,
    ) -> GearmanJobRequest:
        if os.getpid() != self._pid:
            self._start_anew_after_fork()
        name = task if isinstance(task, str) else to_text(task)
        if not unique:
            # A random start for each process and a counter: one system call for
            # each process instead of one for each job. Both are safe between threads.
            unique = f"{self._unique_start}-{next(self._unique_count):x}"
        elif isinstance(unique, bytes):
            unique = to_text(unique)
        job = GearmanJob(None, None, name, unique, data)
        return GearmanJobRequest(job, priority, background, max_retries + 1, self.data_encoder)

    def _encode(self, request: GearmanJobRequest, data: Any) -> bytes:
        encoder = self.data_encoder
        if encoder is not NoopEncoder or not isinstance(data, bytes):
            data = encode_with(encoder, data)
        background = request.background
        if background and not data:
            # gearmand's sqlite queue stores it as NULL and refuses to start again (F7).
            raise errors.LocalProtocolError(
                f"An empty payload for the background job {request.gearman_job.task}: gearmand "
                "with a persistent queue would not survive its restart; send at least one byte"
            )
        command = _SUBMIT.get((request.priority, background))
        if command is None:
            raise errors.LocalProtocolError(
                f"Priority {request.priority!r} is none of PRIORITY_NONE, PRIORITY_LOW, PRIORITY_HIGH"
            )
        job = request.gearman_job
        return encode(command, to_bytes(job.task), to_bytes(job.unique), data)

    def _submit(self, request: GearmanJobRequest, packet: bytes, deadline: float | None) -> Channel:
        """Write the submit to the first job server that takes it."""

        def write(channel: Channel) -> None:
            try:
                channel.submit(request, packet, deadline=deadline)
            except Unwritten:
                raise
            except errors.ConnectionError:
                pass  # begun, so it goes nowhere else; the request is marked as lost

        return self._first_that_takes(write, deadline)

    def _submit_all(self, requests: list[GearmanJobRequest], deadline: float | None) -> None:
        packets = [self._encode(request, request.gearman_job.data) for request in requests]
        for request in requests:
            request.reset()
        start = 0

        def write(channel: Channel) -> None:
            nonlocal start
            start += channel.submit_many(requests[start:], packets[start:], deadline=deadline)

        while start < len(requests):
            try:
                self._first_that_takes(write, deadline)
            except errors.ServerUnavailable as error:
                if start == 0:
                    raise
                for request in requests[start:]:
                    request.mark_lost(error)
                return

    def _first_that_takes(
        self, write: Callable[[Channel], None], deadline: float | None
    ) -> Channel:
        reasons = []
        for server in self._candidates():
            try:
                return server.write(write, deadline)
            except errors.ConnectionError as error:
                reasons.append(str(error))
        raise errors.ServerUnavailable(
            f"No job server can be reached: {'; '.join(reasons) or 'none was given'}"
        )

    def _candidates(self) -> Iterable[Server]:
        """Return the job servers in the order to try: in turn, those that failed lately last."""
        servers = self._servers
        if len(servers) < 2:
            return servers
        first = next(self._turn) % len(servers)
        now = time.monotonic()
        return sorted(
            servers[first:] + servers[:first], key=lambda server: max(0.0, server.avoid_until - now)
        )

    def _prepare_retry(self, request: GearmanJobRequest, deadline: float | None) -> None:
        ambiguous = request.error
        assert ambiguous is not None
        if request.max_connection_attempts <= 1:
            raise ambiguous
        if not _may_retry(request) or _is_over(deadline):
            raise errors.ExceededConnectionAttempts(
                f"{request.gearman_job.task} was lost {request.connection_attempts} times: {ambiguous}"
            ) from ambiguous
        request.reset()

    def _wait_for(
        self,
        requests: list[GearmanJobRequest],
        is_done: Callable[[GearmanJobRequest], bool],
        deadline: float | None,
    ) -> list[GearmanJobRequest]:
        if os.getpid() != self._pid:
            self._start_anew_after_fork()
        for request in requests:
            request.timed_out = False
        # One connection after the other: meanwhile the others' packets wait in
        # the kernel, and after the deadline each is looked at once more.
        for server in self._servers:
            channel = server.current
            theirs = [r for r in requests if r.gearman_job.connection == server.address]
            if channel is not None and theirs:
                channel.wait(_all_done(theirs, is_done), deadline)
        for request in requests:
            request.timed_out = not is_done(request)
        return requests

    def _start_anew_after_fork(self) -> None:
        # Two processes on one connection would read each other's answers.
        inherited, self._servers = self._servers, []
        for server in inherited:
            if server.current is not None:
                server.current.abandon()
            self._servers.append(Server(server.address, *self._limits))
        self._unique_start = os.urandom(self._unique_bytes).hex()
        self._pid = os.getpid()


def _is_accepted(request: GearmanJobRequest) -> bool:
    return request.is_accepted


def _is_settled(request: GearmanJobRequest) -> bool:
    return request.is_settled


def _all_done(
    requests: list[GearmanJobRequest], is_done: Callable[[GearmanJobRequest], bool]
) -> Callable[[], bool]:
    """Return a question that looks at each request once, not at all of them each time."""
    left = list(reversed(requests))

    def are_done() -> bool:
        while left and is_done(left[-1]):
            left.pop()
        return not left

    return are_done


def _may_retry(request: GearmanJobRequest) -> bool:
    return (
        isinstance(request.error, errors.AmbiguousSubmit)
        and request.connection_attempts < request.max_connection_attempts
    )


def _is_over(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() >= deadline
