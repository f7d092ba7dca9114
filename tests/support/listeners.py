"""A peer of a client or worker that says whatever a test wants it to."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Listener:
    """Listens on a free port and plays a story in a thread; an OSError ends it."""

    def __init__(self, story: Callable[[Listener], None], *, family: int = socket.AF_INET) -> None:
        host = "::1" if family == socket.AF_INET6 else "127.0.0.1"
        self._socket = socket.create_server((host, 0), family=socket.AddressFamily(family))
        self._story = story
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._tell, daemon=True)
        port = self._socket.getsockname()[1]
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def accept(self) -> socket.socket:
        """Return the next connection; it is closed with the listener."""
        connection, _ = self._socket.accept()
        connection.settimeout(30)
        self._open.append(connection)
        return connection

    def _tell(self) -> None:
        with contextlib.suppress(OSError):
            self._story(self)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exc_info: object) -> None:
        for each in (self._socket, *self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        for each in (self._socket, *self._open):
            each.close()
        assert not self._thread.is_alive()


@contextlib.contextmanager
def saying(answer: bytes) -> Iterator[str]:
    """Listen, and answer the first words of every connection with `answer`."""

    def story(listener: Listener) -> None:
        while True:
            connection = listener.accept()
            connection.recv(4096)
            connection.sendall(answer)

    with Listener(story) as listener:
        yield listener.address
