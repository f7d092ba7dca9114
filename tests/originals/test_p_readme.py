"""python-gearman's README: every example runs, with its typos mended.

`print` has become a diary. Where an example says "let's pretend", the test does it.
"""

from __future__ import annotations

import json
import logging
import pickle
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from gearfleet import gearman
from tests.support.ports import free_port
from tests.support.running import running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gearfleet.gearman import GearmanJob, GearmanJobRequest
    from tests.support.job_servers import JobServer


class BetaClient(gearman.GearmanClient):
    """The README is that of a beta, whose submits returned at once by default."""

    wait_until_complete = False


def check_request_status(job_request: GearmanJobRequest) -> str:
    if job_request.complete:
        return (
            f"Job {job_request.job.unique} finished!  "
            f"Result: {job_request.state} - {job_request.result!r}"
        )
    if job_request.timed_out:
        return f"Job {job_request.unique} timed out!"
    assert job_request.connection_failed
    return f"Job {job_request.unique} connection failed!"


T = TypeVar("T", gearman.GearmanClient, gearman.GearmanAdminClient)


class Opened:
    """Closes at the end what the examples leave open."""

    def __init__(self) -> None:
        self.stack = ExitStack()

    def __call__(self, client: T) -> T:
        return self.stack.enter_context(client)


@pytest.fixture
def opened() -> Iterator[Opened]:
    clients = Opened()
    with clients.stack:
        yield clients


@pytest.fixture
def hosts(job_server: JobServer) -> list[str]:
    """The README's two hosts, of which only one is up."""
    return [job_server.address, f"127.0.0.1:{free_port()}"]


@pytest.fixture
def served(job_server: JobServer, function: str) -> Iterator[str]:
    """The name of a task that a worker serves: it returns the data in capitals."""
    worker = gearman.GearmanWorker([job_server.address])
    worker.register_task(function, lambda worker, job: job.data.upper())
    with running(worker):
        yield function


def test_p01_client_example_1__single_job_blocking(
    opened: Opened, hosts: list[str], served: str
) -> None:
    gm_client = opened(gearman.GearmanClient(hosts))

    completed_job_request = gm_client.submit_job(
        served, b"arbitrary binary data", wait_until_complete=True
    )

    unique = completed_job_request.unique
    assert check_request_status(completed_job_request) == (
        f"Job {unique} finished!  Result: COMPLETE - b'ARBITRARY BINARY DATA'"
    )


def test_p04_client_example_2__high_priority_background(
    opened: Opened, hosts: list[str], served: str
) -> None:
    gm_client = opened(gearman.GearmanClient(hosts))

    submitted_job_request = gm_client.submit_job(
        served,
        b"arbitrary binary data",
        priority=gearman.PRIORITY_HIGH,
        background=True,
        wait_until_complete=True,
    )

    unique = submitted_job_request.unique
    assert check_request_status(submitted_job_request) == (
        f"Job {unique} finished!  Result: CREATED - None"
    )


def test_p05_client_example_3__multiple_jobs_non_blocking(
    opened: Opened, job_server: JobServer, served: str
) -> None:
    gm_client = opened(BetaClient([job_server.address]))

    list_of_jobs = [
        {"task": served, "data": b"binary data"},
        {"task": served, "data": b"other binary data"},
    ]
    submitted_requests = gm_client.submit_multiple_jobs(list_of_jobs, background=False)

    # Once we know our jobs are accepted, we can do other stuff and wait for results later
    assert all(request.state != gearman.JOB_UNKNOWN for request in submitted_requests)

    completed_requests = gm_client.wait_until_jobs_completed(submitted_requests, timeout=5.0)
    for completed_job_request in completed_requests:
        assert "finished!" in check_request_status(completed_job_request)
    assert [request.result for request in completed_requests] == [
        b"BINARY DATA",
        b"OTHER BINARY DATA",
    ]


def test_p08_client_example_4__recovering_from_failed_connections(
    opened: Opened, own_job_server: JobServer, function: str
) -> None:
    gm_client = opened(BetaClient([own_job_server.address]))

    list_of_jobs = [
        {"task": f"{function}.task_name", "data": b"task binary string"},
        {"task": f"{function}.other_task", "data": b"other binary string"},
    ]
    failed_requests = gm_client.submit_multiple_jobs(list_of_jobs, background=False)

    own_job_server.stop()
    gm_client.wait_until_jobs_completed(failed_requests, timeout=20.0)
    assert all(request.connection_failed for request in failed_requests), (
        "All connections didn't fail!"
    )
    assert "connection failed!" in check_request_status(failed_requests[0])

    # Only one of the two is served at first, so the other one times out
    own_job_server.start()
    worker = gearman.GearmanWorker([own_job_server.address])
    worker.register_task(f"{function}.task_name", lambda job: job.data)
    with running(worker):
        own_job_server.wait_for_workers(f"{function}.task_name")
        retried_requests = gm_client.submit_multiple_requests(
            failed_requests, wait_until_complete=True, timeout=1.0
        )

        timed_out_requests = [
            job_request for job_request in retried_requests if job_request.timed_out
        ]
        assert timed_out_requests == [failed_requests[1]]
        assert "timed out!" in check_request_status(timed_out_requests[0])

        # For our timed out requests, lets wait a little longer until they're complete
        worker.register_task(f"{function}.other_task", lambda job: job.data)
        retried_timed_out_requests = gm_client.submit_multiple_requests(
            timed_out_requests, wait_until_complete=True, timeout=20.0
        )
    assert [request.result for request in retried_requests] == [
        b"task binary string",
        b"other binary string",
    ]
    assert retried_timed_out_requests[0].connection_attempts == 2


class PickleDataEncoder(gearman.DataEncoder):
    @classmethod
    def encode(cls, encodable_object: Any) -> bytes:
        return pickle.dumps(encodable_object)

    @classmethod
    def decode(cls, decodable_string: bytes) -> Any:
        return pickle.loads(decodable_string)


class LoggingPickleExampleClient(gearman.GearmanClient):
    data_encoder = PickleDataEncoder

    def wait_until_jobs_completed(self, job_requests: Any, timeout: Any = None) -> Any:  # type: ignore[override]
        self.log.info("Waiting for jobs to complete...")
        output_results = super().wait_until_jobs_completed(job_requests, timeout=timeout)
        self.log.info("Finished waiting for jobs to complete...")
        return output_results


class PickleExampleWorker(gearman.GearmanWorker):
    data_encoder = PickleDataEncoder


def test_p13_client_example_5__encoder_and_logging(
    opened: Opened, job_server: JobServer, function: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="gearman")
    gm_client = opened(LoggingPickleExampleClient([job_server.address]))
    worker = PickleExampleWorker([job_server.address])
    worker.register_task(function, lambda job: {"got": job.data})
    with running(worker):
        assert gm_client.submit_job(function, {1, 2}).result == {"got": {1, 2}}
        jobs = [{"task": function, "data": None}]
        assert gm_client.submit_multiple_jobs(jobs)[0].result == {"got": None}
    said = [record.message for record in caplog.records if record.name == "gearman"]
    assert said == [
        "Waiting for jobs to complete...",
        "Finished waiting for jobs to complete...",
    ] * 2  # fmt: skip


def test_p15_worker_example_1__reverse(job_server: JobServer, function: str) -> None:
    gm_worker = gearman.GearmanWorker([job_server.address])

    def task_listener_reverse(gearman_job: GearmanJob) -> Any:
        return reversed(gearman_job.data)

    gm_worker.set_client_id("your_worker_client_id_name")
    gm_worker.register_task(function, task_listener_reverse)

    with running(gm_worker), gearman.GearmanClient([job_server.address]) as gm_client:
        assert gm_client.submit_job(function, b"abc\xff").result == b"\xffcba"
        assert any("your_worker_client_id_name" in line for line in job_server.text("workers"))


class JSONDataEncoder(gearman.DataEncoder):
    @classmethod
    def encode(cls, encodable_object: Any) -> Any:
        return json.dumps(encodable_object)

    @classmethod
    def decode(cls, decodable_string: bytes) -> Any:
        return json.loads(decodable_string)


class Connections:
    """Stands for the database of the example."""

    rollbacks = 0

    def rollback(self) -> None:
        self.rollbacks += 1


class DBRollbackJSONWorker(gearman.GearmanWorker):
    data_encoder = JSONDataEncoder
    db_connections = Connections()

    def after_poll(self, any_activity: bool) -> bool:
        # After every select loop, let's rollback our DB connections just to be safe
        continue_working = True
        self.db_connections.rollback()
        return continue_working


class JSONClient(gearman.GearmanClient):
    data_encoder = JSONDataEncoder


def test_p16_worker_example_2__encoder_and_polling(job_server: JobServer, function: str) -> None:
    gm_worker = DBRollbackJSONWorker([job_server.address])
    gm_worker.register_task(function, lambda worker, job: reversed(job.data["text"]))
    with running(gm_worker), JSONClient([job_server.address]) as gm_client:
        assert gm_client.submit_job(function, {"text": "ab\N{SNOWMAN}"}).result == "\N{SNOWMAN}ba"
    assert gm_worker.db_connections.rollbacks > 0


def test_p21_admin_example_1__checking_in_on_a_single_host(
    opened: Opened, job_server: JobServer, served: str
) -> None:
    job_server.wait_for_workers(served)
    gm_admin_client = opened(gearman.GearmanAdminClient([job_server.address]))

    status_response = gm_admin_client.get_status()
    version_response = gm_admin_client.get_version()
    workers_response = gm_admin_client.get_workers()

    assert {"task": served, "queued": 0, "running": 0, "workers": 1} in status_response
    assert version_response
    assert any(served in worker["tasks"] for worker in workers_response)
