"""What the job servers know of any job, whoever submitted it: `GearmanClient.get_status`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from gearfleet import errors
from gearfleet.gearman.addresses import Address
from gearfleet.gearman.jobs import to_bytes, to_text
from gearfleet.gearman.protocol import Command, encode
from gearfleet.gearman.session import Question, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gearfleet.gearman.addresses import AddressLike
    from gearfleet.gearman.channel import Channel
    from gearfleet.gearman.protocol import Packet
    from gearfleet.gearman.servers import Server

#: Seconds in which every job server has to be reached and to answer.
STATUS_TIMEOUT = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """What one job server says of a job."""

    server: Address
    #: The name that was asked for; the other one is None.
    unique: str | None = None
    handle: str | None = None
    #: Whether the job server has the job: queued, not yet due, or running. A job that
    #: has ended is not known any more.
    known: bool
    running: bool
    #: What the worker last sent with `send_job_status`.
    numerator: int
    denominator: int
    #: How many foreground clients wait; None when asked by handle.
    waiting: int | None = None


class StatusQueries:
    """The part of a client that asks about jobs by name."""

    _servers: list[Server]

    def _start_anew_after_fork(self) -> None:
        raise NotImplementedError

    def get_status(
        self,
        *,
        unique: str | bytes | None = None,
        handle: str | bytes | None = None,
        server: AddressLike | None = None,
        poll_timeout: float = STATUS_TIMEOUT,
    ) -> JobStatus:
        """Return what the job servers know of a job, also one of another process.

        Give either `unique`, the better name: all job servers are asked, and any
        of them may have the job. Or `handle`, which means something only at the
        `server` that gave it, and after a restart of that another job.

        Raises:
            ServerUnavailable: no job server knows the job, and one did not answer,
                which may be the one that has it.
            LocalProtocolError: (a ValueError) not exactly one name, a name that is too
                long, a handle without its server, a server that is not in the list.

        Example:
            status = client.get_status(unique="report-2024")
            if status.known and not status.running: ...
        """
        if bool(unique) == bool(handle):
            raise errors.LocalProtocolError("Give either the unique or the handle of the job")
        self._start_anew_after_fork()
        servers = self._servers_to_ask(server, is_handle=bool(handle))
        if handle:
            packet, expected = encode(Command.GET_STATUS, to_bytes(handle)), Command.STATUS_RES
        else:
            packet = encode(Command.GET_STATUS_UNIQUE, to_bytes(unique or ""))
            expected = Command.STATUS_RES_UNIQUE
        inquiry = _Inquiry(packet, expected, poll_timeout)
        # Those that failed lately may take their whole time to fail again.
        now = time.monotonic()
        inquiry.put_to([each for each in servers if each.avoid_until <= now])
        if not inquiry.is_successful:
            inquiry.put_to([each for each in servers if each.avoid_until > now])
        return inquiry.result()

    def _servers_to_ask(self, server: AddressLike | None, *, is_handle: bool) -> Sequence[Server]:
        if server is not None:
            address = Address.parse(server)
            known = [each for each in self._servers if each.address == address]
            if not known:
                raise errors.LocalProtocolError(
                    f"Job server {address} is none of this client's: "
                    f"{', '.join(str(each.address) for each in self._servers) or 'none'}"
                )
            return known
        if is_handle and len(self._servers) > 1:
            raise errors.LocalProtocolError(
                "Every job server has handles of its own; give the server of this one, "
                "which is job.connection of its request, or ask by unique"
            )
        return self._servers


class _Inquiry:
    """One question to many job servers, and what came of it."""

    def __init__(self, packet: bytes, expected: Command, timeout: float) -> None:
        self.statuses: list[JobStatus] = []
        self.failures: list[str] = []
        self._packet = packet
        self._expected = expected
        self._timeout = timeout
        self._deadline = time.monotonic() + timeout

    def put_to(self, servers: Sequence[Server]) -> None:
        """Ask all of them before the first answer is awaited."""
        asked = []
        for server in servers:
            question = Question(self._expected)
            try:
                channel = server.write(partial(self._ask, question), self._deadline)
            except errors.ConnectionError as error:
                self.failures.append(str(error))
            else:
                asked.append((channel, question))
        for channel, question in asked:
            self._await(channel, question)

    def _ask(self, question: Question, channel: Channel) -> None:
        channel.ask(question, self._packet, deadline=self._deadline)

    def _await(self, channel: Channel, question: Question) -> None:
        channel.wait(lambda: question.is_answered, self._deadline)
        if question.answer is not None:
            self.statuses.append(_read(channel.address, question.answer))
        else:
            reason = question.error or f"no answer within {self._timeout:g} s"
            self.failures.append(f"{channel.address}: {reason}")

    @property
    def is_successful(self) -> bool:
        return any(status.known for status in self.statuses)

    def result(self) -> JobStatus:
        if self.is_successful:
            return max(self.statuses, key=lambda status: (status.known, status.running))
        if self.failures or not self.statuses:
            raise errors.ServerUnavailable(
                "The job is known to no job server that answers, and not all of them do: "
                f"{'; '.join(self.failures) or 'none was given'}"
            )
        return self.statuses[0]


def _read(server: Address, answer: Packet) -> JobStatus:
    name, known, running, numerator, denominator, *waiting = answer.args
    by_unique = answer.command is Command.STATUS_RES_UNIQUE
    return JobStatus(
        server=server,
        unique=to_text(name) if by_unique else None,
        handle=None if by_unique else to_text(name),
        known=number(known) > 0,
        running=number(running) > 0,
        numerator=number(numerator),
        denominator=number(denominator),
        waiting=number(waiting[0]) if waiting else None,
    )
