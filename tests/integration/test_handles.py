"""What a handle tells of its job: by the job server, and by the result store."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from gearfleet import Client
from gearfleet.config import Settings
from gearfleet.errors import JobFailed, JobTimeout
from gearfleet.gearman import GearmanWorker
from gearfleet.outgoing import new_id
from gearfleet.results import TaskRecord, open_store
from gearfleet.tasks import SubmitOptions, bind
from gearfleet.tasks.failure import Failure
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.job_servers import JobServer


@pytest.fixture
def client(job_server: JobServer, tmp_path: Path) -> Iterator[Client]:
    settings = Settings(
        servers=(job_server.address,), client_timeout=20.0, results=f"sqlite:///{tmp_path / 'r'}"
    )
    client = Client(settings)
    with bind(client):
        yield client
    client.close()


def keep(client: Client, *records: TaskRecord) -> None:
    store = open_store(client.settings)
    assert store is not None
    store.save(records)


@contextmanager
def worker_that_waits(client: Client, function: str) -> Iterator[threading.Event]:
    """Serve one job, which is at 3 of 10 until the event is set."""
    go_on = threading.Event()

    def work(worker: GearmanWorker, job: Any) -> bytes:
        worker.send_job_status(job, 3, 10)
        go_on.wait(20)
        return b""

    worker = GearmanWorker(list(client.settings.servers))
    worker.register_task(function, work)
    thread = threading.Thread(target=worker.work)
    thread.start()
    try:
        yield go_on
    finally:
        go_on.set()
        worker.shutdown()
        thread.join(20)


def test_status__queued_running_unknown(client: Client, function: str) -> None:
    handle = client.delay(function)
    assert str(handle.status()) == "queued"
    with worker_that_waits(client, function) as go_on:
        wait_for(lambda: handle.status().state == "running", "the job to run")
        wait_for(lambda: handle.status().numerator == 3, "its progress")
        assert str(handle.status()) == "running 3/10"
        go_on.set()
        wait_for(lambda: handle.status().state == "unknown", "the job to end")


def test_status__of_a_job_for_later(client: Client, function: str) -> None:
    handle = client.enqueue(function, (), {}, SubmitOptions(after=60))
    assert handle.status().state == "queued"


def test_status__of_the_attempt_that_follows(client: Client, function: str) -> None:
    job = new_id()
    following = client.enqueue(function, (), {}, SubmitOptions(id=job))
    before = replace(following, unique=f"{job}.0")
    assert before.status().state == "unknown"
    keep(client, TaskRecord(id=job, task=function, state="retry", attempt=0))
    assert before.status().state == "queued"


def test_result__of_the_store(client: Client, function: str) -> None:
    handle = client.delay(function)
    assert not handle.wait(0.01)
    with pytest.raises(JobTimeout, match=rf"No result of {function} within 0.01 s"):
        handle.result(0.01)
    keep(client, TaskRecord(id=handle.id, task=function, result=(1, {2})))
    assert handle.wait()
    assert handle.result() == (1, {2})
    assert asyncio.run(handle.aresult(5)) == (1, {2})


def test_result__raises_what_became_of_the_job(client: Client, function: str) -> None:
    handle = client.delay(function)
    lost = Failure(type="LookupError", message="no such image")
    keep(client, TaskRecord(id=handle.id, task=function, state="failure", failure=lost))
    assert handle.wait(5)
    for ask in (handle.result, lambda wait: asyncio.run(handle.aresult(wait))):
        with pytest.raises(JobFailed, match="LookupError: no such image") as caught:
            ask(5)
        assert caught.value.failure == lost
