"""A job server inside the test's event loop that does what the test says, and little else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from gearfleet.gearman.protocol import Command, Packet, PacketReader, encode

if TYPE_CHECKING:
    from collections.abc import Callable


class StubServer:
    """Answers OPTION_REQ and ECHO_REQ, keeps every other packet, and sends what it is told.

    Attributes:
        packets: what came, of all connections.
        writers: the connections, the newest last.
        reads: whether it reads; one that does not is a slow reader without end.
        answers: whether it answers an ECHO.
    """

    def __init__(self, behave: Callable[[StubServer, Packet], None] | None = None) -> None:
        self.packets: list[Packet] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.reads = asyncio.Event()
        self.reads.set()
        self.answers = True
        self._behave = behave or (lambda _server, _packet: None)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._serving: set[asyncio.Task[None]] = set()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.hang_up()
        self.reads.set()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def count(self, command: Command) -> int:
        return sum(packet.command is command for packet in self.packets)

    def say(self, command: Command, *args: bytes) -> None:
        """Send one packet on the newest connection."""
        self.writers[-1].write(encode(command, *args, response=True))

    def hang_up(self) -> None:
        for writer in self.writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        self.writers.append(writer)
        packets = PacketReader(requests=True)
        try:
            while await self.reads.wait() and (chunk := await reader.read(65536)):
                packets.feed(chunk)
                for packet in packets.packets():
                    self._take(packet)
        except ConnectionError:
            pass
        finally:
            self._serving.discard(task)
            writer.close()

    def _take(self, packet: Packet) -> None:
        if packet.command is Command.OPTION_REQ:
            self.say(Command.OPTION_RES, *packet.args)
            return
        self.packets.append(packet)
        if packet.command is Command.ECHO_REQ and self.answers:
            self.say(Command.ECHO_RES, *packet.args)
        self._behave(self, packet)
