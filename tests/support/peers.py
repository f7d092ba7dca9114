"""A raw connection to a job server: what goes over the wire, nothing more, and every wait ends."""

from __future__ import annotations

import itertools
import os
import socket
from typing import TYPE_CHECKING, Self

from gearfleet.gearman.protocol import HEADER_BYTES, Command, Packet, PacketReader, encode

if TYPE_CHECKING:
    from tests.support.job_servers import JobServer

_numbers = itertools.count()


def fresh(label: str = "u") -> bytes:
    """Return bytes that no other test uses: a unique, a payload to recognise."""
    return f"{label}.{os.getpid()}.{next(_numbers)}".encode()


def _bytes(value: bytes | str) -> bytes:
    return value.encode() if isinstance(value, str) else value


def _parse(data: bytes) -> list[Packet]:
    reader = PacketReader()
    reader.feed(data)
    return list(reader.packets())


class Peer:
    """One connection, as a client, a worker or an administrator.

    Example:
        with Peer(job_server) as worker:
            worker.send(Command.CAN_DO, "f").send(Command.GRAB_JOB)
            assert worker.receive().command is Command.NO_JOB
    """

    def __init__(self, server: JobServer | str, *, timeout: float = 10.0) -> None:
        address = server if isinstance(server, str) else server.address
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host.strip("[]"), int(port)), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Buffers, so that packets and lines may come mixed.
        self._received = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        self._received.close()
        self.socket.close()

    # Packets

    def send(self, command: Command, *args: bytes | str) -> Self:
        """Send one well-formed packet."""
        return self.write(encode(command, *map(_bytes, args)))

    def write(self, data: bytes) -> Self:
        """Send any bytes."""
        self.socket.sendall(data)
        return self

    def receive(self) -> Packet:
        """Return the next packet."""
        header = self._read(HEADER_BYTES)
        packets = _parse(header + self._read(int.from_bytes(header[8:])))
        assert len(packets) == 1, header
        return packets[0]

    def _read(self, size: int) -> bytes:
        data = self._received.read(size)
        assert len(data) == size, f"The job server closed the connection after {data!r}"
        return data

    def ask(self, command: Command, *args: bytes | str) -> Packet:
        """Send one packet and return the next one that comes."""
        return self.send(command, *args).receive()

    def sync(self) -> Self:
        """Return when the server has dealt with all that was sent; fail if it sent anything."""
        token = fresh("sync")
        assert self.ask(Command.ECHO_REQ, token) == (Command.ECHO_RES, (token,))
        return self

    def wait_closed(self) -> list[Packet]:
        """Return when the server has closed the connection, with the packets it sent before."""
        data = b""
        try:
            while chunk := self._received.read1():
                data += chunk
        except ConnectionResetError:
            pass
        return _parse(data)

    # Common exchanges

    def submit(
        self,
        function: bytes | str,
        data: bytes = b"data",
        *,
        unique: bytes | None = None,
        command: Command = Command.SUBMIT_JOB_BG,
    ) -> bytes:
        """Submit a job, with a unique of its own by default, and return its handle."""
        created = self.ask(command, function, fresh() if unique is None else unique, data)
        assert created.command is Command.JOB_CREATED, created
        return created.args[0]

    def register(self, *functions: bytes | str) -> Self:
        """Send CAN_DO for each function, and return when the server knows."""
        for function in functions:
            self.send(Command.CAN_DO, function)
        return self.sync()

    def grab(self) -> Packet:
        """Ask for a job and return the answer."""
        return self.ask(Command.GRAB_JOB_UNIQ)

    def grab_handle(self) -> bytes:
        """Ask for a job, which must be there, and return its handle."""
        packet = self.grab()
        assert packet.command is Command.JOB_ASSIGN_UNIQ, packet
        return packet.args[0]

    # Text

    def say(self, line: str) -> bytes:
        """Send a text command and return its one line, line end included."""
        self.write(line.encode() + b"\r\n")
        return self.receive_line()

    def receive_line(self) -> bytes:
        """Return the next line with the line end that the server chose."""
        line = self._received.readline()
        assert line.endswith(b"\n"), f"The job server closed the connection after {line!r}"
        return line

    def table(self, command: str) -> list[bytes]:
        """Send a text command and return its lines without the final dot."""
        rows = [self.say(command)]
        while rows[-1] != b".\n":
            rows.append(self.receive_line())
        return [row.removesuffix(b"\n") for row in rows[:-1]]

    def row(self, command: str, name: bytes | str) -> bytes | None:
        """Return the line of a table whose first column is `name`, without that column."""
        rows = (row.partition(b"\t") for row in self.table(command))
        return next((rest for first, _, rest in rows if first == _bytes(name)), None)
