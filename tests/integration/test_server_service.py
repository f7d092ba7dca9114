"""The embedded server as a process and as a thread: addresses, endings, peers that do not read."""

from __future__ import annotations

import contextlib
import signal
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from gearfleet.errors import GearmanError
from gearfleet.gearman.protocol import Command, encode
from gearfleet.gearman.server import EmbeddedServer, Limits
from tests.support.peers import Peer
from tests.support.ports import free_port
from tests.support.processes import GEARFLEET, Process, run
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

C = Command

SERVE = "from gearfleet.gearman.server import run; run('127.0.0.1', 0, ready=print)"


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    """A server that says its address when it is ready."""
    process = Process([sys.executable, "-c", SERVE], log=tmp_path / "log")
    process.wait_for_output("\n")
    yield process
    process.terminate()


def address_of(process: Process) -> str:
    return ":".join(process.output().split())


# In a thread


def test_thread__serves_on_a_free_port() -> None:
    with EmbeddedServer() as server, Peer(server.address) as peer:
        assert server.address.startswith("127.0.0.1:")
        peer.sync()


def test_thread__several_at_once() -> None:
    with EmbeddedServer() as one, EmbeddedServer() as two:
        assert one.address != two.address
        for server in (one, two):
            with Peer(server.address) as peer:
                peer.sync()


def test_thread__ends_with_its_connections() -> None:
    with EmbeddedServer() as server:
        peer = Peer(server.address).sync()
    assert peer.wait_closed() == []
    peer.close()
    with pytest.raises(ConnectionRefusedError):
        Peer(server.address)
    assert "gearfleet-server" not in [thread.name for thread in threading.enumerate()]


def test_thread__listens_on_ipv6() -> None:
    with EmbeddedServer("::1") as server, Peer(server.address) as peer:
        assert server.address.startswith("[::1]:")
        assert b" ::1 - :" in peer.table("workers")[0]


def test_thread__listens_on_a_name() -> None:
    port = free_port()
    with EmbeddedServer("localhost", port), Peer(f"127.0.0.1:{port}") as peer:
        peer.sync()


def test_thread__address_in_use() -> None:
    with EmbeddedServer() as server:
        port = server.address.rpartition(":")[2]
        with pytest.raises(GearmanError, match=rf"Cannot listen on 127\.0\.0\.1:{port}: .*in use"):
            EmbeddedServer(port=int(port)).__enter__()


def test_thread__no_such_host() -> None:
    with pytest.raises(GearmanError, match=r"Cannot listen on 192\.0\.2\.1:0"):
        EmbeddedServer("192.0.2.1").__enter__()


# As a process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_process__ends_at_once_with_zero(process: Process, number: signal.Signals) -> None:
    with Peer(address_of(process)) as peer:
        peer.register("f").send(C.PRE_SLEEP).sync()
        began = time.monotonic()
        process.signal(number)
        assert process.wait() == 0
        assert time.monotonic() - began < 2  # half a second, on a machine that does nothing else
        assert peer.wait_closed() == []


def test_process__ends_although_a_peer_does_not_read(process: Process) -> None:
    with Peer(address_of(process)) as stubborn, Peer(address_of(process)) as other:
        stubborn.register("f")
        other.submit("f", b"x" * 50_000_000)
        stubborn.send(C.GRAB_JOB)
        other.sync()
        process.signal(signal.SIGTERM)
        assert process.wait() == 0


def test_process__port_is_free_again_at_once(process: Process) -> None:
    address = address_of(process)
    with Peer(address) as peer:
        peer.sync()
        process.signal(signal.SIGTERM)
        process.wait()
    with EmbeddedServer(port=int(address.rpartition(":")[2])) as server:
        assert server.address == address


# Peers that do not read


SMALL = Limits(packet_bytes=1_000_000, unread_bytes=2_000_000)


@pytest.fixture
def small() -> Iterator[EmbeddedServer]:
    with EmbeddedServer(limits=SMALL) as server:
        yield server


#: Far more than the limit and what the kernel buffers, and no more than a machine can bear.
ECHO_FLOOD = encode(C.ECHO_REQ, b"x" * 100_000) * 400
STATUS_FLOOD = b"status\n" * 2000


def flood(peer: Peer, data: bytes) -> None:
    """Write until the server has had enough of it."""
    with contextlib.suppress(OSError):
        peer.socket.sendall(data)


@pytest.mark.parametrize("data", [ECHO_FLOOD, STATUS_FLOOD], ids=["packets", "text"])
def test_unread__the_peer_is_closed_and_others_are_served(
    small: EmbeddedServer, data: bytes
) -> None:
    with Peer(small.address) as deaf, Peer(small.address) as other:
        other.register(*(f"{number}".zfill(200) for number in range(100)))
        flood(deaf, data)
        other.sync()
        wait_for(lambda: len(other.table("workers")) == 1, "the deaf peer to be closed")


def test_unread__a_deaf_client_does_not_stop_its_worker(small: EmbeddedServer) -> None:
    with Peer(small.address) as client, Peer(small.address) as worker:
        worker.register("f")
        handle = client.submit("f", command=C.SUBMIT_JOB)
        worker.grab_handle()
        for _ in range(200):
            worker.send(C.WORK_DATA, handle, b"x" * 100_000)
        worker.sync()
        wait_for(lambda: len(worker.table("workers")) == 1, "the deaf client to be closed")
        worker.send(C.WORK_COMPLETE, handle, b"").sync()


def test_unread__a_deaf_worker_loses_its_job_to_another(small: EmbeddedServer) -> None:
    with (
        Peer(small.address) as deaf,
        Peer(small.address) as worker,
        Peer(small.address) as client,
    ):
        deaf.register("f")
        worker.register("f")
        handle = client.submit("f")
        deaf.send(C.GRAB_JOB)
        flood(deaf, ECHO_FLOOD)
        wait_for(lambda: client.ask(C.GET_STATUS, handle).args[2] == b"0", "the job to be free")
        assert worker.grab_handle() == handle


def test_packet__over_the_limit_is_refused_from_its_header(small: EmbeddedServer) -> None:
    with Peer(small.address) as peer:
        peer.write(b"\0REQ\0\0\0\x10\xff\xff\xff\xff")
        (error,) = peer.wait_closed()
        assert b"4294967295 bytes is over the limit of 1000000" in error.args[1]


def test_packet__as_large_as_the_limit_comes_back(small: EmbeddedServer) -> None:
    with Peer(small.address) as peer:
        data = b"x" * SMALL.packet_bytes
        assert peer.ask(C.ECHO_REQ, data).args == (data,)


def test_connection__reset_before_it_is_accepted(small: EmbeddedServer) -> None:
    host, _, port = small.address.rpartition(":")
    for _ in range(50):
        with socket.create_connection((host, int(port))) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    with Peer(small.address) as peer:
        wait_for(lambda: len(peer.table("workers")) == 1, "the dead connections to be gone")


# Draining


def test_drain__of_a_thread_waits_for_its_jobs() -> None:
    with EmbeddedServer() as server, Peer(server.address) as peer:
        peer.register("f")
        handle = peer.submit("f")
        assert not server.drain(timeout=0.1)
        with pytest.raises(ConnectionRefusedError):
            Peer(server.address)
        assert peer.grab_handle() == handle
        peer.send(C.WORK_COMPLETE, handle, b"")
        assert server.drain(timeout=10)
        assert peer.wait_closed() == []


def test_drain__waits_for_a_job_that_is_not_due() -> None:
    with EmbeddedServer() as server, Peer(server.address) as peer:
        peer.register("f").send(C.PRE_SLEEP)
        peer.ask(C.SUBMIT_JOB_EPOCH, "f", "u", str(int(time.time()) + 1), b"data")
        assert not server.drain(timeout=0.1)
        assert peer.receive().command is C.NOOP
        peer.send(C.WORK_COMPLETE, peer.grab_handle(), b"")
        assert server.drain(timeout=10)


def test_retries__in_a_thread() -> None:
    with EmbeddedServer(job_retries=1) as server, Peer(server.address) as client:
        with Peer(server.address) as dying:
            handle = client.submit("f", command=C.SUBMIT_JOB)
            dying.register("f").grab_handle()
        assert client.receive() == (C.WORK_FAIL, (handle,))


def test_retries__of_a_negative_number_are_refused() -> None:
    result = run([*GEARFLEET, "server", "--job-retries", "-1"])
    assert result.returncode == 2
    assert "--job-retries -1" in result.stderr
