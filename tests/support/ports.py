"""Free TCP ports that test processes do not take from each other, whichever run they belong to."""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

# Below the ephemeral range (32768 and up): the kernel never hands these out
# for outgoing connections.
_CANDIDATES = random.Random(os.getpid()).sample(range(16000, 30000), 14000)
_LOCKS = Path(tempfile.gettempdir()) / f"gearfleet-test-ports-{os.getuid()}"
#: Descriptors of the locks; the kernel drops them when this process ends.
_held: list[int] = []


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nothing listens, kept for this process until it ends."""
    _LOCKS.mkdir(exist_ok=True)
    while _CANDIDATES:
        port = _CANDIDATES.pop()
        if _is_free(port) and _lock(port):
            return port
    raise AssertionError("no free port")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _lock(port: int) -> bool:
    descriptor = os.open(_LOCKS / str(port), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return False
    _held.append(descriptor)
    return True
