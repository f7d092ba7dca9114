"""A tap that stops at one packet, so that a test can kill somebody at exactly that moment."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING

from gearfleet.gearman.protocol import Command, Packet, PacketReader, encode
from tests.support.taps import Tap
from tests.support.waiting import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.job_servers import JobServer

SUBMITS = frozenset({Command.SUBMIT_JOB, Command.SUBMIT_JOB_BG, Command.SUBMIT_JOB_EPOCH})


def any_of(*commands: Command) -> Callable[[Packet], bool]:
    """Return the condition that a packet is of one of these kinds."""
    return lambda packet: packet.command in commands


def is_submit(packet: Packet) -> bool:
    return packet.command in SUBMITS


def is_next_attempt(packet: Packet) -> bool:
    """Return whether a worker submits an attempt after the first of a job."""
    return is_submit(packet) and packet.args[0].endswith(b"+later")


class Gate(Tap):
    """Passes on what comes, up to the first packet, asked or answered, that `stops_at` wants.

    That one, and what follows it on its way, waits until `drop` or `open`.

    Example:
        with Gate(job_server, any_of(Command.WORK_COMPLETE)) as gate:
            gate.wait()     # the worker, which knows only gate.address, is done
            worker.kill()
            gate.drop()     # and nobody ever hears of it
    """

    def __init__(self, server: JobServer, stops_at: Callable[[Packet], bool]) -> None:
        super().__init__(server)
        self._stops_at = stops_at
        self._choice = threading.Lock()
        self._reached = threading.Event()
        self._decided = threading.Event()
        self._drops = False

    @property
    def is_reached(self) -> bool:
        return self._reached.is_set()

    def wait(self, nudge: Callable[[], object] = lambda: None) -> None:
        """Wait until the packet has come, and call `nudge` now and then until it has."""
        deadline = time.monotonic() + DEADLINE
        while not self._reached.wait(0.1):
            nudge()
            assert time.monotonic() < deadline, f"{self.requests} and {self.answers} came"

    def open(self) -> None:
        """Pass the packet on."""
        self._decided.set()

    def drop(self) -> None:
        """End the connection without the packet; others, and new ones, are not stopped."""
        self._drops = True
        self._decided.set()

    def __exit__(self, *exc_info: object) -> None:
        self.drop()
        super().__exit__(*exc_info)

    def _pass_on(
        self, source: socket.socket, target: socket.socket, seen: list[Packet], reader: PacketReader
    ) -> None:
        is_answer = seen is self.answers
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                for packet in reader.packets(data):
                    if self._is_the_one(packet) and self._is_dropped():
                        data = b""
                        break
                    seen.append(packet)
                    target.sendall(encode(packet.command, *packet.args, response=is_answer))
                if not data:
                    break
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _is_the_one(self, packet: Packet) -> bool:
        with self._choice:
            if self.is_reached or not self._stops_at(packet):
                return False
            self._reached.set()
            return True

    def _is_dropped(self) -> bool:
        self._decided.wait()
        return self._drops
