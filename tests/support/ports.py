"""Free TCP ports that parallel test processes do not take from each other."""

from __future__ import annotations

import itertools
import os
import socket

# Below the ephemeral range (32768 and up), one slice for each xdist process:
# the kernel never hands these out for outgoing connections.
_SLICE = 500
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_candidates = itertools.cycle(range(16000 + _worker * _SLICE, 16000 + (_worker + 1) * _SLICE))


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nothing listens."""
    for port in _candidates:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")
