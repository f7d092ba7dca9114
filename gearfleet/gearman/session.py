"""The client's side of one connection, without I/O.

Answers to submits carry nothing that says to which submit they belong: the job
server answers in order, so a queue of what is expected tells them apart, and an
ERROR stands in the place of the answer it replaces (reference "gearmand",
section 3). What follows is matched by handle. Two foreground submits that the
job server coalesced have one handle and are sent every packet twice, so there
is a list of waiters for each handle which takes turns.

Both `channel.Channel` (threads) and `aio.channel.AsyncChannel` stand on this.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Any

from gearfleet import errors
from gearfleet.gearman.jobs import GearmanJobRequest, to_message
from gearfleet.gearman.protocol import Command, Packet, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

logger = logging.getLogger(__name__)

_C = Command
#: Sent first on every connection: without it a WORK_EXCEPTION arrives as WORK_FAIL.
WANT_EXCEPTIONS = encode(_C.OPTION_REQ, b"exceptions")


class Question:
    """A request with one answer that is no submit: ECHO, OPTION, GET_STATUS."""

    __slots__ = ("answer", "error", "expected", "is_answered")

    def __init__(self, expected: Command) -> None:
        self.expected = expected
        self.answer: Packet | None = None
        self.error: errors.GearmanError | None = None
        self.is_answered = False

    def mark_submitted(self, connection: Any) -> None:
        """Nothing to note: a question is asked once."""


#: What an answer of the job server is due for.
Owed = GearmanJobRequest | Question


class ClientSession:
    """What one connection owes its users."""

    def __init__(self, peer: Any) -> None:
        """Remember for which requests `peer` (a name for messages) still has to answer."""
        self._peer = peer
        #: For what the job server still has to answer, in the order of its answers.
        self.owed: deque[Owed] = deque()
        self._waiting: dict[bytes, list[GearmanJobRequest]] = {}
        self._handlers: dict[Command, Callable[..., Owed | None]] = {
            _C.JOB_CREATED: self._job_created,
            _C.WORK_COMPLETE: self._work_complete,
            _C.WORK_FAIL: self._work_fail,
            _C.WORK_EXCEPTION: self._work_exception,
            _C.WORK_DATA: self._work_data,
            _C.WORK_WARNING: self._work_warning,
            _C.WORK_STATUS: self._work_status,
            _C.ERROR: self._error,
        }

    def expect(self, *owed: Owed) -> None:
        """Queue what the next answers are for; call it in the order of the writes."""
        peer = self._peer
        for item in owed:
            item.mark_submitted(peer)
        self.owed.extend(owed)

    def retract(self, owed: Sequence[Owed]) -> None:
        """Take back the last `expect`s, because not one byte of them was written."""
        for item in reversed(owed):
            if self.owed and self.owed[-1] is item:
                self.owed.pop()
            if isinstance(item, GearmanJobRequest):
                item.reset()
                item.connection_attempts -= 1

    def receive(self, packet: Packet) -> Owed | None:
        """Give a packet to the request that it is for, and return that; None if it is for none.

        Raises:
            ProtocolError: the answer is not the one that is due.
        """
        command, args = packet
        handler = self._handlers.get(command)
        return handler(*args) if handler is not None else self._answer(packet)

    def lost(self, error: errors.GearmanError) -> None:
        """Tell every request that the connection is gone."""
        owed, waiting = list(self.owed), list(self._waiting.values())
        self.owed.clear()
        self._waiting.clear()
        for item in owed:
            if isinstance(item, Question):
                item.error = error
                item.is_answered = True
            else:
                item.mark_lost(_ambiguous(item, error))
        for requests in waiting:
            for request in requests:
                request.mark_lost(error)

    def _job_created(self, handle: bytes) -> GearmanJobRequest:
        # What is due stays in the queue meanwhile, to be told that the connection is lost.
        request = self.owed[0] if self.owed else None
        if not isinstance(request, GearmanJobRequest):
            raise errors.ProtocolError(f"{self._peer} sent JOB_CREATED, no submit waits for one")
        self.owed.popleft()
        if not request.background:
            self._waiting.setdefault(handle, []).append(request)
        request.mark_created(handle)
        return request

    def _error(self, code: bytes, text: bytes) -> Owed | None:
        error = errors.ServerError(to_message(code), to_message(text))
        if not self.owed:
            logger.warning(
                "Job server %s sent an error: %s",
                self._peer,
                error,
                extra={"action": "server_error"},
            )
            return None
        item = self.owed.popleft()
        if isinstance(item, Question):
            item.error = error
            item.is_answered = True
        else:
            item.mark_failed(error=error)
        return item

    def _answer(self, packet: Packet) -> Question:
        # What is due stays in the queue meanwhile, to be told that the connection is lost.
        question = self.owed[0] if self.owed else None
        if not isinstance(question, Question) or question.expected is not packet.command:
            raise errors.ProtocolError(f"{self._peer} sent {packet!r}, which nobody waits for")
        self.owed.popleft()
        question.answer = packet
        question.is_answered = True
        return question

    def _work_complete(self, handle: bytes, data: bytes) -> GearmanJobRequest | None:
        request = self._finish(handle)
        if request is None:
            return None
        try:
            request.mark_complete(data)
        except Exception as error:
            # Whatever a user's decoder raises concerns this one request.
            request.mark_failed(error=errors.GearmanError(f"Cannot decode the result: {error!r}"))
        return request

    def _work_fail(self, handle: bytes) -> GearmanJobRequest | None:
        # gearmand makes a WORK_FAIL of a WORK_EXCEPTION for clients without the
        # option, and leaves a NUL after the handle.
        request = self._finish(handle.removesuffix(b"\0"))
        if request is not None:
            request.mark_failed()
        return request

    def _work_exception(self, handle: bytes, data: bytes) -> GearmanJobRequest | None:
        request = self._finish(handle)
        if request is not None:
            request.mark_failed(exception=data)
        return request

    def _work_data(self, handle: bytes, data: bytes) -> GearmanJobRequest | None:
        request = self._next_in_turn(handle)
        if request is not None:
            request.add_data(_decode(request, data))
        return request

    def _work_warning(self, handle: bytes, data: bytes) -> GearmanJobRequest | None:
        request = self._next_in_turn(handle)
        if request is not None:
            request.add_warning(_decode(request, data))
        return request

    def _work_status(
        self, handle: bytes, numerator: bytes, denominator: bytes
    ) -> GearmanJobRequest | None:
        request = self._next_in_turn(handle)
        if request is not None:
            request.update_status(True, True, number(numerator), number(denominator))
        return request

    def _finish(self, handle: bytes) -> GearmanJobRequest | None:
        requests = self._waiting.get(handle)
        if requests is None:
            self._log_late(handle)
            return None
        request = requests.pop(0)
        if not requests:
            del self._waiting[handle]
        return request

    def _next_in_turn(self, handle: bytes) -> GearmanJobRequest | None:
        requests = self._waiting.get(handle)
        if requests is None:
            self._log_late(handle)
            return None
        request = requests.pop(0)
        requests.append(request)
        return request

    def _log_late(self, handle: bytes) -> None:
        # A cancelled running job ends twice (F3), so this is no error.
        logger.debug("%s sent a packet for %r, which nobody waits for", self._peer, handle)


def _ambiguous(request: GearmanJobRequest, error: Exception) -> errors.AmbiguousSubmit:
    return errors.AmbiguousSubmit(
        f"The connection broke before the job server accepted {request.gearman_job.task} "
        f"(unique {request.unique}); the job may run or may not: {error}"
    )


def _decode(request: GearmanJobRequest, data: bytes) -> Any:
    try:
        return request.encoder.decode(data)
    except Exception:
        logger.warning("Cannot decode an update of %r, passed on as bytes", request, exc_info=True)
        return data


def number(text: bytes) -> int:
    """Return the integer that `text` begins with, 0 if there is none, as gearmand's atoi does."""
    try:
        return int(text)
    except ValueError:
        try:
            return int(float(text))
        except (ValueError, OverflowError):
            return 0
