"""The client's connections: time limits, dead peers, many threads, big floods; never poisoned."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from gearfleet.errors import (
    AmbiguousSubmit,
    ConnectionError,
    GearmanError,
    LocalProtocolError,
    ServerError,
    ServerUnavailable,
)
from gearfleet.gearman import (
    JOB_PENDING,
    JOB_UNKNOWN,
    GearmanAdminClient,
    GearmanClient,
    GearmanWorker,
)
from gearfleet.gearman.protocol import Command, PacketReader
from gearfleet.gearman.server import EmbeddedServer
from tests.support.job_servers import JobServer
from tests.support.listeners import Listener
from tests.support.running import running
from tests.support.taps import Tap
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

C = Command
GREETING = b"\0RES\0\0\0\x1b\0\0\0\x0aexceptions"


def echo(address: str, function: str, count: int = 1) -> list[GearmanWorker]:
    workers = [GearmanWorker([address]) for _ in range(count)]
    for worker in workers:
        worker.register_task(function, lambda job: job.data)
    return workers


@pytest.fixture
def stopped() -> Iterator[JobServer]:
    """A gearmand that the test stops with SIGSTOP."""
    server = JobServer("gearmand").start()
    assert server.process is not None
    yield server
    server.process.go_on()
    server.close()


def pause(server: JobServer) -> None:
    assert server.process is not None
    server.process.pause()


def go_on(server: JobServer) -> None:
    assert server.process is not None
    server.process.go_on()


@pytest.fixture
def black_hole() -> Iterator[str]:
    """An address that swallows attempts to connect: its backlog is full."""
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        while True:
            filler = stack.enter_context(socket.socket())
            filler.settimeout(0.2)
            try:
                filler.connect(full.getsockname())
            except TimeoutError:
                break
        yield f"127.0.0.1:{full.getsockname()[1]}"


# Sockets


def test_socket__of_a_client_notices_dead_peers(gearmand: JobServer, function: str) -> None:
    with GearmanClient([gearmand.address]) as client:
        client.submit_job(function, b"x", background=True)
        (server,) = client._servers
        assert server.current is not None
        sock = server.current._connection._socket
        options = {
            (socket.IPPROTO_TCP, socket.TCP_NODELAY): 1,
            (socket.SOL_SOCKET, socket.SO_KEEPALIVE): 1,
            (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE): 30,
            (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL): 10,
            (socket.IPPROTO_TCP, socket.TCP_KEEPCNT): 3,
            (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT): 60_000,
        }
        assert {option: sock.getsockopt(*option) for option in options} == options


@pytest.mark.parametrize("kind", ["gearmand", "embedded"])
def test_ipv6__every_client(kind: str, function: str) -> None:
    with contextlib.ExitStack() as stack:
        if kind == "embedded":
            address = stack.enter_context(EmbeddedServer("::1")).address
        else:
            server = JobServer("gearmand", host="::1").start()
            stack.callback(server.close)
            address = server.address
        assert address.startswith("[::1]:")
        (worker,) = echo(address, function)
        with running(worker), GearmanClient([address]) as client:
            assert client.submit_job(function, b"x", poll_timeout=20).result == b"x"
            with GearmanAdminClient([address]) as admin:
                assert function in [row.function for row in admin.status()]


# Time limits


def test_connect__to_nobody_ends_in_time(black_hole: str) -> None:
    for client in (
        GearmanClient([black_hole], connect_timeout=0.3),
        GearmanClient([black_hole]),
    ):
        began = time.monotonic()
        with pytest.raises(ServerUnavailable, match="no answer within"):
            client.submit_job("f", b"x", poll_timeout=0.5)
        assert time.monotonic() - began < 3
    began = time.monotonic()
    with pytest.raises(ServerUnavailable):
        GearmanClient([black_hole]).get_status(unique="u", poll_timeout=0.3)
    with pytest.raises(ServerUnavailable):
        GearmanAdminClient([black_hole], poll_timeout=0.3).status()
    assert time.monotonic() - began < 3


def test_connect__to_nobody_does_not_delay_what_goes_elsewhere(
    black_hole: str, gearmand: JobServer, function: str
) -> None:
    with GearmanClient([black_hole, gearmand.address], connect_timeout=0.2) as client:
        for _ in range(3):  # its time of grace doubles
            client.submit_job(function, b"x", background=True)
        began = time.monotonic()
        for _ in range(20):
            request = client.submit_job(function, b"x", background=True)
            assert str(request.job.connection) == gearmand.address
        assert time.monotonic() - began < 3
        assert client.get_status(unique=request.unique).known


def test_stopped_server__every_call_ends_and_the_client_goes_on(
    stopped: JobServer, function: str
) -> None:
    with GearmanClient([stopped.address], heartbeat_limit=2) as client:
        client.submit_job(function, b"x", background=True)
        pause(stopped)
        with pytest.raises(ServerUnavailable, match=r"no answer within 0\.2 s"):
            client.get_status(unique="u", poll_timeout=0.2)
        with pytest.raises(AmbiguousSubmit, match="silent"):
            client.submit_job(function, b"x", background=True)
        with pytest.raises(ServerUnavailable, match="said nothing"):
            client.submit_job(function, b"x", background=True, poll_timeout=0.3)
        go_on(stopped)
        assert client.submit_job(function, b"x", background=True, poll_timeout=20).complete


def test_idle__a_silent_server_is_found_before_the_submit(
    stopped: JobServer, gearmand: JobServer, function: str
) -> None:
    both = [stopped.address, gearmand.address]
    with GearmanClient(both, heartbeat_interval=0.2, heartbeat_limit=1.5) as client:
        for _ in range(2):
            client.submit_job(function, b"x", background=True)
        pause(stopped)
        threading.Event().wait(0.25)  # being idle is a length of time
        for _ in range(4):
            # Written to the stopped one it would be ambiguous.
            request = client.submit_job(function, b"x", background=True, poll_timeout=10)
            assert str(request.job.connection) == gearmand.address


def test_idle__a_living_server_keeps_its_connection(gearmand: JobServer, function: str) -> None:
    with (
        Tap(gearmand) as tap,
        GearmanClient([tap.address], heartbeat_interval=0.05) as client,
    ):
        client.submit_job(function, b"x", background=True)
        threading.Event().wait(0.1)  # being idle is a length of time
        client.submit_job(function, b"x", background=True)
        assert tap.commands == [C.OPTION_REQ, C.SUBMIT_JOB_BG, C.ECHO_REQ, C.SUBMIT_JOB_BG]


# Never poisoned


def test_failures__of_every_kind_leave_the_client_usable(
    gearmand: JobServer, function: str
) -> None:
    (worker,) = echo(gearmand.address, function)
    with Tap(gearmand) as tap, GearmanClient([tap.address]) as client, running(worker):
        for number in range(3):
            with pytest.raises(TypeError):
                client.submit_job(function, "text")
            with pytest.raises(LocalProtocolError):
                client.submit_job("two words", b"x")
            with pytest.raises(LocalProtocolError):
                client.submit_multiple_jobs(
                    [{"task": function, "data": b"x"}, {"task": "two words", "data": b"x"}]
                )
            nobody = f"{function}.nobody"
            assert client.submit_job(nobody, b"x", poll_timeout=0.05).timed_out
            with GearmanAdminClient([gearmand.address]) as admin:
                admin.maxqueue(f"{function}.full", 1)
            with contextlib.suppress(ServerError):
                client.submit_job(f"{function}.full", b"x", background=True)
            with pytest.raises(ServerError):
                client.submit_job(f"{function}.full", b"x", background=True)
            waiting = client.submit_job(nobody, b"x", wait_until_complete=False)
            tap.cut()
            client.wait_until_jobs_completed([waiting], poll_timeout=20)
            assert (waiting.state, waiting.connection_failed) == (JOB_UNKNOWN, True)
            data = b"%d" % number
            assert client.submit_job(function, data, poll_timeout=20).result == data


def test_threads__whose_connection_is_cut_again_and_again(
    gearmand: JobServer, function: str
) -> None:
    wrong: list[object] = []
    done = threading.Event()
    counts = [0] * 6

    def submit(client: GearmanClient, number: int) -> None:
        while not done.is_set():
            data = b"%d-%d" % (number, counts[number])
            try:
                request = client.submit_job(function, data, poll_timeout=20)
            except (ConnectionError, ServerUnavailable):
                continue
            if request.result == data:
                counts[number] += 1
            elif not request.connection_failed:
                wrong.append(request)

    workers = echo(gearmand.address, function, 2)
    with Tap(gearmand) as tap, GearmanClient([tap.address]) as client, running(*workers):
        threads = [
            threading.Thread(target=submit, args=(client, number)) for number in range(len(counts))
        ]
        for thread in threads:
            thread.start()
        for _ in range(8):
            before = counts[:]
            wait_for(
                lambda before=before: all(map(int.__gt__, counts, before)), "jobs of every thread"
            )
            tap.cut()
        before = counts[:]
        wait_for(lambda: all(map(int.__gt__, counts, before)), "jobs after the last cut")
        done.set()
        for thread in threads:
            thread.join(30)
        assert not any(thread.is_alive() for thread in threads)
    assert wrong == []


# Floods


@pytest.mark.parametrize("threads", [1, 3])
def test_flood__of_big_foreground_jobs_does_not_block(
    job_server: JobServer, function: str, threads: int
) -> None:
    workers = echo(job_server.address, function, 2)
    payload = bytes(range(256)) * 1600
    failures: list[object] = []

    def submit(client: GearmanClient) -> None:
        jobs = [{"task": function, "data": b"%d" % n + payload} for n in range(60)]
        requests = client.submit_multiple_jobs(jobs, poll_timeout=60)
        failures.extend(
            request
            for job, request in zip(jobs, requests, strict=True)
            if request.result != job["data"]
        )

    with GearmanClient([job_server.address]) as client, running(*workers):
        running_threads = [threading.Thread(target=submit, args=(client,)) for _ in range(threads)]
        for thread in running_threads:
            thread.start()
        for thread in running_threads:
            thread.join(90)
            assert not thread.is_alive()
    assert failures == []


def test_flood__of_big_background_jobs_is_accepted(job_server: JobServer, function: str) -> None:
    jobs = [{"task": function, "data": b"x" * 500_000} for _ in range(100)]
    with GearmanClient([job_server.address]) as client:
        requests = client.submit_multiple_jobs(jobs, background=True, poll_timeout=60)
        assert all(request.complete for request in requests)
        handles = [request.job.handle for request in requests]
        assert len(set(handles)) == len(jobs)
        with GearmanAdminClient([job_server.address]) as admin:
            for handle in handles:
                assert handle is not None
                admin.cancel_job(handle)


def test_window__bounds_what_a_server_that_does_not_answer_is_sent() -> None:
    received = []

    def story(listener: Listener) -> None:
        connection = listener.accept()
        reader = PacketReader(requests=True)
        connection.recv(4096)
        connection.sendall(GREETING)
        while data := connection.recv(65536):
            reader.feed(data)
            received.extend(packet.command for packet in reader.packets())

    jobs = [{"task": "f", "data": b"x" * 50}] * 40_000
    with Listener(story) as listener, GearmanClient([listener.address]) as client:
        requests = client.submit_multiple_jobs(jobs, background=True, poll_timeout=2)
        assert all(request.timed_out for request in requests)
        written = [request for request in requests if request.state == JOB_PENDING]
        assert 16_000 < len(written) < 20_000
        assert requests[-1].state == JOB_UNKNOWN
        wait_for(lambda: len(received) >= len(written), "the server to have read all of it")
        assert received == [C.SUBMIT_JOB_BG] * len(written)


def test_window__a_server_that_never_answers_is_given_up() -> None:
    def story(listener: Listener) -> None:
        while True:
            connection = listener.accept()
            connection.recv(4096)
            connection.sendall(GREETING)
            with contextlib.suppress(OSError):
                while connection.recv(65536):
                    pass

    jobs = [{"task": "f", "data": b"x" * 50}] * 40_000
    with (
        Listener(story) as listener,
        GearmanClient([listener.address], heartbeat_limit=1) as client,
    ):
        requests = client.submit_multiple_jobs(jobs, background=True)
        assert all(isinstance(request.error, AmbiguousSubmit) for request in requests)


def test_submit_again__takes_those_that_had_no_time(gearmand: JobServer, function: str) -> None:
    jobs = [{"task": function, "data": b"x"}] * 3
    with GearmanClient([gearmand.address]) as client:
        with contextlib.suppress(GearmanError):
            client.submit_multiple_jobs(jobs, background=True, poll_timeout=0)
        requests = client.submit_multiple_jobs(jobs, background=True)
        assert all(request.complete for request in requests)
