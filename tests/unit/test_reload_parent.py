"""The parent of ``--reload``, with a worker that is none."""

from __future__ import annotations

import signal
import socket
from contextlib import closing

from gearfleet.cli.reload.parent import Reloader


def test_stop__of_a_worker_that_has_only_begun_is_no_failure() -> None:
    ears, voice = socket.socketpair()
    with ears, voice:
        voice.send(bytes([signal.SIGTERM]))
        with closing(Reloader(["sleep", "60"], ears, voice)) as reloader:
            assert reloader.run() == 0
