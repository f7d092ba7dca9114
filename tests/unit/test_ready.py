"""The processes that tests fork instead of starting: how they are asked."""

from __future__ import annotations

import socket

from tests.support.ready import Forked


def test_forked__that_ended_before_anybody_asked() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(b"7\n-9\n")
        child = Forked(["python"], ours)
        assert (child.pid, child.wait(10), child.poll()) == (7, -9, -9)
