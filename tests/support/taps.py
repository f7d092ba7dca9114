"""A proxy before a job server that writes down which packets pass."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Self

from gearfleet.gearman.protocol import Command, Packet, PacketReader

if TYPE_CHECKING:
    from tests.support.job_servers import JobServer


class Tap:
    """Passes every byte on; `requests` and `answers` are the packets of all connections.

    Example:
        with Tap(job_server) as tap, GearmanClient([tap.address]) as client:
            client.submit_job("f", b"x", background=True)
            assert tap.commands[-1] is Command.SUBMIT_JOB_BG
    """

    def __init__(self, server: JobServer) -> None:
        self.requests: list[Packet] = []
        self.answers: list[Packet] = []
        self._port = server.port
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    @property
    def commands(self) -> list[Command]:
        """What was asked of the job server, in order."""
        return [packet.command for packet in self.requests]

    def cut(self) -> None:
        """End every connection; new ones are accepted."""
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_exc_info: object) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._threads[0].join(10)
        self.cut()
        for thread in self._threads:
            thread.join(10)
        for each in (self._socket, *self._open):
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._socket.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._port))
            for each in (near, far):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open += [near, far]
            for source, target, seen, reader in (
                (near, far, self.requests, PacketReader(requests=True)),
                (far, near, self.answers, PacketReader()),
            ):
                thread = threading.Thread(
                    target=self._pass_on, args=(source, target, seen, reader), daemon=True
                )
                self._threads.append(thread)
                thread.start()

    def _pass_on(
        self, source: socket.socket, target: socket.socket, seen: list[Packet], reader: PacketReader
    ) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                reader.feed(data)
                seen += reader.packets()
                target.sendall(data)
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
