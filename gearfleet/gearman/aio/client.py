"""`AsyncGearmanClient`: `GearmanClient` for asyncio, with the same names and the same rules.

Any number of tasks share one connection to each job server, and their jobs are
all in flight at the same time. A task that is cancelled disturbs none of the
others; its job runs on, as the job server cannot be told to forget it.
"""

from __future__ import annotations

import asyncio
import os
from functools import partial
from typing import TYPE_CHECKING, Any

from gearfleet import errors
from gearfleet.gearman.aio.servers import AsyncServer
from gearfleet.gearman.aio.status import AsyncStatusQueries
from gearfleet.gearman.aio.streams import AsyncJobStream
from gearfleet.gearman.bulk import Batch, Distribution
from gearfleet.gearman.channel import HEARTBEAT_INTERVAL, HEARTBEAT_LIMIT
from gearfleet.gearman.dial import CONNECT_TIMEOUT
from gearfleet.gearman.forms import Reduce, RunAt
from gearfleet.gearman.jobs import JOB_UNKNOWN, PRIORITY_NONE, GearmanJobRequest
from gearfleet.gearman.limits import either
from gearfleet.gearman.streams import StreamedRequest
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

    from gearfleet.gearman.addresses import AddressLike
    from gearfleet.gearman.aio.channel import AsyncChannel


class AsyncGearmanClient(AsyncStatusQueries):
    """Submits jobs to the job servers of a list, from the tasks of one event loop.

    Arguments, results and errors are those of `GearmanClient`. Close it, or use
    `async with`, before the event loop ends.

    Example:
        async with AsyncGearmanClient(["127.0.0.1:4730"]) as client:
            request = await client.submit_job("reverse", b"abc")
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

        It may be made before there is an event loop. For the arguments see
        `GearmanClient`; the heartbeat goes on as long as a connection is open.
        """
        super().__init__(host_list, random_unique_bytes)
        self._limits = (connect_timeout, heartbeat_interval, heartbeat_limit)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_pid = os.getpid()
        self._servers: list[AsyncServer] = []
        self._inherited: list[AsyncServer] = []

    async def submit_job(  # noqa: PLR0917 - python-gearman's signature
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

        See `GearmanClient.submit_job`, for what is raised too.
        """
        request = self._new_request(
            task, data, unique, priority, background=background, max_retries=max_retries
        )
        if when_to_run is not None:
            request.form = RunAt.of(when_to_run)
        limit = either(poll_timeout, timeout)
        return await self._run(request, limit, wait_until_complete=wait_until_complete)

    async def submit_reduce_job(
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
        """Submit a job that also names a function to reduce its results.

        See `GearmanClient.submit_reduce_job`.
        """
        request = self._new_request(
            task, data, unique, PRIORITY_NONE, background=background, max_retries=max_retries
        )
        request.form = Reduce.of(reducer, aggregate)
        return await self._run(request, poll_timeout, wait_until_complete=wait_until_complete)

    def stream(
        self,
        task: str | bytes,
        data: Any,
        unique: str | bytes | None = None,
        priority: str | None = PRIORITY_NONE,
        *,
        max_retries: int = 0,
        poll_timeout: float | None = None,
    ) -> AsyncJobStream:
        """Return the events of one foreground job, to iterate over; the first step submits it.

        See `GearmanClient.stream`.

        Example:
            async for event in client.stream("resize", b"..."):
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
        return AsyncJobStream(
            request, lambda: self._submit_and_await(request, is_accepted, deadline), deadline
        )

    async def submit_multiple_jobs(
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

        See `GearmanClient.submit_multiple_jobs`.
        """
        requests = self._new_requests(
            jobs_to_submit, background=background, max_retries=max_retries
        )
        limit = either(poll_timeout, timeout)
        return await self.submit_multiple_requests(requests, wait_until_complete, limit)

    async def submit_multiple_requests(
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
        requests = list(job_requests)
        deadline = deadline_after(either(poll_timeout, timeout))
        fresh = [request for request in requests if request.state == JOB_UNKNOWN]
        while fresh:
            await self._submit_all(fresh, deadline)
            await self._wait_for(fresh, is_accepted, deadline)
            fresh = [request for request in fresh if may_retry(request) and not is_over(deadline)]
        if self._shall_complete(wait_until_complete):
            return await self.wait_until_jobs_completed(requests, seconds_until(deadline))
        return await self.wait_until_jobs_accepted(requests, seconds_until(deadline))

    async def wait_until_jobs_accepted(
        self,
        job_requests: Sequence[GearmanJobRequest],
        poll_timeout: float | None = None,
        *,
        timeout: float | None = None,
    ) -> list[GearmanJobRequest]:
        """Wait until the job server has answered each submit; `timed_out` tells which it has not."""
        deadline = deadline_after(either(poll_timeout, timeout))
        return await self._wait_for(list(job_requests), is_accepted, deadline)

    async def wait_until_jobs_completed(
        self,
        job_requests: Sequence[GearmanJobRequest],
        poll_timeout: float | None = None,
        *,
        timeout: float | None = None,
    ) -> list[GearmanJobRequest]:
        """Wait until each job has ended; `timed_out` tells which has not."""
        deadline = deadline_after(either(poll_timeout, timeout))
        return await self._wait_for(list(job_requests), is_settled, deadline)

    async def close(self) -> None:
        """Close all connections. Foreground jobs that still wait in a queue will not run."""
        self._enter_loop()
        await asyncio.gather(*(server.close() for server in self._servers))

    async def shutdown(self) -> None:
        """Do what `close` does, by python-gearman's name."""
        await self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def _run(
        self,
        request: GearmanJobRequest,
        poll_timeout: float | None,
        *,
        wait_until_complete: bool | None,
    ) -> GearmanJobRequest:
        is_done = is_settled if self._shall_complete(wait_until_complete) else is_accepted
        await self._submit_and_await(request, is_done, deadline_after(poll_timeout))
        request.timed_out = not is_done(request)
        return request

    def _shall_complete(self, wait_until_complete: bool | None) -> bool:
        return self.wait_until_complete if wait_until_complete is None else wait_until_complete

    async def _submit_and_await(
        self,
        request: GearmanJobRequest,
        is_done: Callable[[GearmanJobRequest], bool],
        deadline: float | None,
    ) -> AsyncChannel:
        packet = self._encode(request, request.gearman_job.data)
        while True:
            channel = await self._submit(request, packet, deadline)
            await channel.wait([request], is_done, deadline)
            if not isinstance(request.error, errors.AmbiguousSubmit):
                break
            prepare_retry(request, deadline)
        if isinstance(request.error, errors.ServerError):
            raise request.error
        return channel

    async def _submit(
        self, request: GearmanJobRequest, packet: bytes, deadline: float | None
    ) -> AsyncChannel:
        """Write the submit to the first job server that takes it."""
        self._enter_loop()
        failures = []
        for server in self._in_order(self._servers, request):
            try:
                return await server.write(
                    lambda channel: channel.ask(request, packet, deadline=deadline), deadline
                )
            except errors.ConnectionError as error:
                failures.append(error)
        raise unavailable(failures)

    async def _submit_all(self, requests: list[GearmanJobRequest], deadline: float | None) -> None:
        batch = Batch(requests, [self._encode(each, each.gearman_job.data) for each in requests])
        for request in requests:
            request.reset()
        self._enter_loop()
        plan = Distribution(batch, self._servers, self._in_order)
        while (shares := plan.next_round()) and not is_over(deadline):
            for server, share in shares:
                try:
                    await server.write(partial(_write, share, deadline), deadline)
                except errors.ConnectionError as error:
                    plan.failures[server] = error

    async def _wait_for(
        self,
        requests: list[GearmanJobRequest],
        is_done: Callable[[GearmanJobRequest], bool],
        deadline: float | None,
    ) -> list[GearmanJobRequest]:
        self._enter_loop()
        for server in self._servers:
            channel = server.current
            theirs = [r for r in requests if r.gearman_job.connection == server.address]
            if channel is not None and theirs:
                await channel.wait(theirs, is_done, deadline)
        for request in requests:
            request.timed_out = not is_done(request)
        return requests

    def _enter_loop(self) -> None:
        """Use the running event loop; connections of one that has ended are forgotten."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._change_to(loop)
        for address in self.addresses[len(self._servers) :]:
            self._servers.append(AsyncServer(address, *self._limits))

    def _change_to(self, loop: asyncio.AbstractEventLoop) -> None:
        if os.getpid() != self._loop_pid:
            # The parent process uses these connections; closing them here would
            # take them out of its selector.
            self._inherited += self._servers
        elif self._loop is not None and not self._loop.is_closed():
            raise errors.InvalidClientState(
                "This client is in use in another event loop; make one client for each"
            )
        self._loop, self._loop_pid = loop, os.getpid()
        self._servers = []


async def _write(share: Batch, deadline: float | None, channel: AsyncChannel) -> None:
    share.written(await channel.submit_many(share.requests, share.packets, deadline=deadline))
