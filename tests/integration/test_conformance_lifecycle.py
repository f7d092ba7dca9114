"""How both job servers end, and how often they try a job again."""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING

import pytest

from gearfleet.gearman.protocol import Command
from tests.support.job_servers import JobServer
from tests.support.peers import Peer
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

C = Command


@pytest.fixture(params=["gearmand", "embedded"])
def start(request: pytest.FixtureRequest) -> Iterator[Callable[..., JobServer]]:
    """Start a job server of each kind with options."""
    servers = []

    def start(*options: str) -> JobServer:
        servers.append(JobServer(request.param, options))
        return servers[-1].start()

    yield start
    for server in servers:
        server.close()


def lose(server: JobServer, client: Peer, function: str, handle: bytes) -> None:
    """Let a worker take the job and die."""
    with Peer(server) as dying:
        assert dying.register(function).grab_handle() == handle
    wait_for(lambda: client.ask(C.GET_STATUS, handle).args[2] == b"0", "the worker to be gone")


def test_retries__the_client_hears_of_the_last_loss_only(
    start: Callable[..., JobServer], function: str
) -> None:
    server = start("-j", "2")
    with Peer(server) as client:
        handle = client.submit(function, command=C.SUBMIT_JOB)
        lose(server, client, function, handle)
        client.sync()
        with Peer(server) as dying:
            dying.register(function).grab_handle()
        assert client.receive() == (C.WORK_FAIL, (handle,))
        assert client.ask(C.GET_STATUS, handle).args[1] == b"0"


def test_retries__one_means_no_second_try(start: Callable[..., JobServer], function: str) -> None:
    server = start("--job-retries", "1")
    with Peer(server) as client:
        handle = client.submit(function)
        lose(server, client, function, handle)
        assert client.ask(C.GET_STATUS, handle).args[1] == b"0"
        with Peer(server) as worker:
            assert worker.register(function).grab().command is C.NO_JOB


def test_retries__without_a_limit(start: Callable[..., JobServer], function: str) -> None:
    server = start()
    with Peer(server) as client:
        handle = client.submit(function)
        for _ in range(12):
            lose(server, client, function, handle)
        assert client.row("show jobs", handle) == b"12\t0\t1"


def test_retries__a_failed_unique_is_free_again(
    start: Callable[..., JobServer], function: str
) -> None:
    server = start("-j", "1")
    with Peer(server) as client:
        handle = client.submit(function, unique=b"u")
        lose(server, client, function, handle)
        second = client.submit(function, unique=b"u")
        assert second != handle
        with Peer(server) as worker:
            assert worker.register(function).grab_handle() == second


def accepts(server: JobServer) -> bool:
    try:
        with Peer(server) as peer:
            peer.sync()
    except OSError:
        return False
    return True


def has_ended(server: JobServer, peer: Peer) -> bool:
    # The thread of gearmand that looks whether it may end may look just before
    # the last job is gone, and looks again only when somebody speaks.
    with contextlib.suppress(OSError):
        peer.send(C.ECHO_REQ, b"")
    assert server.process is not None
    return server.process.returncode is not None


def test_drain__ends_when_every_job_is_done(start: Callable[..., JobServer], function: str) -> None:
    server = start()
    assert server.process is not None
    with Peer(server) as client, Peer(server) as worker:
        worker.register(function)
        running, queued = client.submit(function), client.submit(function)
        worker.grab_handle()
        server.process.signal(signal.SIGUSR1)
        wait_for(lambda: not accepts(server), "new connections to be refused")
        late = client.submit(function)
        for handle in (running, queued, late):
            assert server.process.returncode is None
            if handle is not running:
                assert worker.grab_handle() == handle
            worker.send(C.WORK_COMPLETE, handle, b"")
        wait_for(lambda: has_ended(server, worker), "the job server to end")
        assert server.process.wait() == 0


def test_drain__without_jobs_ends_at_once(start: Callable[..., JobServer]) -> None:
    server = start()
    assert server.process is not None
    with Peer(server) as idle:
        idle.sync()
        server.process.signal(signal.SIGUSR1)
        assert server.process.wait() == 0
        assert idle.wait_closed() == []


def test_stop__leaves_the_jobs(start: Callable[..., JobServer], function: str) -> None:
    server = start()
    assert server.process is not None
    with Peer(server) as client:
        client.submit(function)
        server.process.signal(signal.SIGTERM)
        assert server.process.wait() == 0
        assert client.wait_closed() == []
