"""The floor: the least Python that can speak the protocol, one raw socket and struct.

It checks nothing, reconnects to nothing and gives up on the first surprise.
What gearfleet costs above this is gearfleet's; what this costs above the C
library is the language's.

    python benchmarks/floor.py MODE PORT FUNCTION COUNT [BYTES]
"""

from __future__ import annotations

import itertools
import os
import socket
import struct
import sys
import time
from typing import TYPE_CHECKING

from clock import Latencies, report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HEADER = struct.Struct(">4sII")
CAN_DO, PRE_SLEEP, NOOP, SUBMIT_JOB, JOB_CREATED, NO_JOB = 1, 4, 6, 7, 8, 10
WORK_COMPLETE, ECHO_REQ, ECHO_RES, SUBMIT_JOB_BG, GRAB, ASSIGN = 13, 16, 17, 18, 30, 31

BATCH = 1000
FILL_BATCH = 100


def packet(command: int, *args: bytes) -> bytes:
    body = b"\0".join(args)
    return HEADER.pack(b"\0REQ", command, len(body)) + body


class Raw:
    """One socket, and a buffered reader that returns every whole packet after each recv."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.send = self.socket.sendall
        self._buffer = b""

    def packets(self) -> list[tuple[int, bytes]]:
        found: list[tuple[int, bytes]] = []
        while not found:
            buffer = self._buffer + self.socket.recv(262144)
            start, end = 0, len(buffer)
            while end - start >= 12:
                _, command, size = HEADER.unpack_from(buffer, start)
                if end - start - 12 < size:
                    break
                found.append((command, buffer[start + 12 : start + 12 + size]))
                start += 12 + size
            self._buffer = buffer[start:]
        return found

    def big(self) -> bytes:
        """Return the body of one packet that is far larger than a recv."""
        header = self._exactly(12)
        return self._exactly(HEADER.unpack(header)[2])

    def _exactly(self, size: int) -> bytes:
        data = bytearray(size)
        view = memoryview(data)
        while view:
            view = view[self.socket.recv_into(view) :]
        return bytes(data)


def echo(raw: Raw, function: bytes, count: int, data: bytes) -> None:
    """Answer jobs with their payload, until killed."""
    grab = packet(GRAB)
    raw.send(packet(CAN_DO, function) + grab)
    while True:
        for command, body in raw.packets():
            if command == ASSIGN:
                handle, _, _, payload = body.split(b"\0", 3)
                raw.send(packet(WORK_COMPLETE, handle, payload) + grab)
            elif command == NO_JOB:
                raw.send(packet(PRE_SLEEP))
            elif command == NOOP:
                raw.send(grab)


def fg(raw: Raw, function: bytes, count: int, data: bytes) -> None:
    """Submit one foreground job at a time and wait for its result."""
    submit = packet(SUBMIT_JOB, function, b"", data)

    def one() -> None:
        raw.send(submit)
        while True:
            for command, body in raw.packets():
                if command == WORK_COMPLETE:
                    assert len(body.split(b"\0", 1)[1]) == len(data)
                    return

    for _ in range(100):
        one()
    Latencies(one).run(count)


def big(raw: Raw, function: bytes, count: int, data: bytes) -> None:
    """Submit one big foreground job at a time."""
    submit = packet(SUBMIT_JOB, function, b"", data)

    def one() -> None:
        raw.send(submit)
        raw.big()  # JOB_CREATED
        assert len(raw.big().split(b"\0", 1)[1]) == len(data)

    one()
    Latencies(one).run(count)


def big_echo(raw: Raw, function: bytes, count: int, data: bytes) -> None:
    """Answer big jobs with their payload, until killed."""
    raw.send(packet(CAN_DO, function) + packet(PRE_SLEEP))
    while True:
        _, command, size = HEADER.unpack(raw._exactly(12))
        body = raw._exactly(size)
        if command == ASSIGN:
            handle, _, _, payload = body.split(b"\0", 3)
            raw.send(packet(WORK_COMPLETE, handle, payload) + packet(GRAB))
        elif command == NO_JOB:
            raw.send(packet(PRE_SLEEP))
        elif command == NOOP:
            raw.send(packet(GRAB))


def bg(raw: Raw, function: bytes, count: int, data: bytes) -> None:
    """Submit one background job at a time and wait until it is accepted."""
    submit = packet(SUBMIT_JOB_BG, function, b"", data)

    def one() -> None:
        raw.send(submit)
        assert raw.packets()[0][0] == JOB_CREATED

    Latencies(one).run(count)


def bulk(raw: Raw, function: bytes, count: int, data: bytes) -> None:
    """Submit batches of background jobs: send all, then read what was accepted."""
    began = time.perf_counter()
    submit(raw, function, itertools.repeat(data, count), BATCH)
    report(count, time.perf_counter() - began)


def fill(raw: Raw, function: bytes, count: int, data: bytes) -> None:
    """Fill a queue for somebody else's drain; not timed."""
    submit(raw, function, itertools.repeat(data, count), FILL_BATCH)
    report(count, 0.0)


def submit(raw: Raw, function: bytes, payloads: Iterator[bytes], batch: int) -> None:
    """Submit background jobs in batches, each of them read when it is sent."""
    uniques = _uniques()
    while packets := [
        packet(SUBMIT_JOB_BG, function, next(uniques), data)
        for data in itertools.islice(payloads, batch)
    ]:
        raw.send(b"".join(packets))
        accepted = 0
        while accepted < len(packets):
            accepted += len(raw.packets())


def _uniques() -> Iterator[bytes]:
    number = 0
    while True:
        yield b"%d-%d" % (os.getpid(), number)
        number += 1


def drain(raw: Raw, function: bytes, count: int, data: bytes, grabs: int = 1) -> None:
    """Take jobs from a full queue: from the first in hand to the last that the server processed."""
    work(raw, function, count, _done, grabs)


def _done(job: bytes) -> bytes:
    return packet(WORK_COMPLETE, job.split(b"\0", 3)[0], b"")


def work(
    raw: Raw, function: bytes, count: int, answer: Callable[[bytes], bytes], grabs: int
) -> None:
    """Answer so many jobs, with `grabs` of them asked for at a time."""
    grab = packet(GRAB)
    raw.send(packet(CAN_DO, function) + grab * grabs)
    done, began = 0, 0.0
    while done < count:
        answers = []
        for command, body in raw.packets():
            if command == ASSIGN:
                began = began or time.perf_counter()
                done += 1
                answers += [answer(body), grab]
        raw.send(b"".join(answers))
    raw.send(packet(ECHO_REQ, b"end"))
    while not any(command == ECHO_RES for command, _ in raw.packets()):
        pass
    report(count, time.perf_counter() - began)


def drain16(raw: Raw, function: bytes, count: int, data: bytes) -> None:
    """The same with 16 jobs asked for at a time."""
    drain(raw, function, count, data, grabs=16)


MODES: dict[str, Callable[[Raw, bytes, int, bytes], None]] = {
    mode.__name__: mode for mode in (echo, fg, big, big_echo, bg, bulk, fill, drain, drain16)
}

if __name__ == "__main__":
    mode, port, name, count, *size = sys.argv[1:]
    MODES[mode](Raw(int(port)), name.encode(), int(count), b"x" * int(*size or ["100"]))
