"""Debian's `gearman` command (libgearman) against our client and our worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gearfleet.gearman import JOB_FAILED, GearmanClient, GearmanJob, GearmanWorker
from tests.support.job_servers import require_gearman
from tests.support.processes import Process, run
from tests.support.running import running

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.job_servers import JobServer


@pytest.fixture
def gearman() -> str:
    return require_gearman()


def test_cli_client__is_served_by_our_worker(
    gearman: str, job_server: JobServer, function: str
) -> None:
    worker = GearmanWorker([job_server.address])
    worker.register_task(function, lambda job: job.data.upper())
    port = str(job_server.port)
    with running(worker):
        done = run([gearman, "-h", "127.0.0.1", "-p", port, "-f", function], stdin="shout")
    assert (done.returncode, done.stdout) == (0, "SHOUT")


class ForEveryClient(GearmanWorker):
    sends_exceptions = False


def test_cli_client__hears_that_a_callback_raised(
    gearman: str, job_server: JobServer, function: str
) -> None:
    def refuse(_job: GearmanJob) -> bytes:
        raise ValueError("not today")

    worker = ForEveryClient([job_server.address])
    worker.register_task(function, refuse)
    port = str(job_server.port)
    with running(worker), GearmanClient([job_server.address]) as client:
        command = [gearman, "-h", "127.0.0.1", "-p", port, "-f", function]
        done = run(command, stdin="x", timeout=20)
        request = client.submit_job(function, b"x", poll_timeout=20)
    assert done.returncode != 0
    assert "not today" in done.stdout + done.stderr
    assert (request.state, list(request.warning_updates)) == (
        JOB_FAILED,
        [b"ValueError: not today"],
    )


def test_cli_worker__serves_our_client(
    gearman: str, job_server: JobServer, function: str, tmp_path: Path
) -> None:
    port = str(job_server.port)
    process = Process(
        [gearman, "-h", "127.0.0.1", "-p", port, "-w", "-f", function, "--", "tr", "a-z", "A-Z"],
        log=tmp_path / "worker.log",
    )
    try:
        job_server.wait_for_workers(function)
        with GearmanClient([job_server.address]) as client:
            assert client.submit_job(function, b"shout\0", poll_timeout=20).result == b"SHOUT\0"
            data = b"x" * 30_000
            assert client.submit_job(function, data, poll_timeout=20).result == data.upper()
    finally:
        process.terminate()
