"""python-gearman's worker: tasks, callbacks, hooks, updates, survival."""

from __future__ import annotations

import logging
import resource
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from gearfleet import gearman
from gearfleet.gearman import GearmanClient, GearmanJob, GearmanWorker, Timing
from gearfleet.gearman.errors import LocalProtocolError, ServerUnavailable
from tests.support.job_servers import JobServer
from tests.support.peers import Peer
from tests.support.ports import free_port
from tests.support.running import running
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def client(job_server: JobServer) -> Iterator[GearmanClient]:
    with GearmanClient([job_server.address]) as client:
        yield client


@pytest.fixture
def worker(job_server: JobServer) -> GearmanWorker:
    return GearmanWorker([job_server.address])


# P14


def test_p14__methods_give_back_what_they_were_given(worker: GearmanWorker, function: str) -> None:
    assert worker.register_task(function, len) == function
    assert worker.unregister_task(function) == function
    assert worker.unregister_task("never registered") == "never registered"
    assert worker.set_client_id("my-id") == "my-id"
    with pytest.raises(LocalProtocolError, match="white space"):
        worker.set_client_id("my id")


def test_p14__task_taken_back_is_served_no_more_and_others_are(
    client: GearmanClient, worker: GearmanWorker, job_server: JobServer, function: str
) -> None:
    worker.register_task(function, lambda job: b"first")
    worker.register_task(f"{function}.other", lambda job: b"other")
    with running(worker):
        job_server.wait_for_workers(function)
        worker.unregister_task(function)
        job_server.wait_for_workers(function, 0)
        left = client.submit_job(function, b"", wait_until_complete=False)
        assert client.submit_job(f"{function}.other", b"").result == b"other"
        assert not left.complete
        worker.register_task(function, lambda job: b"again")
        client.wait_until_jobs_completed([left], timeout=20)
        assert left.result == b"again"
        assert job_server.workers_of(function) == 1


@pytest.mark.parametrize("prefetch", [1, 4])
def test_p14__task_that_takes_itself_back_ends_its_jobs_first(
    client: GearmanClient,
    job_server: JobServer,
    function: str,
    prefetch: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """F10: said too early, it would give the job in hand to another worker."""
    caplog.set_level(logging.INFO)
    ran: list[bytes] = []

    def run(worker: GearmanWorker, job: GearmanJob) -> bytes:
        worker.unregister_task(function)
        worker.send_job_status(job, 1, 2)  # written at once, and the registration is not
        ran.append(job.data)
        return job.data

    requests = client.submit_multiple_jobs(
        [{"task": function, "data": b"%d" % index} for index in range(8)],
        wait_until_complete=False,
    )
    worker = GearmanWorker([job_server.address], prefetch=prefetch)
    worker.register_task(function, run)
    with running(worker), Peer(job_server) as other:
        other.register(function)
        wait_for(lambda: ran and job_server.workers_of(function) == 1, "the task to be taken back")
        client.wait_until_jobs_completed(requests[: len(ran)], timeout=20)
        done = [request.result for request in requests if request.complete]
        assert done == ran
        # All others are still there for the other worker, each of them once.
        for request in requests[len(ran) :]:
            assert other.grab_handle().decode() == request.job.handle
        assert other.grab().command is gearman.protocol.Command.NO_JOB
    assert "JOB_NOT_FOUND" not in caplog.text
    assert not [r for r in caplog.records if r.__dict__.get("action") == "job_not_found"]


def test_p14__registration_changes_in_another_thread_while_jobs_stream(
    client: GearmanClient, worker: GearmanWorker, job_server: JobServer, function: str
) -> None:
    worker.register_task(function, lambda job: job.data)
    stop = threading.Event()

    def change() -> None:
        while not stop.is_set():
            for number in range(5):
                worker.register_task(f"{function}.{number}", len)
            for number in range(5):
                worker.unregister_task(f"{function}.{number}")

    thread = threading.Thread(target=change)
    with running(worker):
        thread.start()
        try:
            for index in range(300):
                assert client.submit_job(function, b"%d" % index).result == b"%d" % index
        finally:
            stop.set()
            thread.join(20)
        job_server.wait_for_workers(f"{function}.4", 0)
        assert job_server.workers_of(function) == 1


def test_p14__client_id_may_change_at_work(
    worker: GearmanWorker, job_server: JobServer, function: str
) -> None:
    worker.register_task(function, len)
    with running(worker):
        job_server.wait_for_workers(function)
        worker.set_client_id("changed-at-work")
        wait_for(
            lambda: any("changed-at-work" in line for line in job_server.text("workers")),
            "the new id",
        )


# P15, P17


def _one(job: GearmanJob) -> bytes:
    return job.data


def _two(worker: GearmanWorker, job: GearmanJob) -> bytes:
    assert isinstance(worker, GearmanWorker)
    return job.data


class _Bound:
    def one(self, job: GearmanJob) -> bytes:
        return job.data

    def two(self, worker: GearmanWorker, job: GearmanJob) -> bytes:
        return _two(worker, job)


@pytest.mark.parametrize(
    "callback",
    [_one, _two, _Bound().one, _Bound().two, lambda job: job.data, lambda worker, job: job.data],
    ids=["one", "two", "bound-one", "bound-two", "lambda-one", "lambda-two"],
)
def test_p15__callbacks_with_one_or_two_parameters(
    client: GearmanClient, worker: GearmanWorker, function: str, callback: Callable[..., bytes]
) -> None:
    worker.register_task(function, callback)
    with running(worker):
        assert client.submit_job(function, b"x").result == b"x"


class TextEncoder(gearman.DataEncoder):
    @classmethod
    def encode(cls, encodable_object: Any) -> Any:
        return str(encodable_object)

    @classmethod
    def decode(cls, decodable_string: bytes) -> Any:
        return decodable_string.decode()


class TextWorker(GearmanWorker):
    data_encoder = TextEncoder


@pytest.mark.parametrize(
    ("made", "value", "encoded"),
    [
        (GearmanWorker, b"abc\0", b"\0cba"),
        (GearmanWorker, bytearray(b"abc"), b"cba"),
        (GearmanWorker, b"", b""),
        (TextWorker, "abc", b"cba"),
        (TextWorker, (1, 2), b"[2, 1]"),
    ],
    ids=["bytes", "bytearray", "empty", "text", "tuple"],
)
def test_p15__reversed_is_joined(
    job_server: JobServer,
    client: GearmanClient,
    function: str,
    made: type[GearmanWorker],
    value: Any,
    encoded: bytes,
) -> None:
    worker = made([job_server.address])
    worker.register_task(function, lambda job: reversed(value))
    with running(worker):
        assert client.submit_job(function, b"x").result == encoded


@pytest.mark.parametrize("result", [reversed("abc"), reversed([1]), iter(b"abc"), 1, "text", {}])
def test_p15__what_cannot_be_encoded_fails_the_job(
    client: GearmanClient, worker: GearmanWorker, function: str, result: Any
) -> None:
    worker.register_task(function, lambda job: result if job.data == b"bad" else b"good")
    with running(worker):
        request = client.submit_job(function, b"bad")
        assert (request.state, request.exception[:10]) == (gearman.JOB_FAILED, b"TypeError:")
        assert client.submit_job(function, b"x").result == b"good"


def test_p17__updates_are_sent_at_once_and_run_no_other_job(
    client: GearmanClient, job_server: JobServer, function: str
) -> None:
    heard = threading.Event()
    in_hand: list[int] = []
    running_now = 0

    def run(worker: GearmanWorker, job: GearmanJob) -> bytes:
        nonlocal running_now
        running_now += 1
        in_hand.append(running_now)
        worker.send_job_status(job, 1, 2, timeout=5)
        worker.send_job_data(job, b"part", poll_timeout=5)
        worker.send_job_warning(job, b"careful")
        assert worker.wait_until_updates_sent([job], timeout=5)
        if job.data == b"first":
            assert heard.wait(20)
        running_now -= 1
        return b"whole"

    worker = GearmanWorker([job_server.address], prefetch=4)
    worker.register_task(function, run)
    jobs = [{"task": function, "data": data} for data in (b"first", b"2", b"3", b"4")]
    requests = client.submit_multiple_jobs(jobs, wait_until_complete=False)
    with running(worker):
        # Other answers make the client read, and what the job said is among them.
        wait_for(lambda: client.get_job_status(requests[0]) and requests[0].warning_updates, "news")
        assert list(requests[0].data_updates) == [b"part"]
        assert not requests[0].complete
        heard.set()
        client.wait_until_jobs_completed(requests, timeout=20)
    assert in_hand == [1, 1, 1, 1]
    assert [request.result for request in requests] == [b"whole"] * 4


@pytest.mark.parametrize(
    ("send", "args", "state", "result", "exception"),
    [
        ("send_job_complete", (b"early",), gearman.JOB_COMPLETE, b"early", None),
        ("send_job_failure", (), gearman.JOB_FAILED, None, None),
        ("send_job_exception", (b"why",), gearman.JOB_FAILED, None, b"why"),
    ],
)
def test_p17__ends_that_a_callback_sends(
    client: GearmanClient,
    worker: GearmanWorker,
    function: str,
    send: str,
    args: tuple[bytes, ...],
    state: str,
    result: bytes | None,
    exception: bytes | None,
) -> None:
    def run(worker: GearmanWorker, job: GearmanJob) -> bytes:
        getattr(worker, send)(job, *args, timeout=5)
        return b"too late"

    worker.register_task(function, run)
    with running(worker):
        request = client.submit_job(function, b"x")
    assert (request.state, request.result, request.exception) == (state, result, exception)


def test_p17__both_names_of_the_limit(worker: GearmanWorker) -> None:
    job = GearmanJob(None, "H:x:1", "f", "u", b"")
    job.is_finished = True
    for call in (
        lambda **limits: worker.send_job_status(job, 1, 2, **limits),
        lambda **limits: worker.send_job_data(job, b"", **limits),
        lambda **limits: worker.send_job_warning(job, b"", **limits),
        lambda **limits: worker.send_job_complete(job, b"", **limits),
        lambda **limits: worker.send_job_failure(job, **limits),
        lambda **limits: worker.send_job_exception(job, b"", **limits),
        lambda **limits: worker.wait_until_updates_sent([], **limits),
        worker.work,
    ):
        with pytest.raises(TypeError, match="timeout is another name for poll_timeout"):
            call(timeout=1, poll_timeout=1)


# P16


class Diary(GearmanWorker):
    """Writes down which hook was called."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.notes: list[str] = []

    def on_job_execute(self, current_job: GearmanJob) -> bool:
        self.notes.append(f"execute {current_job.data.decode()}")
        return super().on_job_execute(current_job)

    def on_job_exception(self, current_job: GearmanJob, exc_info: Any) -> bool:
        self.notes.append(f"exception {exc_info[1]}")
        return super().on_job_exception(current_job, exc_info)

    def on_job_complete(self, current_job: GearmanJob, job_result: Any) -> bool:
        self.notes.append(f"complete {job_result.decode()}")
        return super().on_job_complete(current_job, job_result)

    def after_job(self) -> bool:
        self.notes.append("after job")
        return super().after_job()


def test_p16__hooks_in_their_order(
    client: GearmanClient, job_server: JobServer, function: str
) -> None:
    def run(job: GearmanJob) -> bytes:
        if job.data == b"bad":
            raise ValueError("reason")
        return b"result"

    worker = Diary([job_server.address])
    worker.register_task(function, run)
    with running(worker):
        client.submit_job(function, b"good")
        client.submit_job(function, b"bad")
    assert worker.notes == [
        *("execute good", "complete result", "after job"),
        *("execute bad", "exception reason", "after job"),
    ]


@pytest.mark.parametrize("hook", ["after_poll", "after_job"])
def test_p16__false_ends_work(
    client: GearmanClient, worker: GearmanWorker, function: str, hook: str
) -> None:
    done: list[bytes] = []
    worker.register_task(function, lambda job: done.append(job.data))
    setattr(worker, hook, lambda *args: not done)
    requests = [client.submit_job(function, b"%d" % i, background=True) for i in range(2)]
    worker.work()
    assert done == [b"0"]
    assert requests[1].complete


def test_p16__after_poll_is_called_in_time_when_nothing_happens(
    worker: GearmanWorker, function: str
) -> None:
    activities: list[bool] = []
    worker.register_task(function, len)
    worker.after_poll = lambda any_activity: activities.append(any_activity) or len(activities) < 50  # type: ignore
    worker.work(timeout=0.01)
    assert activities.count(False) > 25


# P19, P20, P30


def test_p19__starts_first_and_outlives_a_restart(function: str) -> None:
    server = JobServer("gearmand")
    worker = GearmanWorker([server.address])
    worker.register_task(function, lambda job: job.data)
    with running(worker), GearmanClient([server.address]) as client:
        for _ in range(2):
            server.start()
            server.wait_for_workers(function)
            assert client.submit_job(function, b"x").result == b"x"
            server.stop()
    server.close()


def test_p19__by_option_work_raises_when_no_server_is_left(
    own_job_server: JobServer, function: str
) -> None:
    dead = f"127.0.0.1:{free_port()}"
    with pytest.raises(ServerUnavailable, match=dead):
        GearmanWorker([dead], raise_unavailable=True).work()
    worker = GearmanWorker([dead, own_job_server.address], raise_unavailable=True)
    worker.register_task(function, len)
    with running(worker) as (thread,):
        own_job_server.wait_for_workers(function)
        assert not thread.has_left  # one of the two is enough
        own_job_server.stop()
        thread.wait()
    assert isinstance(thread.raised, ServerUnavailable)
    assert own_job_server.address in str(thread.raised)


def test_p20__one_job_at_a_time_over_all_servers(
    gearmand: JobServer, embedded: JobServer, function: str
) -> None:
    in_hand: list[int] = []
    lock = threading.Lock()

    def run(job: GearmanJob) -> bytes:
        assert lock.acquire(blocking=False)
        in_hand.append(1)
        lock.release()
        return job.data

    worker = GearmanWorker([gearmand.address, embedded.address])
    worker.register_task(function, run)
    with GearmanClient([gearmand.address, embedded.address]) as client:
        jobs = [{"task": function, "data": b"%d" % index} for index in range(100)]
        requests = client.submit_multiple_jobs(jobs, wait_until_complete=False)
        servers = {request.job.connection for request in requests}
        with running(worker):
            client.wait_until_jobs_completed(requests, timeout=20)
    assert len(servers) == 2
    assert [request.state for request in requests] == [gearman.JOB_COMPLETE] * 100
    assert len(in_hand) == 100


def test_p30__idle_worker_uses_no_cpu(job_server: JobServer, function: str) -> None:
    polls: list[bool] = []
    worker = GearmanWorker([job_server.address], timing=Timing(regrab_after=(60, 60)))
    worker.register_task(function, len)
    worker.after_poll = lambda any_activity: polls.append(any_activity) or True  # type: ignore
    with running(worker):
        job_server.wait_for_workers(function)
        used = resource.getrusage(resource.RUSAGE_SELF)
        began, before = time.monotonic(), used.ru_utime + used.ru_stime
        count = len(polls)
        threading.Event().wait(1.0)  # what is measured is that nothing happens
        used = resource.getrusage(resource.RUSAGE_SELF)
        busy = (used.ru_utime + used.ru_stime - before) / (time.monotonic() - began)
    assert len(polls) - count < 5
    assert busy < 0.05
