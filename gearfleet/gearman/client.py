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

import os
from typing import TYPE_CHECKING, Any

from gearfleet import errors
from gearfleet.gearman.bulk import Batch, Distribution
from gearfleet.gearman.channel import HEARTBEAT_INTERVAL, HEARTBEAT_LIMIT
from gearfleet.gearman.dial import CONNECT_TIMEOUT
from gearfleet.gearman.forms import Reduce, RunAt
from gearfleet.gearman.jobs import JOB_UNKNOWN, PRIORITY_NONE, GearmanJobRequest
from gearfleet.gearman.limits import either
from gearfleet.gearman.request_status import RequestQueries
from gearfleet.gearman.servers import Server
from gearfleet.gearman.status import StatusQueries
from gearfleet.gearman.streams import JobStream, StreamedRequest
from gearfleet.gearman.submits import (
    deadline_after,
    is_accepted,
    is_over,
    is_settled,
    may_retry,
    prepare_retry,
    seconds_until,
    unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime
    from types import TracebackType
    from typing import Self

    from gearfleet.gearman.addresses import Address, AddressLike
    from gearfleet.gearman.channel import Channel


class GearmanClient(RequestQueries, StatusQueries):
    """Submits jobs to the job servers of a list.

    Example:
        client = GearmanClient(["127.0.0.1:4730"])
        request = client.submit_job("reverse", b"abc")
        assert request.complete and request.result == b"cba"
    """

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
        super().__init__(host_list, random_unique_bytes)
        self._limits = (connect_timeout, heartbeat_interval, heartbeat_limit)
        self._servers = [Server(address, *self._limits) for address in self.addresses]

    def submit_job(  # noqa: PLR0917 - python-gearman's signature
        self,
        task: str | bytes,
        data: Any,
        unique: str | bytes | None = None,
        priority: str | None = PRIORITY_NONE,
        background: bool = False,
        wait_until_complete: bool | None = None,
        max_retries: int = 0,
        poll_timeout: float | None = None,
        *,
        timeout: float | None = None,
        when_to_run: datetime | float | None = None,
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
            wait_until_complete: False returns as soon as the job is accepted; None
                means the class attribute of that name, which is True.
            max_retries: how often to submit again if the connection breaks
                before the job is accepted. The job may then run more than once.
            poll_timeout: seconds, for connecting and waiting together. When they
                have passed, the request is returned with `timed_out` set.
            timeout: another name for it, as in python-gearman's documentation.
            when_to_run: an aware datetime or seconds since the epoch, before which
                no worker gets the job; for background jobs of PRIORITY_NONE only.

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
        if when_to_run is not None:
            request.form = RunAt.of(when_to_run)
        if wait_until_complete is None:
            wait_until_complete = self.wait_until_complete
        limit = poll_timeout if timeout is None else either(poll_timeout, timeout)
        return self._submit_one(
            request, deadline_after(limit), wait_until_complete=wait_until_complete
        )

    def submit_reduce_job(
        self,
        task: str | bytes,
        data: Any,
        reducer: str,
        *,
        aggregate: bool = False,
        unique: str | bytes | None = None,
        background: bool = False,
        wait_until_complete: bool = True,
        max_retries: int = 0,
        poll_timeout: float | None = None,
    ) -> GearmanJobRequest:
        """Submit a job that also names the function `reducer`, which is to reduce its results.

        libgearman's partitioning workers know what to do with it; any other worker
        runs an ordinary job of `task`. Everything else is as with `submit_job`.
        """
        request = self._new_request(
            task, data, unique, PRIORITY_NONE, background=background, max_retries=max_retries
        )
        request.form = Reduce.of(reducer, aggregate)
        return self._submit_one(
            request, deadline_after(poll_timeout), wait_until_complete=wait_until_complete
        )

    def stream(
        self,
        task: str | bytes,
        data: Any,
        unique: str | bytes | None = None,
        priority: str | None = PRIORITY_NONE,
        *,
        max_retries: int = 0,
        poll_timeout: float | None = None,
    ) -> JobStream:
        """Submit one foreground job and return its events, to iterate over.

        `poll_timeout` seconds are for all of it, the last event included. The
        other arguments, and what is raised, are those of `submit_job`.

        Example:
            for event in client.stream("resize", b"..."):
                if isinstance(event, JobProgress):
                    print(f"{event.numerator} of {event.denominator}")
        """
        plain = self._new_request(
            task, data, unique, priority, background=False, max_retries=max_retries
        )
        request = StreamedRequest.like(plain)
        if unique:
            self._keep_apart(request)
        deadline = deadline_after(poll_timeout)
        channel = self._submit_until(lambda: request.is_accepted, request, deadline)
        return JobStream(request, lambda has_news: channel.wait(has_news, deadline))

    def submit_multiple_jobs(
        self,
        jobs_to_submit: Sequence[Mapping[str, Any]] | set[Any],
        background: bool = False,
        wait_until_complete: bool | None = None,
        max_retries: int = 0,
        poll_timeout: float | None = None,
        *,
        timeout: float | None = None,
    ) -> list[GearmanJobRequest]:
        """Submit many jobs at once; return their requests in the same order.

        Each job is a dict with `task` and `data`, and maybe `unique`, `priority`,
        `background` and `max_retries`. All are written before the first answer is awaited.

        A job that is refused, or whose connection breaks, does not raise here,
        because the others have requests too: look at `state`,
        `connection_failed` and `error` of each. `ServerUnavailable` is raised
        before anything is submitted, otherwise as for a lost connection.
        """
        requests = self._new_requests(
            jobs_to_submit, background=background, max_retries=max_retries
        )
        limit = either(poll_timeout, timeout)
        return self.submit_multiple_requests(requests, wait_until_complete, limit)

    def submit_multiple_requests(
        self,
        job_requests: Sequence[GearmanJobRequest],
        wait_until_complete: bool | None = None,
        poll_timeout: float | None = None,
        *,
        timeout: float | None = None,
    ) -> list[GearmanJobRequest]:
        """Submit the requests that are not submitted or were lost, and wait for all of them.

        `poll_timeout` seconds are for connecting, accepting and completing together.
        """
        requests = _as_list(job_requests)
        deadline = deadline_after(either(poll_timeout, timeout))
        fresh = [request for request in requests if request.state == JOB_UNKNOWN]
        are_all_fresh = len(fresh) == len(requests)
        while fresh:
            self._submit_all(fresh, deadline)
            self._wait_for(fresh, is_accepted, deadline)
            fresh = [request for request in fresh if may_retry(request) and not is_over(deadline)]
        if wait_until_complete is None:
            wait_until_complete = self.wait_until_complete
        # By position: subclasses call the limit `timeout` or `poll_timeout`, as they like.
        if wait_until_complete:
            return self.wait_until_jobs_completed(requests, seconds_until(deadline))
        wait = type(self).wait_until_jobs_accepted
        if are_all_fresh and wait is GearmanClient.wait_until_jobs_accepted:
            return requests  # they were waited for above
        return self.wait_until_jobs_accepted(requests, seconds_until(deadline))

    def wait_until_jobs_accepted(
        self,
        job_requests: Sequence[GearmanJobRequest],
        poll_timeout: float | None = None,
        *,
        timeout: float | None = None,
    ) -> list[GearmanJobRequest]:
        """Wait until the job server has answered each submit; `timed_out` tells which it has not."""
        deadline = deadline_after(either(poll_timeout, timeout))
        return self._wait_for(_as_list(job_requests), is_accepted, deadline)

    def wait_until_jobs_completed(
        self,
        job_requests: Sequence[GearmanJobRequest],
        poll_timeout: float | None = None,
        *,
        timeout: float | None = None,
    ) -> list[GearmanJobRequest]:
        """Wait until each job has ended; `timed_out` tells which has not.

        A subclass that overrides it is called for the jobs of every submit.
        """
        deadline = deadline_after(either(poll_timeout, timeout))
        return self._wait_for(_as_list(job_requests), is_settled, deadline)

    def add_connection(self, host: AddressLike) -> Address:
        address = super().add_connection(host)
        if all(server.address != address for server in self._servers):
            self._servers.append(Server(address, *self._limits))
        return address

    def close(self) -> None:
        """Close all connections. Foreground jobs that still wait in a queue will not run."""
        for server in self._servers:
            server.close()

    def shutdown(self) -> None:
        """Do what `close` does, by python-gearman's name."""
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _submit_one(
        self, request: GearmanJobRequest, deadline: float | None, *, wait_until_complete: bool
    ) -> GearmanJobRequest:
        wait = type(self).wait_until_jobs_completed
        if wait_until_complete and wait is GearmanClient.wait_until_jobs_completed:
            self._submit_until(lambda: request.is_settled, request, deadline)
            request.timed_out = not request.is_settled
            return request
        self._submit_until(lambda: request.is_accepted, request, deadline)
        if wait_until_complete and request.is_accepted:
            return wait(self, [request], seconds_until(deadline))[0]
        request.timed_out = not request.is_accepted
        return request

    def _submit_until(
        self, is_done: Callable[[], bool], request: GearmanJobRequest, deadline: float | None
    ) -> Channel:
        """Submit, again if that is lost and the caller allows it, and wait for `is_done()`."""
        packet = self._encode(request, request.gearman_job.data)
        while True:
            channel = self._submit(request, packet, deadline)
            channel.wait(is_done, deadline)
            error = request.error
            if error is None:
                return channel
            if not isinstance(error, errors.AmbiguousSubmit):
                break
            prepare_retry(request, deadline)
        if isinstance(error, errors.ServerError):
            raise error
        return channel

    def _submit(self, request: GearmanJobRequest, packet: bytes, deadline: float | None) -> Channel:
        """Write the submit to the first job server that takes it."""
        failures = []
        for server in self._in_order(self._servers, request):
            try:
                return server.submit(request, packet, deadline)
            except errors.ConnectionError as error:
                failures.append(error)
        raise unavailable(failures)

    def _submit_all(self, requests: list[GearmanJobRequest], deadline: float | None) -> None:
        batch = Batch(requests, [self._encode(each, each.gearman_job.data) for each in requests])
        for request in requests:
            if request.connection_attempts:
                request.reset()
        plan = Distribution(batch, self._servers, self._in_order)
        while (shares := plan.next_round()) and not is_over(deadline):
            for server, share in shares:
                try:
                    server.write(share.writer(deadline), deadline)
                except errors.ConnectionError as error:
                    plan.failures[server] = error

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
            address = server.address  # the very object, which each of our submits has noted
            theirs = [r for r in requests if r.gearman_job.connection is address]
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
        super()._start_anew_after_fork()


def _as_list(job_requests: Sequence[GearmanJobRequest]) -> list[GearmanJobRequest]:
    """Return the caller's own list, so that what is returned is what was given."""
    return job_requests if isinstance(job_requests, list) else list(job_requests)


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
