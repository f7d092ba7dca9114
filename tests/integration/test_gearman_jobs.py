"""Jobs between our client and our worker, through both job servers."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from gearfleet.errors import GearmanError
from gearfleet.gearman import (
    JOB_COMPLETE,
    JOB_CREATED,
    JOB_FAILED,
    JOB_PENDING,
    PRIORITY_HIGH,
    PRIORITY_LOW,
    PRIORITY_NONE,
    DataEncoder,
    GearmanAdminClient,
    GearmanClient,
    GearmanJob,
    GearmanWorker,
)
from tests.support.running import running
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.job_servers import JobServer

ALL_BYTES = bytes(range(256))


@pytest.fixture
def client(job_server: JobServer) -> Iterator[GearmanClient]:
    with GearmanClient([job_server.address]) as client:
        yield client


@pytest.fixture
def worker(job_server: JobServer) -> GearmanWorker:
    return GearmanWorker([job_server.address])


def test_foreground__result_comes_back(
    client: GearmanClient, worker: GearmanWorker, function: str
) -> None:
    worker.register_task(function, lambda job: job.data[::-1])
    with running(worker):
        request = client.submit_job(function, b"abc")
    assert (request.state, request.result, request.complete) == (JOB_COMPLETE, b"cba", True)
    assert request.job.to_dict()["task"] == function


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\0\0", ALL_BYTES, b"\0RES\0\0\0\x0d"])
def test_foreground__every_byte_survives(
    client: GearmanClient, worker: GearmanWorker, function: str, data: bytes
) -> None:
    worker.register_task(function, lambda worker, job: job.data)
    with running(worker):
        assert client.submit_job(function, data).result == data


def test_foreground__32_mib_echo(
    client: GearmanClient, worker: GearmanWorker, function: str
) -> None:
    worker.register_task(function, lambda job: job.data)
    data = ALL_BYTES * (128 * 1024)
    with running(worker):
        request = client.submit_job(function, data, poll_timeout=60)
    assert request.result == data


def test_worker_sees__names_of_the_job(
    client: GearmanClient, worker: GearmanWorker, function: str
) -> None:
    seen: list[GearmanJob] = []
    worker.register_task(function, seen.append)
    with running(worker):
        request = client.submit_job(function, b"x", unique="my-unique")
    assert (seen[0].task, seen[0].unique) == (function, "my-unique")
    assert seen[0].handle == request.job.handle
    assert request.result == b""  # the callback returned None


def test_background__complete_when_accepted(
    client: GearmanClient, worker: GearmanWorker, function: str
) -> None:
    request = client.submit_job(function, b"x", background=True)
    assert (request.state, request.complete) == (JOB_CREATED, True)
    done = threading.Event()
    worker.register_task(function, lambda job: done.set())
    with running(worker):
        assert done.wait(20)


def test_priorities__high_first_low_last(
    client: GearmanClient, worker: GearmanWorker, function: str
) -> None:
    for data, priority in (
        (b"low", PRIORITY_LOW),
        (b"1", PRIORITY_NONE),
        (b"2", PRIORITY_NONE),
        (b"high", PRIORITY_HIGH),
    ):
        client.submit_job(function, data, priority=priority, background=True)
    order: list[bytes] = []
    worker.register_task(function, lambda job: order.append(job.data))
    with running(worker):
        wait_for(lambda: len(order) == 4, "four jobs")
    assert order == [b"high", b"1", b"2", b"low"]


def test_functions__first_registered_is_served_first(
    client: GearmanClient, worker: GearmanWorker, function: str
) -> None:
    order: list[str] = []
    names = [f"{function}.{name}" for name in ("first", "second", "third")]
    for name in names:
        worker.register_task(name, lambda job: order.append(job.task))
    for name in reversed(names):
        client.submit_job(name, b"x", background=True)
    with running(worker):
        wait_for(lambda: len(order) == 3, "three jobs")
    assert order == names


def test_function_registered_while_at_work__is_served(
    client: GearmanClient, worker: GearmanWorker, function: str
) -> None:
    def add(worker: GearmanWorker, job: GearmanJob) -> None:
        worker.register_task(f"{function}.late", lambda job: b"late")

    worker.register_task(function, add)
    with running(worker):
        client.submit_job(function, b"")
        assert client.submit_job(f"{function}.late", b"").result == b"late"


def test_failing_callback__client_hears_the_text_and_the_worker_goes_on(
    client: GearmanClient,
    worker: GearmanWorker,
    function: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(job: GearmanJob) -> bytes:
        if job.data == b"fail":
            raise ValueError("no such thumbnail \N{SNOWMAN}")
        return b"fine"

    worker.register_task(function, fail)
    with running(worker):
        request = client.submit_job(function, b"fail")
        assert client.submit_job(function, b"go").result == b"fine"
    assert (request.state, request.result) == (JOB_FAILED, None)
    assert request.exception.decode() == "ValueError: no such thumbnail \N{SNOWMAN}"
    failed = [record for record in caplog.records if record.__dict__.get("action") == "job_failed"]
    assert len(failed) == 1
    assert failed[0].exc_info is not None
    # F16: a second final packet would have been answered with JOB_NOT_FOUND.
    assert "job_not_found" not in {record.__dict__.get("action") for record in caplog.records}


def test_result_of_a_wrong_type__fails_that_job_only(
    client: GearmanClient, worker: GearmanWorker, function: str
) -> None:
    worker.register_task(function, lambda job: "text" if job.data == b"1" else b"bytes")
    with running(worker):
        assert client.submit_job(function, b"1").exception.startswith(b"TypeError")
        assert client.submit_job(function, b"2").result == b"bytes"


def test_updates__reach_the_client_before_the_result(
    client: GearmanClient, worker: GearmanWorker, function: str
) -> None:
    def stream(worker: GearmanWorker, job: GearmanJob) -> bytes:
        worker.send_job_status(job, 1, 2)
        worker.send_job_data(job, b"part \0")
        worker.send_job_warning(job, b"careful")
        worker.send_job_data(job, b"part 2")
        return b"whole"

    worker.register_task(function, stream)
    with running(worker):
        request = client.submit_job(function, b"x")
    assert list(request.data_updates) == [b"part \0", b"part 2"]
    assert list(request.warning_updates) == [b"careful"]
    assert (request.status["numerator"], request.status["denominator"]) == (1, 2)
    assert request.result == b"whole"


@pytest.mark.parametrize(
    ("send", "state"),
    [
        (lambda worker, job: worker.send_job_complete(job, b"early"), JOB_COMPLETE),
        (lambda worker, job: worker.send_job_failure(job), JOB_FAILED),
        (lambda worker, job: worker.send_job_exception(job, b"why"), JOB_FAILED),
    ],
)
def test_final_packet_from_the_callback__is_the_only_one(
    client: GearmanClient,
    worker: GearmanWorker,
    function: str,
    caplog: pytest.LogCaptureFixture,
    send: Any,
    state: str,
) -> None:
    answered = threading.Event()

    def end_and_go_on(worker: GearmanWorker, job: GearmanJob) -> bytes:
        send(worker, job)
        assert answered.wait(20)  # so it was sent at once
        return b"late"

    worker.register_task(function, end_and_go_on)
    with running(worker):
        request = client.submit_job(function, b"x")
        answered.set()
        client.submit_job(function, b"x")
    assert request.state == state
    assert request.result in {b"early", None}
    assert "job_not_found" not in {record.__dict__.get("action") for record in caplog.records}


def test_many_jobs__in_order_and_all_at_once(
    client: GearmanClient, worker: GearmanWorker, function: str
) -> None:
    worker.register_task(function, lambda job: job.data * 2)
    with running(worker):
        requests = client.submit_multiple_jobs(
            [{"task": function, "data": b"%d " % index} for index in range(500)]
        )
    assert [request.result for request in requests] == [b"%d " % i * 2 for i in range(500)]
    assert len({request.unique for request in requests}) == 500


def test_prefetch__all_jobs_run_once_and_in_order(
    client: GearmanClient, job_server: JobServer, function: str
) -> None:
    client.submit_multiple_jobs(
        [{"task": function, "data": b"%d" % index} for index in range(1000)], background=True
    )
    order: list[int] = []
    worker = GearmanWorker([job_server.address], prefetch=16)
    worker.register_task(function, lambda job: order.append(int(job.data)))
    with running(worker):
        wait_for(lambda: len(order) >= 1000, "a thousand jobs")
    assert order == list(range(1000))


def test_prefetch__a_result_does_not_wait_for_the_long_job_after_it(
    client: GearmanClient, job_server: JobServer, function: str
) -> None:
    first_is_back = threading.Event()

    def run(job: GearmanJob) -> bytes:
        if job.data == b"long":
            assert first_is_back.wait(20)
        return job.data

    worker = GearmanWorker([job_server.address], prefetch=8)
    worker.register_task(function, run)
    jobs = [{"task": function, "data": b"%d" % i} for i in range(20)]
    jobs.append({"task": function, "data": b"long"})
    requests = client.submit_multiple_jobs(jobs, wait_until_complete=False)
    with running(worker):
        client.wait_until_jobs_completed(requests[:-1], poll_timeout=20)
        assert requests[-2].result == b"19"
        assert not requests[-1].complete
        first_is_back.set()
        client.wait_until_jobs_completed(requests)


def test_poll_timeout__marks_and_the_result_can_be_had_later(
    client: GearmanClient, worker: GearmanWorker, function: str
) -> None:
    request = client.submit_job(function, b"x", poll_timeout=0.05)
    assert request.timed_out
    assert not request.complete
    assert request.state == JOB_CREATED
    worker.register_task(function, lambda job: b"late")
    with running(worker):
        client.wait_until_jobs_completed([request], poll_timeout=20)
    assert (request.timed_out, request.result) == (False, b"late")


def test_timed_out_requests__do_not_poison_the_client(
    client: GearmanClient, worker: GearmanWorker, function: str
) -> None:
    client.submit_job(f"{function}.other", b"x", background=True)  # connects
    for _ in range(3):
        assert client.submit_job(function, b"x", poll_timeout=0.0001).state in {
            JOB_PENDING,
            JOB_CREATED,
        }
    worker.register_task(function, lambda job: b"r")
    with running(worker):
        assert client.submit_job(function, b"y").result == b"r"


def test_coalesced_submits__both_get_the_result(
    client: GearmanClient, worker: GearmanWorker, function: str
) -> None:
    requests = client.submit_multiple_jobs(
        [{"task": function, "data": b"x", "unique": "same"} for _ in range(3)],
        wait_until_complete=False,
    )
    runs: list[GearmanJob] = []
    worker.register_task(function, lambda job: runs.append(job) or b"once")
    with running(worker):
        client.wait_until_jobs_completed(requests, poll_timeout=20)
    assert [request.result for request in requests] == [b"once"] * 3
    assert len(runs) == 1


def test_threads__share_one_client(
    client: GearmanClient, job_server: JobServer, function: str
) -> None:
    workers = [GearmanWorker([job_server.address]) for _ in range(2)]
    for worker in workers:
        worker.register_task(function, lambda job: job.data[::-1])
    wrong: list[object] = []

    def submit(name: int) -> None:
        for index in range(100):
            data = b"%d-%d-" % (name, index) * 50
            background = index % 10 == 0
            request = client.submit_job(function, data, background=background, poll_timeout=30)
            if not request.complete or (not background and request.result != data[::-1]):
                wrong.append(request)

    threads = [threading.Thread(target=submit, args=(name,)) for name in range(8)]
    with running(*workers):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert not wrong
    assert not any(thread.is_alive() for thread in threads)


def test_threads__one_that_times_out_hands_the_reading_on(
    client: GearmanClient, worker: GearmanWorker, function: str
) -> None:
    begun = threading.Event()
    results: list[bytes] = []

    def wait_long() -> None:
        begun.set()
        results.append(client.submit_job(function, b"x", poll_timeout=30).result)

    thread = threading.Thread(target=wait_long)
    thread.start()
    begun.wait(20)
    client.submit_job(function, b"y", poll_timeout=0.2)
    worker.register_task(function, lambda job: job.data)
    with running(worker):
        thread.join(30)
    assert results == [b"x"]


class JsonEncoder(DataEncoder):
    @classmethod
    def encode(cls, encodable_object: Any) -> Any:
        return json.dumps(encodable_object)

    @classmethod
    def decode(cls, decodable_string: bytes) -> Any:
        return json.loads(decodable_string)


class JsonClient(GearmanClient):
    data_encoder = JsonEncoder


class JsonWorker(GearmanWorker):
    data_encoder = JsonEncoder


def test_data_encoder__both_ways_and_an_unreadable_payload_fails_its_job(
    client: GearmanClient, job_server: JobServer, function: str
) -> None:
    worker = JsonWorker([job_server.address])
    worker.register_task(function, lambda job: {"got": job.data})
    with running(worker), JsonClient([job_server.address]) as json_client:
        assert json_client.submit_job(function, [1, None]).result == {"got": [1, None]}
        assert client.submit_job(function, b"{").state == JOB_FAILED
        assert json_client.submit_job(function, 0).result == {"got": 0}


def test_hooks__false_ends_work_after_the_result_is_delivered(
    client: GearmanClient, job_server: JobServer, function: str
) -> None:
    class OneJob(GearmanWorker):
        def after_job(self) -> bool:
            return False

    worker = OneJob([job_server.address])
    worker.register_task(function, lambda job: b"one")
    request = client.submit_job(function, b"x", wait_until_complete=False)
    worker.work()
    client.wait_until_jobs_completed([request], poll_timeout=20)
    assert request.result == b"one"


def test_hook_after_poll__called_when_nothing_happens_and_may_end_work(
    job_server: JobServer, function: str
) -> None:
    class Impatient(GearmanWorker):
        idle_polls = 0

        def after_poll(self, any_activity: bool) -> bool:
            self.idle_polls += not any_activity
            return self.idle_polls < 2

    worker = Impatient([job_server.address])
    worker.register_task(function, lambda job: b"")
    worker.work(poll_timeout=0.05)
    assert worker.idle_polls == 2


def test_hook_that_raises__fails_the_job_and_the_worker_goes_on(
    client: GearmanClient, job_server: JobServer, function: str
) -> None:
    class Broken(GearmanWorker):
        def on_job_complete(self, current_job: GearmanJob, job_result: Any) -> bool:
            if job_result == b"1":
                raise GearmanError("hook")
            return super().on_job_complete(current_job, job_result)

    worker = Broken([job_server.address])
    worker.register_task(function, lambda job: job.data)
    with running(worker):
        assert client.submit_job(function, b"1").exception == b"GearmanError: hook"
        assert client.submit_job(function, b"2").result == b"2"


def test_hook_that_sends_nothing__job_fails_instead_of_hanging(
    client: GearmanClient, job_server: JobServer, function: str
) -> None:
    class Silent(GearmanWorker):
        def on_job_execute(self, current_job: GearmanJob) -> bool:
            return True

    worker = Silent([job_server.address])
    worker.register_task(function, lambda job: b"")
    with running(worker):
        assert client.submit_job(function, b"1", poll_timeout=20).state == JOB_FAILED


def test_admin__status_workers_version_ping(
    client: GearmanClient, job_server: JobServer, function: str
) -> None:
    worker = GearmanWorker([job_server.address], client_id="gearfleet/here/worker_foo/1/-")
    worker.register_task(function, lambda job: b"")
    with running(worker), GearmanAdminClient([job_server.address]) as admin:
        job_server.wait_for_workers(function)
        assert 0 < admin.ping_server() < 10
        assert len(admin.version().numbers) == 3
        assert admin.get_version() == admin.version().text
        (row,) = [row for row in admin.status() if row.function == function]
        assert (row.total, row.running, row.workers) == (0, 0, 1)
        assert {"task": function, "queued": 0, "running": 0, "workers": 1} in admin.get_status()
        mine = [row for row in admin.workers() if row.client_id.startswith("gearfleet/here/")]
        assert [row.functions for row in mine] == [(function,)]
        assert mine[0].client_id in {row["client_id"] for row in admin.get_workers()}
