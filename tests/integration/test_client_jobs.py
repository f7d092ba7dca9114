"""`Client` against real job servers; the worker is the system's own `gearman -w`, or none."""

from __future__ import annotations

import json
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from gearfleet import errors
from gearfleet.client import Client
from gearfleet.config import Settings
from gearfleet.errors import (
    JobFailed,
    JobTimeout,
    PayloadDecodeError,
    PayloadEncodeError,
    ServerUnavailable,
)
from gearfleet.tasks.payload import decode_call
from tests.support.ports import free_port
from tests.support.processes import Process
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.job_servers import JobServer

GEARMAN = shutil.which("gearman")
needs_gearman = pytest.mark.skipif(
    GEARMAN is None and os.environ.get("CI") != "true",
    reason="needs gearman: apt-get install gearman-tools",
)


@pytest.fixture
def client(job_server: JobServer) -> Iterator[Client]:
    client = Client(Settings(servers=(job_server.address,), client_timeout=20.0))
    yield client
    client.close()


@pytest.fixture
def serve(
    job_server: JobServer, function: str, tmp_path: Path
) -> Iterator[Callable[[str], Process]]:
    """Serve `function` with a shell command that reads the payload and writes the result."""
    started: list[Process] = []

    def start(command: str) -> Process:
        process = Process(
            [
                *(str(GEARMAN), "-w", "-h", "127.0.0.1", "-p", str(job_server.port)),
                *("-f", function, "--", "sh", "-c", command),
            ],
            log=tmp_path / "gearman.log",
        )
        started.append(process)
        job_server.wait_for_workers(function)
        return process

    yield start
    for process in started:
        process.terminate()


@needs_gearman
def test_submit__returns_the_result(
    client: Client, function: str, serve: Callable[[str], Process]
) -> None:
    serve('cat > /dev/null; echo \'{"$t": "decimal", "v": "1.10"}\'')
    assert str(client.submit(function)) == "1.10"


@needs_gearman
def test_submit__sends_the_envelope(
    client: Client, function: str, serve: Callable[[str], Process], tmp_path: Path
) -> None:
    serve(f"tee {tmp_path / 'payload'} > /dev/null; echo null")
    before = time.time()

    assert client.submit(function, 1, Decimal("2.0"), when=b"\0") is None

    data = (tmp_path / "payload").read_bytes()
    assert json.loads(data)["args"] == [1, {"$t": "decimal", "v": "2.0"}]
    call = decode_call(data)
    assert (call.args, call.kwargs) == ((1, Decimal("2.0")), {"when": b"\0"})
    assert call.meta is not None
    assert (len(call.meta.id), call.meta.attempt, call.meta.waits) == (32, 1, True)
    assert before <= call.meta.enqueued_at <= time.time()


@needs_gearman
def test_submit__failure(client: Client, function: str, serve: Callable[[str], Process]) -> None:
    serve("exit 1")
    with pytest.raises(JobFailed, match=function) as caught:
        client.submit(function)
    assert caught.value.failure is None


@needs_gearman
def test_submit__result_of_another_program_that_is_no_json(
    client: Client, function: str, serve: Callable[[str], Process]
) -> None:
    serve("echo hello")
    with pytest.raises(PayloadDecodeError, match="hello"):
        client.submit(function)


def test_submit__timeout(client: Client, function: str) -> None:
    begun = time.monotonic()
    with pytest.raises(JobTimeout, match=rf"{function} within 0.2 s \(job \w+ at 127.0.0.1:\d+\)"):
        client.submit_job(function, timeout=0.2)
    assert time.monotonic() - begun < 5


def test_delay__returns_a_handle(client: Client, job_server: JobServer, function: str) -> None:
    handle = client.delay(function, 1)

    assert handle.function == function
    assert handle.server == job_server.address
    assert handle.unique == f"{handle.id}.1"
    assert _queued(job_server, function) == 1


def test_delay__every_job_is_its_own(client: Client, job_server: JobServer, function: str) -> None:
    assert len({client.delay(function, 1).id for _ in range(5)}) == 5
    assert _queued(job_server, function) == 5


def test_unique__background_jobs_meet(client: Client, job_server: JobServer, function: str) -> None:
    for _ in range(3):
        client.submit_job(function, background=True, unique="x" * 200)
    assert _queued(job_server, function) == 1


@needs_gearman
def test_unique__foreground_and_background_never_meet(
    client: Client, function: str, serve: Callable[[str], Process], tmp_path: Path
) -> None:
    background = client.submit_job(function, background=True, unique="same")
    # If the two met, the job server would forget both when this caller leaves (F2).
    impatient = Client(client.settings)
    with pytest.raises(JobTimeout):
        impatient.submit_job(function, unique="same", timeout=0.2)
    impatient.close()
    ran = tmp_path / "ran"
    ran.touch()
    serve(f"cat >> {ran}")

    wait_for(lambda: background.id in ran.read_text(), "the background job to run")


@pytest.mark.parametrize("priority", ["high", "normal", "low"])
def test_priority__accepted(
    client: Client, job_server: JobServer, function: str, priority: Any
) -> None:
    client.submit_job(function, background=True, priority=priority)
    assert _queued(job_server, function) == 1


def test_prefix__is_part_of_the_function(job_server: JobServer, function: str) -> None:
    client = Client(Settings(servers=(job_server.address,), prefix="staging."))
    try:
        assert client.delay(function).function == f"staging.{function}"
    finally:
        client.close()
    assert _queued(job_server, f"staging.{function}") == 1


def test_unreachable__named_within_the_limit() -> None:
    port = free_port()
    client = Client(Settings(servers=(f"127.0.0.1:{port}",), client_timeout=2.0))
    begun = time.monotonic()
    with pytest.raises(ServerUnavailable, match=f"127.0.0.1:{port}"):
        client.delay("f", 1)
    assert time.monotonic() - begun < 3


def test_silent_server__named_within_the_limit(own_job_server: JobServer) -> None:
    client = Client(Settings(servers=(own_job_server.address,), client_timeout=0.5))
    client.delay("f", 1)
    assert own_job_server.process is not None
    own_job_server.process.pause()
    try:
        begun = time.monotonic()
        with pytest.raises(JobTimeout, match=f"{own_job_server.address} did not accept f "):
            client.delay("f", 1)
        assert time.monotonic() - begun < 5
    finally:
        own_job_server.process.go_on()
        client.close()


def test_lost_server__while_waiting_for_the_result(
    own_job_server: JobServer, function: str
) -> None:
    client = Client(Settings(servers=(own_job_server.address,), client_timeout=20.0))
    with ThreadPoolExecutor() as pool:
        result = pool.submit(client.submit, function)
        wait_for(lambda: _queued(own_job_server, function) == 1, "the job to be queued")
        own_job_server.stop()
        with pytest.raises(errors.ConnectionError, match=own_job_server.address):
            result.result(timeout=20)
    client.close()


def test_bad_argument__is_not_submitted(
    client: Client, job_server: JobServer, function: str
) -> None:
    with pytest.raises(PayloadEncodeError, match=r"args\[0\]\['when'\]"):
        client.delay(function, {"when": object()})
    assert _queued(job_server, function) == 0


def test_fork__the_child_has_its_own_connection(
    client: Client, job_server: JobServer, function: str
) -> None:
    client.delay(function)
    child = os.fork()
    if child == 0:  # pragma: no cover
        status = 1
        try:
            client.delay(function)
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    client.delay(function)
    assert _queued(job_server, function) == 3


def _queued(server: JobServer, function: str) -> int:
    rows = (line.split("\t") for line in server.text("status"))
    return next((int(row[1]) for row in rows if row[0] == function), 0)
