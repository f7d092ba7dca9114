"""What has become of jobs: the asyncio client's part that asks."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from gearfleet import errors
from gearfleet.gearman.limits import either
from gearfleet.gearman.request_status import note_status, server_of, status_question
from gearfleet.gearman.status import STATUS_TIMEOUT, Inquiry
from gearfleet.gearman.submits import Submitter, deadline_after, seconds_until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gearfleet.gearman.addresses import AddressLike
    from gearfleet.gearman.aio.channel import AsyncChannel
    from gearfleet.gearman.aio.servers import AsyncServer
    from gearfleet.gearman.jobs import GearmanJobRequest
    from gearfleet.gearman.session import Question
    from gearfleet.gearman.status import JobStatus


class AsyncStatusQueries(Submitter):
    """The part of a client that asks about jobs, its own and others."""

    _servers: list[AsyncServer]

    def _enter_loop(self) -> None:
        raise NotImplementedError

    async def get_status(
        self,
        *,
        unique: str | bytes | None = None,
        handle: str | bytes | None = None,
        server: AddressLike | None = None,
        poll_timeout: float = STATUS_TIMEOUT,
    ) -> JobStatus:
        """Return what the job servers know of a job, also one of another process.

        See `GearmanClient.get_status`.
        """
        inquiry = Inquiry(unique=unique, handle=handle, timeout=poll_timeout)
        self._enter_loop()
        for servers in inquiry.rounds(self._servers, server):
            asked = [await self._inquire(inquiry, each) for each in servers]
            for channel, question in filter(None, asked):
                await channel.wait([question], _is_answered, inquiry.deadline)
                inquiry.note(channel.address, question)
        return inquiry.result()

    async def get_job_status(
        self,
        current_request: GearmanJobRequest,
        poll_timeout: float | None = None,
        *,
        timeout: float | None = None,
    ) -> GearmanJobRequest:
        """Ask what has become of one job; see `get_job_statuses`."""
        return (await self.get_job_statuses([current_request], either(poll_timeout, timeout)))[0]

    async def get_job_statuses(
        self,
        job_requests: Sequence[GearmanJobRequest],
        poll_timeout: float | None = None,
        *,
        timeout: float | None = None,
    ) -> list[GearmanJobRequest]:
        """Ask what has become of jobs; `status` of each request says it, and `timed_out` if not.

        See `GearmanClient.get_job_statuses`.
        """
        deadline = deadline_after(either(poll_timeout, timeout))
        self._enter_loop()
        for request in job_requests:
            await self._ask_for_status(request, deadline)
        return await self.wait_until_job_statuses_received(job_requests, seconds_until(deadline))

    async def wait_until_job_statuses_received(
        self,
        job_requests: Sequence[GearmanJobRequest],
        poll_timeout: float | None = None,
        *,
        timeout: float | None = None,
    ) -> list[GearmanJobRequest]:
        """Wait for answers that `get_job_statuses` did not wait for long enough."""
        deadline = deadline_after(either(poll_timeout, timeout))
        for request in job_requests:
            request.timed_out = not await self._hear_status(request, deadline)
        return list(job_requests)

    async def _inquire(
        self, inquiry: Inquiry, server: AsyncServer
    ) -> tuple[AsyncChannel, Question] | None:
        question = inquiry.question()
        try:
            ask = partial(_ask, question, inquiry.packet, inquiry.deadline)
            return await server.write(ask, inquiry.deadline), question
        except errors.ConnectionError as error:
            inquiry.failures.append(str(error))
            return None

    async def _ask_for_status(self, request: GearmanJobRequest, deadline: float | None) -> None:
        question, packet = status_question(request, has_own_unique=self._has_own_unique(request))
        ask = partial(_ask, question, packet, deadline)
        try:
            channel = await server_of(self._servers, request).write(ask, deadline)
        except errors.ConnectionError as error:
            raise errors.ServerUnavailable(str(error)) from error
        request.status_query = (channel, question)

    async def _hear_status(self, request: GearmanJobRequest, deadline: float | None) -> bool:
        if request.status_query is None:
            return True
        channel, question = request.status_query
        await channel.wait([question], _is_answered, deadline)
        if not question.is_answered:
            return False
        note_status(request, question)
        return True


async def _ask(
    question: Question, packet: bytes, deadline: float | None, channel: AsyncChannel
) -> None:
    await channel.ask(question, packet, deadline=deadline)


def _is_answered(question: Question) -> bool:
    return question.is_answered
