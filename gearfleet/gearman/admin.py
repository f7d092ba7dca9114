"""`GearmanAdminClient`: what one job server says of its functions and workers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from gearfleet import errors
from gearfleet.gearman.addresses import parse_all
from gearfleet.gearman.connection import Connection
from gearfleet.gearman.dial import CONNECT_TIMEOUT
from gearfleet.gearman.protocol import Command, PacketReader, encode
from gearfleet.gearman.text import parse_status, parse_version, parse_workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import Self, TypeVar

    from gearfleet.gearman.addresses import AddressLike
    from gearfleet.gearman.text import FunctionStatus, Version, WorkerStatus

    T = TypeVar("T")

_PING = b"gearfleet ping"


class GearmanAdminClient:
    """Asks one job server; every call ends within `poll_timeout` seconds.

    `status`, `workers` and `version` return typed values, the `get_` methods
    python-gearman's dicts and text. Not to be shared between threads.

    Example:
        with GearmanAdminClient(["127.0.0.1:4730"]) as admin:
            backlog = {row.function: row.waiting for row in admin.status()}
    """

    def __init__(
        self,
        host_list: AddressLike | Iterable[AddressLike] | None = None,
        poll_timeout: float = 10.0,
        *,
        connect_timeout: float = CONNECT_TIMEOUT,
    ) -> None:
        """Remember the job server; connect at the first call.

        Raises:
            LocalProtocolError: (a ValueError) not exactly one address.
        """
        addresses = parse_all(host_list)
        if len(addresses) != 1:
            raise errors.LocalProtocolError(
                f"An admin client asks exactly one job server, got {len(addresses)}"
            )
        self.address = addresses[0]
        self._timeout = poll_timeout
        self._connect_timeout = connect_timeout
        self._connection: Connection | None = None
        self._reader = PacketReader()

    def status(self) -> tuple[FunctionStatus, ...]:
        """Return the functions that the job server knows, sorted by name.

        Raises:
            ServerUnavailable: the job server cannot be reached.
            InvalidAdminClientState: it does not answer in time, or went away.
        """
        return parse_status(self._ask_list(b"status"))

    def workers(self) -> tuple[WorkerStatus, ...]:
        """Return the connections of the job server; raises as `status` does."""
        return parse_workers(self._ask_list(b"workers"))

    def version(self) -> Version:
        """Return the version of the job server; raises as `status` does."""
        return parse_version(self._ask(b"version\r\n", self._next_line))

    def ping_server(self) -> float:
        """Return the seconds that an ECHO takes; raises as `status` does."""
        began = time.monotonic()
        packet = self._ask(encode(Command.ECHO_REQ, _PING), self._reader_packet)
        if packet != (Command.ECHO_RES, (_PING,)):
            self.close()
            raise errors.InvalidAdminClientState(
                f"Job server {self.address} answered an ECHO with {packet!r}"
            )
        return time.monotonic() - began

    def get_status(self) -> tuple[dict[str, Any], ...]:
        """Return python-gearman's dicts: task, queued (running ones included), running, workers."""
        return tuple(
            {
                "task": row.function,
                "queued": row.total,
                "running": row.running,
                "workers": row.workers,
            }
            for row in self.status()
        )

    def get_workers(self) -> tuple[dict[str, Any], ...]:
        """Return python-gearman's dicts: file_descriptor, ip, client_id, tasks."""
        return tuple(
            {
                "file_descriptor": str(row.file_descriptor),
                "ip": row.ip,
                "client_id": row.client_id,
                "tasks": row.functions,
            }
            for row in self.workers()
        )

    def get_version(self) -> str:
        """Return the version as text."""
        return self.version().text

    def close(self) -> None:
        """Close the connection; the next call opens another one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._reader = PacketReader()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _ask_list(self, command: bytes) -> list[bytes]:
        # Always \r\n: gearmand cuts the last letter of some commands without \r.
        lines: list[bytes] = []

        def take() -> list[bytes] | None:
            while (line := self._reader.next_line()) is not None:
                if line == b".":
                    return lines
                lines.append(line)
            return None

        return self._ask(command + b"\r\n", take)

    def _next_line(self) -> bytes | None:
        return self._reader.next_line()

    def _reader_packet(self) -> Any:
        return self._reader.next_packet()

    def _ask(self, question: bytes, take: Callable[[], T | None]) -> T:
        """Send `question`, and read until `take` makes an answer of what came."""
        deadline = time.monotonic() + self._timeout
        connection = self._connected()
        try:
            connection.send(question, deadline=deadline)
            while (answer := take()) is None:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise errors.InvalidAdminClientState(
                        f"Job server {self.address} did not answer within {self._timeout:g} s"
                    )
                if chunk := connection.receive(left):
                    self._reader.feed(chunk)
        except errors.GearmanError as error:
            # A late answer must not be taken for the next one.
            self.close()
            if isinstance(error, errors.ConnectionError):
                raise errors.InvalidAdminClientState(str(error)) from error
            raise
        return answer

    def _connected(self) -> Connection:
        """Return the connection, a new one if the old one ended in the meantime."""
        if self._connection is not None and self._connection.has_input():
            self.close()
        if self._connection is None:
            timeout = min(self._connect_timeout, self._timeout)
            try:
                self._connection = Connection.open(self.address, timeout=timeout)
            except errors.ConnectionError as error:
                raise errors.ServerUnavailable(str(error)) from error
        return self._connection
