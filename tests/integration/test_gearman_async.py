"""The asyncio client against both job servers: jobs, streams, status, many at once."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from gearfleet.errors import InvalidClientState, JobFailed, JobTimeout, LocalProtocolError
from gearfleet.gearman import (
    JOB_COMPLETE,
    JOB_CREATED,
    JOB_FAILED,
    PRIORITY_HIGH,
    AsyncGearmanClient,
    DataEncoder,
    GearmanWorker,
)
from gearfleet.gearman.protocol import Command
from gearfleet.gearman.streams import JobData, JobProgress, JobResult, JobWarning
from tests.support.job_servers import JobServer
from tests.support.loops import in_a_loop, until
from tests.support.peers import Peer
from tests.support.processes import ROOT, clean_environment
from tests.support.running import running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from gearfleet.gearman import GearmanJob

C = Command
BIG = bytes(range(256)) * (32 * 4096)


def _serving(server: JobServer, function: str, **options: Any) -> AbstractContextManager[Any]:
    worker = GearmanWorker([server.address], **options)

    def act(worker: GearmanWorker, job: GearmanJob) -> bytes:
        if job.data == b"raise":
            raise ValueError("no")
        if job.data == b"fail":
            worker.send_job_failure(job)
        if job.data == b"stream":
            worker.send_job_data(job, b"part")
            worker.send_job_warning(job, b"careful")
            worker.send_job_status(job, 1, 2)
        return bytes(job.data)

    worker.register_task(function, act)
    return running(worker)


@pytest.fixture
def second_gearmand() -> Iterator[JobServer]:
    server = JobServer("gearmand").start()
    yield server
    server.close()


def _connections(server: JobServer) -> int:
    """Return how many connections there are, without the one that asks."""
    return len(server.text("workers")) - 1


def test_job__result_failure_and_exception(job_server: JobServer, function: str) -> None:
    async def story() -> None:
        async with AsyncGearmanClient([job_server.address]) as client:
            good, failed, raised = await asyncio.gather(
                *(client.submit_job(function, data) for data in (b"x", b"fail", b"raise"))
            )
        assert (good.state, good.result) == (JOB_COMPLETE, b"x")
        assert (failed.state, failed.exception) == (JOB_FAILED, None)
        assert (raised.state, raised.exception) == (JOB_FAILED, b"ValueError: no")

    with _serving(job_server, function):
        in_a_loop(story())


def test_background__is_complete_when_accepted(job_server: JobServer, function: str) -> None:
    async def story() -> None:
        async with AsyncGearmanClient([job_server.address]) as client:
            request = await client.submit_job(
                function, b"x", priority=PRIORITY_HIGH, background=True
            )
            assert request.complete
            assert request.state == JOB_CREATED
            with pytest.raises(LocalProtocolError, match="empty payload"):
                await client.submit_job(function, b"", background=True)
            later = await client.submit_job(
                function, b"x", background=True, when_to_run=time.time() + 3600
            )
            assert later.complete

    in_a_loop(story())


def test_accepted__first_and_completed_later(job_server: JobServer, function: str) -> None:
    async def story() -> None:
        async with AsyncGearmanClient([job_server.address]) as client:
            request = await client.submit_job(function, b"x", wait_until_complete=False)
            assert (request.state, request.timed_out) == (JOB_CREATED, False)
            await client.wait_until_jobs_completed([request], timeout=0.05)
            assert request.timed_out
            with _serving(job_server, function):
                await client.wait_until_jobs_completed([request], 30)
            assert (request.result, request.timed_out) == (b"x", False)

    in_a_loop(story())


def test_encoder__of_the_class(job_server: JobServer, function: str) -> None:
    class Json(DataEncoder):
        @classmethod
        def encode(cls, encodable_object: Any) -> bytes:
            return json.dumps(encodable_object).encode()

        @classmethod
        def decode(cls, decodable_string: bytes) -> Any:
            return json.loads(decodable_string)

    class JsonClient(AsyncGearmanClient):
        data_encoder = Json

    async def story() -> None:
        async with JsonClient([job_server.address]) as client:
            assert (await client.submit_job(function, {"a": [1]})).result == {"a": [1]}

    with _serving(job_server, function):
        in_a_loop(story())


def test_many__in_flight_on_one_connection(own_job_server: JobServer, function: str) -> None:
    async def story() -> None:
        own_job_server.wait_for_workers(function)
        before = _connections(own_job_server)
        async with AsyncGearmanClient([own_job_server.address]) as client:
            await client.submit_job(function, b"first")
            assert _connections(own_job_server) == before + 1
            payloads = [b"%d" % number for number in range(3000)]
            requests = await asyncio.gather(
                *(client.submit_job(function, data) for data in payloads)
            )
            assert [request.result for request in requests] == payloads
            bulk = await client.submit_multiple_jobs(
                [{"task": function, "data": data} for data in payloads]
            )
            assert [request.result for request in bulk] == payloads

    with _serving(own_job_server, function, prefetch=16):
        in_a_loop(story())


def test_big_payloads__among_small_ones(job_server: JobServer, function: str) -> None:
    async def story() -> None:
        async with AsyncGearmanClient([job_server.address]) as client:
            payloads = [BIG, b"small", BIG[: 1 << 20], b"", BIG[: 3 << 20]]
            requests = await asyncio.gather(
                *(client.submit_job(function, data) for data in payloads)
            )
            assert all(r.result == data for r, data in zip(requests, payloads, strict=True))

    with _serving(job_server, function):
        in_a_loop(story())


def test_coalesced__each_caller_has_the_result(job_server: JobServer, function: str) -> None:
    async def story() -> None:
        async with AsyncGearmanClient([job_server.address]) as client:
            tasks = [
                asyncio.create_task(client.submit_job(function, b"%d" % n, unique="same"))
                for n in range(3)
            ]
            await until(lambda: _queued(job_server, function) == 1, "one job to be queued")
            with _serving(job_server, function):
                assert [task.result for task in await asyncio.gather(*tasks)] == [b"0"] * 3

    in_a_loop(story())


def _queued(server: JobServer, function: str) -> int:
    rows = (line.split("\t") for line in server.text("status"))
    return next((int(row[1]) for row in rows if row[0] == function), 0)


def test_async_stream__every_event_in_order(job_server: JobServer, function: str) -> None:
    async def story() -> None:
        async with AsyncGearmanClient([job_server.address]) as client:
            stream = client.stream(function, b"stream")
            assert [event async for event in stream] == [
                JobData(b"part"),
                JobWarning(b"careful"),
                JobProgress(1, 2),
                JobResult(b"stream"),
            ]
            assert stream.request.state == JOB_COMPLETE
            with pytest.raises(JobFailed, match="no"):
                [event async for event in client.stream(function, b"raise")]

    with _serving(job_server, function):
        in_a_loop(story())


def test_async_stream__events_come_while_the_job_runs(job_server: JobServer, function: str) -> None:
    async def story(worker: Peer) -> None:
        async with AsyncGearmanClient([job_server.address]) as client:
            stream = client.stream(function, b"x", poll_timeout=30)
            first = asyncio.create_task(anext(stream))
            await until(lambda: _queued(job_server, function), "the job")
            handle = worker.grab_handle()
            worker.send(C.WORK_DATA, handle, b"one")
            assert await first == JobData(b"one")
            impatient = client.stream(function, b"y", poll_timeout=0.05)
            with pytest.raises(JobTimeout):
                await anext(impatient)
            worker.send(C.WORK_COMPLETE, handle, b"end")
            assert await anext(stream) == JobResult(b"end")

    with Peer(job_server) as worker:
        worker.register(function)
        in_a_loop(story(worker))


def test_status__of_own_and_of_other_jobs(job_server: JobServer, function: str) -> None:
    async def story() -> None:
        async with AsyncGearmanClient([job_server.address]) as client:
            request = await client.submit_job(function, b"x", wait_until_complete=False)
            await client.get_job_status(request, timeout=30)
            assert (request.status["known"], request.status["running"]) == (True, False)
            status = await client.get_status(unique=request.unique)
            assert (status.known, status.running, status.waiting) == (True, False, 1)
            by_handle = await client.get_status(handle=request.job.handle)
            assert by_handle.known
            assert not (await client.get_status(unique="nobody")).known
            # Asking has not disturbed what was under way.
            with _serving(job_server, function):
                await client.wait_until_jobs_completed([request], 30)
            assert request.result == b"x"

    in_a_loop(story())


def test_servers__in_turn_or_by_the_callers_unique(
    gearmand: JobServer, second_gearmand: JobServer, function: str
) -> None:
    servers = [gearmand, second_gearmand]

    async def story() -> None:
        async with AsyncGearmanClient([gearmand.address]) as client:
            client.add_connection(second_gearmand.address)
            for _ in range(4):
                await client.submit_job(function, b"x", background=True)
            assert [_queued(server, function) for server in servers] == [2, 2]
            named = {"task": function, "data": b"x", "unique": "named"}
            requests = await client.submit_multiple_jobs([named] * 4, background=True)
            assert len({str(request.job.connection) for request in requests}) == 1

    in_a_loop(story())


def test_client__may_be_used_in_one_loop_after_the_other(
    job_server: JobServer, function: str
) -> None:
    client = AsyncGearmanClient([job_server.address])

    async def story() -> str | None:
        request = await client.submit_job(function, b"x", background=True)
        await client.close()
        return request.job.handle

    assert in_a_loop(story()) != in_a_loop(story())


def test_client__belongs_to_one_loop_at_a_time(job_server: JobServer, function: str) -> None:
    async def story() -> None:
        async with AsyncGearmanClient([job_server.address]) as client:
            await client.submit_job(function, b"x", background=True)

            def use_it_elsewhere() -> None:
                asyncio.run(client.submit_job(function, b"x", background=True))

            with pytest.raises(InvalidClientState, match="another event loop"):
                await asyncio.to_thread(use_it_elsewhere)
            assert (await client.submit_job(function, b"x", background=True)).complete

    in_a_loop(story())


@pytest.mark.parametrize(
    "end", ["await client.close()", "raise SystemExit(3)"], ids=["closed", "forgotten"]
)
def test_program__ends_without_a_complaint(job_server: JobServer, function: str, end: str) -> None:
    """No "Event loop is closed", no task that was destroyed, whatever is still in flight."""
    program = f"""
import asyncio
from gearfleet.gearman import AsyncGearmanClient
async def main():
    client = AsyncGearmanClient([{job_server.address!r}])
    await client.submit_job({function!r}, b"1", wait_until_complete=False)
    waiting = asyncio.create_task(client.submit_job({function!r}, b"2"))
    await asyncio.sleep(0)
    await client.submit_job({function!r}, b"3", wait_until_complete=False)
    {end}
asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=clean_environment(),
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (3 * ("raise" in end), "", "")
