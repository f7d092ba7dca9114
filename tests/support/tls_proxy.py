"""A TLS proxy in front of a job server: Debian's gearmand has no TLS of its own (F13)."""

from __future__ import annotations

import asyncio
import ssl
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from tests.support.certificates import Authority, Certificate

_CHUNK_BYTES = 256 * 1024


class TLSProxy:
    """Takes TLS on a port of its own and speaks plain TCP with `target`.

    Example:
        with TLSProxy(job_server.address, authority.good) as proxy:
            GearmanClient([Address("localhost", proxy.port, TLS(ca_certs=authority.ca_certs))])
    """

    def __init__(
        self,
        target: str,
        certificate: Certificate,
        *,
        asks_for: Authority | None = None,
        newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    ) -> None:
        """Show `certificate`; take only clients with a certificate of the authority `asks_for`."""
        self.accepted = 0
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate.certfile, certificate.keyfile)
        self._context.maximum_version = newest
        if asks_for is not None:
            self._context.load_verify_locations(asks_for.ca_certs)
            self._context.verify_mode = ssl.CERT_REQUIRED
        self._port: Future[int] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._loop: asyncio.AbstractEventLoop
        self._end: asyncio.Event
        self._carrying: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        return self._port.result(10)

    def __enter__(self) -> Self:
        self._thread.start()
        self._port.result(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)

    def cut(self) -> None:
        """Break every connection, as a network does."""
        self._loop.call_soon_threadsafe(lambda: [task.cancel() for task in self._carrying])

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        self._loop.set_exception_handler(lambda _loop, _context: None)  # refused handshakes
        server = await asyncio.start_server(self._carry, "127.0.0.1", 0, ssl=self._context)
        self._port.set_result(server.sockets[0].getsockname()[1])
        await self._end.wait()
        server.close()
        for task in self._carrying:
            task.cancel()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.current_task()
        assert task is not None
        self._carrying.add(task)
        inner_reader, inner_writer = await asyncio.open_connection(*self._target)
        ways = [
            asyncio.ensure_future(_pump(reader, inner_writer)),
            asyncio.ensure_future(_pump(inner_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            pass
        finally:
            for way in ways:
                way.cancel()
            writer.transport.abort()
            inner_writer.transport.abort()
            self._carrying.discard(task)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while chunk := await reader.read(_CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
    except (OSError, ssl.SSLError):
        pass
