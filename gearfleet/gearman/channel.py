"""A connection that threads share.

There is no thread of our own. The threads that wait for answers read: one of
them at a time has the reader's role, gives every packet to the request that it
is for, wakes the threads whose requests are done, and hands the role on when
its own is. A program with one thread never waits for another one, and never
pays for a switch.

Locks: `_writing` keeps the order of the writes equal to the order of what is
expected; `_reading` is the reader's role. A thread may take `_reading` while it
holds `_writing`, never the other way round.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from gearfleet import errors
from gearfleet.gearman.connection import Connection, Unwritten
from gearfleet.gearman.protocol import Command, PacketReader, encode
from gearfleet.gearman.session import WANT_EXCEPTIONS, ClientSession, Question

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gearfleet.gearman.addresses import Address
    from gearfleet.gearman.jobs import GearmanJobRequest

#: A job server that is silent for so long is asked with an ECHO whether it lives.
HEARTBEAT_INTERVAL = 30.0
#: A job server that owes an answer and is silent for so long is taken for dead.
HEARTBEAT_LIMIT = 10.0

PING = encode(Command.ECHO_REQ, b"gearfleet heartbeat")
#: Seconds for which a connection that said something is not looked at before a write.
_FRESH = 0.001
_BATCH_BYTES = 64 * 1024
#: How many submits may be unanswered: gearmand keeps any number of answers that
#: nobody reads, in its own memory (reference "gearmand", section 6).
_WINDOW = 16 * 1024


class Channel:
    """One job server's connection and session, for any number of threads."""

    def __init__(
        self,
        connection: Connection,
        *,
        heartbeat_interval: float = HEARTBEAT_INTERVAL,
        heartbeat_limit: float = HEARTBEAT_LIMIT,
    ) -> None:
        self.address = connection.address
        self.lost: errors.GearmanError | None = None
        self._connection = connection
        self._session = ClientSession(connection.address)
        self._receive = self._session.receive
        self._reader = PacketReader()
        self._interval = heartbeat_interval
        self._limit = heartbeat_limit
        self._sent_at = time.monotonic()
        #: The thread that writes has stopped until some of what it wrote is answered.
        self._is_waiting_for_room = False
        self._writing = threading.Lock()
        self._reading = threading.Lock()
        self._losing = threading.Lock()
        self._followers: deque[_Follower] = deque()

    @classmethod
    def open(
        cls,
        address: Address,
        *,
        timeout: float,
        heartbeat_interval: float = HEARTBEAT_INTERVAL,
        heartbeat_limit: float = HEARTBEAT_LIMIT,
    ) -> Channel:
        """Connect, and ask for the exceptions of jobs.

        Raises:
            errors.ConnectionError: with the address and the reason.
        """
        connection = Connection.open(
            address, timeout=timeout, slice_=min(heartbeat_interval, heartbeat_limit)
        )
        channel = cls(
            connection, heartbeat_interval=heartbeat_interval, heartbeat_limit=heartbeat_limit
        )
        channel._greet(time.monotonic() + timeout, timeout)
        return channel

    def _greet(self, deadline: float, timeout: float) -> None:
        # A stopped process still takes connections, in its kernel. Waiting for
        # this first answer keeps submits away from it while they may still go elsewhere.
        question = Question(Command.OPTION_RES)
        self.ask(question, WANT_EXCEPTIONS, deadline)
        if not self.wait(lambda: question.is_answered, deadline):
            self.close()
            raise errors.ConnectionError(
                f"Job server {self.address} took the connection and said nothing for {timeout:.1f} s"
            )
        if self.lost is not None:
            raise errors.ConnectionError(
                f"Job server {self.address} took the connection and answered nothing: {self.lost}"
            )

    def ask(
        self, owed: GearmanJobRequest | Question, packet: bytes, deadline: float | None
    ) -> None:
        """Write `packet` and expect its answer, which is dealt with by whoever waits.

        Raises:
            Unwritten: the connection was broken before; another one may be tried.
            errors.ConnectionError: it broke in the middle; `owed` is told that it is lost.
        """
        if not self._writing.acquire(False):
            self._acquire_writing(deadline)
        try:
            now = time.monotonic()
            if self.lost is not None or now > self._connection.heard_at + _FRESH:
                self._look_before_writing()
            self._write(packet, (owed,), now, deadline)
        except errors.ConnectionError:
            raise
        except BaseException as error:
            self._lose_after(error)
            raise
        finally:
            self._writing.release()
            if self.lost is not None:
                self._clean_up()

    def submit_many(
        self,
        requests: Sequence[GearmanJobRequest],
        packets: Sequence[bytes],
        *,
        deadline: float | None = None,
    ) -> int:
        """Write many submits with few system calls; return how many were written.

        Those that were not may go to another job server. Those that were are
        marked as lost if the connection broke.
        """
        self._acquire_writing(deadline)
        written = 0
        try:
            while written < len(requests):
                batch = next_batch(packets, written)
                owed = requests[written : written + len(batch)]
                self._look_before_writing()
                self._write(b"".join(batch), owed, time.monotonic(), deadline)
                written += len(batch)
                if len(self._session.owed) > _WINDOW and not self._wait_for_room(deadline):
                    break
        except Unwritten:
            if not written:
                raise
        except errors.ConnectionError:
            written += len(batch)
        except BaseException as error:
            self._lose_after(error)
            raise
        finally:
            self._writing.release()
            if self.lost is not None:
                self._clean_up()
        return written

    def wait(self, is_done: Callable[[], bool], deadline: float | None = None) -> bool:
        """Read, or let another thread read, until `is_done()`; return False after `deadline`."""
        in_time = True
        while in_time and self.lost is None:
            if self._reading.acquire(False):
                try:
                    while not is_done() and self.lost is None and in_time:
                        left = None if deadline is None else max(0.0, deadline - time.monotonic())
                        if not self._read_once(left):
                            self._check_heartbeat()
                        in_time = left != 0  # what came before the deadline counts
                finally:
                    self._stop_reading()
                if self.lost is None:
                    return is_done()
            elif is_done():
                return True
            else:
                in_time = self._follow(is_done, deadline)
                if not self._reading.locked():
                    # We may have been given the role of reader and not need it.
                    self._hand_on()
        if self.lost is not None and not is_done():
            with self._losing:
                pass  # the thread that noticed the loss may still be telling our requests
        return is_done()

    def _wait_for_room(self, deadline: float | None) -> bool:
        self._is_waiting_for_room = True
        try:
            return self.wait(self._has_room, deadline)
        finally:
            self._is_waiting_for_room = False

    def _has_room(self) -> bool:
        return len(self._session.owed) <= _WINDOW // 2

    @property
    def is_idle(self) -> bool:
        """Whether nothing was heard for so long that the connection may be dead by now."""
        return time.monotonic() - self._connection.heard_at >= self._interval

    def probe(self, deadline: float | None) -> None:
        """Find out whether the job server is still there, before something is submitted to it.

        A connection that a NAT box forgot takes what is written, and never answers.

        Raises:
            errors.ConnectionError: it does not answer.
        """
        question = Question(Command.ECHO_RES)
        limit = time.monotonic() + self._limit
        self.ask(question, PING, deadline)
        until = limit if deadline is None else min(limit, deadline)
        if self.wait(lambda: question.is_answered, until) and question.error is None:
            return
        error = question.error or errors.ConnectionError(
            f"Job server {self.address} does not answer after an idle time"
        )
        if until == limit:
            self._lose(error)
        raise errors.ConnectionError(str(error))

    def close(self) -> None:
        """End the connection; requests without a result are marked as lost."""
        self._lose(errors.ConnectionError(f"The connection to {self.address} was closed here"))
        self._close_if_unused()

    def abandon(self) -> None:
        """Forget a connection inherited through `fork`: it belongs to the parent process.

        Our copy of the descriptor is closed without a word to the job server.
        """
        self.lost = errors.ConnectionError(f"The connection to {self.address} is another process's")
        self._session.lost(self.lost)
        self._connection.close()

    def _acquire_writing(self, deadline: float | None) -> None:
        left = -1 if deadline is None else max(0.0, deadline - time.monotonic())
        if not self._writing.acquire(timeout=left):
            raise Unwritten(f"Other threads are still writing to job server {self.address}")

    def _look_before_writing(self) -> None:
        """Notice a connection that ended while nobody read, as long as nothing is written."""
        if self._reading.acquire(False):
            try:
                while self.lost is None and self._connection.has_input():
                    self._read_once(0)
            finally:
                self._stop_reading()
        if self.lost is not None:
            raise Unwritten(str(self.lost))

    def _lose_after(self, error: BaseException) -> None:
        """End the connection after a signal's exception, which may have cut a write short.

        What is written next would be taken for the rest of that packet, and its
        answer for that one's.
        """
        kind = type(error).__name__
        self._lose(
            errors.ConnectionError(f"{kind} interrupted a write to job server {self.address}")
        )

    def _write(
        self,
        data: bytes,
        owed: Sequence[GearmanJobRequest | Question],
        now: float,
        deadline: float | None,
    ) -> None:
        session = self._session
        if not session.owed:  # otherwise an answer is due already
            self._sent_at = now
        session.expect(*owed)
        try:
            sent = self._connection.send(data)
            if sent < len(data):
                self._connection.send_rest(
                    data, sent, deadline, self._limit, self._read_while_writing
                )
                self._sent_at = time.monotonic()  # it may have taken long
        except errors.ConnectionError as error:
            if isinstance(error, Unwritten):
                with self._losing:  # another thread may be telling them that they are lost
                    session.retract(owed)
            self._lose(error)
            raise

    def _read_while_writing(self, timeout: float) -> bool:
        if self.lost is not None:
            raise errors.ConnectionError(str(self.lost))
        if not self._reading.acquire(False):
            return False
        try:
            self._read_once(timeout)
        finally:
            self._stop_reading()
        return True

    def _read_once(self, timeout: float | None) -> bool:
        try:
            chunk = self._connection.receive(timeout)
            if chunk is None:
                return False
            for packet in self._reader.packets(chunk):
                self._receive(packet)
        except errors.GearmanError as error:
            self._lose(error)
        if self._followers:
            self._wake_done()
        return True

    def _check_heartbeat(self) -> None:
        silent = time.monotonic() - max(self._connection.heard_at, self._sent_at)
        if self._session.owed:
            # A writer that is not done sees for itself whether the job server takes anything.
            is_writing = self._writing.locked() and not self._is_waiting_for_room
            if silent >= self._limit and not is_writing:
                self._lose(
                    errors.ConnectionError(
                        f"Job server {self.address} has been silent for {silent:.0f} s"
                    )
                )
        elif silent >= self._interval:
            self._ping()

    def _ping(self) -> None:
        # The reader writes here. If another thread is writing, that is a sign of life too.
        if not self._writing.acquire(False):
            return
        try:
            self._session.expect(Question(Command.ECHO_RES))
            self._sent_at = time.monotonic()
            self._connection.send_all(PING, stall=self._limit)
        except errors.ConnectionError as error:
            self._lose(error)
        finally:
            self._writing.release()

    def _follow(self, is_done: Callable[[], bool], deadline: float | None) -> bool:
        """Sleep until the reader finds that we are done, or hands us its role."""
        follower = _Follower(is_done)
        self._followers.append(follower)
        # The reader may have left between our try and the append.
        if is_done() or not self._reading.locked():
            self._forget(follower)
            return True
        if follower.sleep(deadline):
            return True
        self._forget(follower)
        return False

    def _wake_done(self) -> None:
        for follower in list(self._followers):
            if self.lost is not None or follower.is_done():
                self._forget(follower)
                follower.wake()

    def _forget(self, follower: _Follower) -> None:
        try:
            self._followers.remove(follower)
        except ValueError:  # the reader has woken it in this moment
            pass

    def _stop_reading(self) -> None:
        self._reading.release()
        if self._followers or self.lost is not None:
            self._hand_on()

    def _hand_on(self) -> None:
        """Let a thread that sleeps take the role of reader that we have just left."""
        if self._followers:
            try:
                self._followers.popleft().wake()
            except IndexError:  # another thread did
                pass
        if self.lost is not None:
            self._close_if_unused()

    def _lose(self, error: errors.GearmanError) -> None:
        with self._losing:
            if self.lost is not None:
                return
            self.lost = error
            self._session.lost(error)
        self._connection.shutdown()
        self._wake_done()

    def _clean_up(self) -> None:
        """Clean up after a write; what it expects may have come too late to be told of a loss."""
        assert self.lost is not None
        with self._losing:
            self._session.lost(self.lost)
        self._close_if_unused()

    def _close_if_unused(self) -> None:
        """Close the descriptor once nobody reads or writes: its number may be reused at once."""
        if not self._reading.acquire(False):
            return
        try:
            if self._writing.acquire(False):
                self._connection.close()
                self._writing.release()
        finally:
            self._reading.release()


class _Follower:
    """A thread that sleeps while another one reads."""

    __slots__ = ("_bell", "is_done")

    def __init__(self, is_done: Callable[[], bool]) -> None:
        self.is_done = is_done
        self._bell = threading.Lock()
        self._bell.acquire()

    def sleep(self, deadline: float | None) -> bool:
        left = -1 if deadline is None else max(0.0, deadline - time.monotonic())
        return self._bell.acquire(timeout=left)

    def wake(self) -> None:
        try:
            self._bell.release()
        except RuntimeError:  # it has been woken already
            pass


def next_batch(packets: Sequence[bytes], start: int) -> Sequence[bytes]:
    """Return the packets from `start` on that go into one write, at least one."""
    size, end = 0, start
    while end < len(packets) and (size < _BATCH_BYTES):
        size += len(packets[end])
        end += 1
    return packets[start:end]
