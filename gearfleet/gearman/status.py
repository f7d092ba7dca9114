"""What the job servers know of any job, whoever submitted it: `GearmanClient.get_status`."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from gearfleet import errors
from gearfleet.gearman.addresses import Address
from gearfleet.gearman.jobs import to_bytes, to_text
from gearfleet.gearman.protocol import Command, encode
from gearfleet.gearman.session import Question, number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gearfleet.gearman.addresses import AddressLike
    from gearfleet.gearman.channel import Channel
    from gearfleet.gearman.protocol import Packet
    from gearfleet.gearman.servers import Server
    from gearfleet.gearman.submits import Candidate

    S = TypeVar("S", bound=Candidate)

#: Seconds in which every job server has to be reached and to answer.
STATUS_TIMEOUT = 10.0


class JobStatus(NamedTuple):
    """What one job server says of a job."""

    server: Address
    #: Whether the job server has the job: queued, not yet due, or running. A job that
    #: has ended is not known any more.
    known: bool
    running: bool
    #: What the worker last sent with `send_job_status`.
    numerator: int
    denominator: int
    #: The name that was asked for; the other one is None.
    unique: str | None = None
    handle: str | None = None
    #: How many foreground clients wait; None when asked by handle.
    waiting: int | None = None


class StatusQueries:
    """The part of a client that asks about jobs by name."""

    _servers: list[Server]

    def _notice_fork(self) -> None:
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
        inquiry = Inquiry(unique=unique, handle=handle, timeout=poll_timeout)
        self._notice_fork()
        for servers in inquiry.rounds(self._servers, server):
            asked = [self._ask(inquiry, each) for each in servers]
            for channel, question in filter(None, asked):
                channel.wait(partial(_is_answered, question), inquiry.deadline)
                inquiry.note(channel.address, question)
        return inquiry.result()

    def _ask(self, inquiry: Inquiry, server: Server) -> tuple[Channel, Question] | None:
        question = inquiry.question()
        try:
            channel = server.write(
                lambda channel: channel.ask(question, inquiry.packet, inquiry.deadline),
                inquiry.deadline,
            )
        except errors.ConnectionError as error:
            inquiry.failures.append(str(error))
            return None
        return channel, question


class Inquiry:
    """One question to many job servers, and what came of it."""

    def __init__(
        self, *, unique: str | bytes | None, handle: str | bytes | None, timeout: float
    ) -> None:
        if bool(unique) == bool(handle):
            raise errors.LocalProtocolError("Give either the unique or the handle of the job")
        if handle:
            self.packet = encode(Command.GET_STATUS, to_bytes(handle))
            self._expected = Command.STATUS_RES
        else:
            self.packet = encode(Command.GET_STATUS_UNIQUE, to_bytes(unique or ""))
            self._expected = Command.STATUS_RES_UNIQUE
        self.deadline = time.monotonic() + timeout
        self.statuses: list[JobStatus] = []
        self.failures: list[str] = []
        self._timeout = timeout
        self._is_by_handle = bool(handle)

    def question(self) -> Question:
        """Return what one job server has to answer."""
        return Question(self._expected)

    def rounds(self, servers: Sequence[S], server: AddressLike | None) -> Iterator[list[S]]:
        """Yield the job servers to ask at the same time.

        Those that failed lately may take their whole time to fail again, so they
        come last, and only if no other has the job.
        """
        asked = self._to_ask(servers, server)
        now = time.monotonic()
        yield [each for each in asked if each.avoid_until <= now]
        if not self._is_successful:
            yield [each for each in asked if each.avoid_until > now]

    def note(self, server: Address, question: Question) -> None:
        """Take an answer, or that there is none in time."""
        if question.answer is not None:
            self.statuses.append(_read(server, question.answer))
        else:
            reason = question.error or f"no answer within {self._timeout:g} s"
            self.failures.append(f"{server}: {reason}")

    def result(self) -> JobStatus:
        """Return the status of the job server that knows most of the job."""
        if self._is_successful:
            return max(self.statuses, key=lambda status: (status.known, status.running))
        if self.failures or not self.statuses:
            raise errors.ServerUnavailable(
                "The job is known to no job server that answers, and not all of them do: "
                f"{'; '.join(self.failures) or 'none was given'}"
            )
        return self.statuses[0]

    @property
    def _is_successful(self) -> bool:
        return any(status.known for status in self.statuses)

    def _to_ask(self, servers: Sequence[S], server: AddressLike | None) -> Sequence[S]:
        if server is not None:
            address = Address.parse(server)
            # Whoever asks need not know how to speak TLS with it.
            names = address.host, address.port
            known = [each for each in servers if (each.address.host, each.address.port) == names]
            if not known:
                raise errors.LocalProtocolError(
                    f"Job server {address} is none of this client's: "
                    f"{', '.join(str(each.address) for each in servers) or 'none'}"
                )
            return known
        if self._is_by_handle and len(servers) > 1:
            raise errors.LocalProtocolError(
                "Every job server has handles of its own; give the server of this one, "
                "which is job.connection of its request, or ask by unique"
            )
        return servers


def _is_answered(question: Question) -> bool:
    return question.is_answered


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
