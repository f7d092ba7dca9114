"""python-gearman's client: submits, waits, lost connections, requests, status."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from gearfleet import gearman
from gearfleet.gearman.errors import (
    AmbiguousSubmit,
    ExceededConnectionAttempts,
    InvalidClientState,
    ServerError,
    ServerUnavailable,
)
from gearfleet.gearman.protocol import Command
from tests.support.peers import Peer, fresh
from tests.support.ports import free_port
from tests.support.running import running
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gearfleet.gearman import GearmanClient, GearmanJob, GearmanWorker
    from tests.support.job_servers import JobServer


@pytest.fixture
def client(job_server: JobServer) -> Iterator[GearmanClient]:
    with gearman.GearmanClient([job_server.address]) as client:
        yield client


@pytest.fixture
def echo(job_server: JobServer, function: str) -> GearmanWorker:
    worker = gearman.GearmanWorker([job_server.address])
    worker.register_task(function, lambda job: job.data)
    return worker


def jobs(function: str, *data: bytes) -> list[dict[str, Any]]:
    return [{"task": function, "data": each} for each in data]


# P2, P3, P4


def test_p02__dead_servers_are_passed_over(
    job_server: JobServer, echo: GearmanWorker, function: str
) -> None:
    dead = [("127.0.0.1", free_port()) for _ in range(2)]
    with running(echo), gearman.GearmanClient([*dead, job_server.address]) as client:
        assert [client.submit_job(function, b"x").result for _ in range(6)] == [b"x"] * 6
    with gearman.GearmanClient(dead) as client, pytest.raises(ServerUnavailable):
        client.submit_job(function, b"x")


def test_p03__waits_by_default(client: GearmanClient, echo: GearmanWorker, function: str) -> None:
    with running(echo):
        request = client.submit_job(function, b"x", None, gearman.PRIORITY_NONE, False)
    assert (request.complete, request.result) == (True, b"x")


def test_p03__class_attribute_makes_submits_return_at_once(
    job_server: JobServer, function: str
) -> None:
    class Beta(gearman.GearmanClient):
        wait_until_complete = False

    with Beta([job_server.address]) as client:
        requests = [
            client.submit_job(function, b"x"),
            *client.submit_multiple_jobs(jobs(function, b"y")),
        ]
        assert [(request.state, request.timed_out) for request in requests] == [
            (gearman.JOB_CREATED, False)
        ] * 2
        late = client.submit_job(function, b"z", wait_until_complete=True, timeout=0.05)
        assert late.timed_out


@pytest.mark.parametrize(
    ("priority", "background"),
    [
        (p, b)
        for p in (gearman.PRIORITY_NONE, gearman.PRIORITY_LOW, gearman.PRIORITY_HIGH)
        for b in (False, True)
    ],
)
def test_p04__six_kinds_of_submits(
    client: GearmanClient, echo: GearmanWorker, function: str, priority: Any, background: bool
) -> None:
    with running(echo):
        request = client.submit_job(function, b"x", priority=priority, background=background)
    assert request.complete
    assert (request.priority, request.background) == (priority, background)
    assert request.result == (None if background else b"x")


# P5, P6, P7, P9


def test_p05__any_collection_of_dicts_in_order(
    client: GearmanClient, echo: GearmanWorker, function: str
) -> None:
    with running(echo):
        for made in (list, tuple):
            requests = client.submit_multiple_jobs(made(jobs(function, b"1", b"2", b"3")))
            assert [request.result for request in requests] == [b"1", b"2", b"3"]
    assert client.submit_multiple_jobs(set()) == []
    with pytest.raises(TypeError, match="list of dicts"):
        client.submit_multiple_jobs({"task": function, "data": b"x"})  # type: ignore[arg-type]


def test_p05__background_and_retries_of_one_job(
    client: GearmanClient, echo: GearmanWorker, function: str
) -> None:
    first, second = jobs(function, b"1", b"2")
    unique = fresh().decode()
    first |= {"background": True, "priority": gearman.PRIORITY_LOW, "unique": unique}
    second |= {"max_retries": 2}
    with running(echo):
        requests = client.submit_multiple_jobs([first, second])
    assert [request.background for request in requests] == [True, False]
    assert [request.max_connection_attempts for request in requests] == [1, 3]
    assert (requests[0].unique, requests[1].result) == (unique, b"2")


def test_p06__waits_give_the_same_list_back(
    client: GearmanClient, echo: GearmanWorker, function: str
) -> None:
    submitted = client.submit_multiple_jobs(jobs(function, b"1", b"2"), wait_until_complete=False)
    assert client.wait_until_jobs_accepted(submitted) is submitted
    assert not any(request.timed_out for request in submitted)
    assert client.wait_until_jobs_completed(submitted, 0.01) is submitted
    assert all(request.timed_out for request in submitted)
    with running(echo):
        assert client.wait_until_jobs_completed(submitted) is submitted
    assert [(r.timed_out, r.result) for r in submitted] == [(False, b"1"), (False, b"2")]


def test_p07__only_unknown_requests_are_sent(
    client: GearmanClient, echo: GearmanWorker, function: str
) -> None:
    ran: list[bytes] = []
    echo.register_task(function, lambda job: ran.append(job.data))
    requests = client.submit_multiple_jobs(jobs(function, b"1"), wait_until_complete=False)
    requests.append(
        gearman.GearmanJobRequest(gearman.GearmanJob(None, None, function, "my own", b"2"))
    )
    with running(echo):
        client.submit_multiple_requests(requests, timeout=20)
        client.submit_multiple_requests(requests, timeout=20)
    assert [request.state for request in requests] == [gearman.JOB_COMPLETE] * 2
    assert ran == [b"1", b"2"]


def test_p07__one_limit_for_both_phases(client: GearmanClient, function: str) -> None:
    requests = client.submit_multiple_jobs(jobs(function, b"1", b"2"), poll_timeout=1.0)
    assert [(r.timed_out, r.state) for r in requests] == [(True, gearman.JOB_CREATED)] * 2


def test_p09__timeout_is_another_name_but_not_both(client: GearmanClient, function: str) -> None:
    request = client.submit_job(function, b"x", timeout=0.05)
    assert request.timed_out
    calls = [
        lambda **limits: client.submit_job(function, b"x", **limits),
        lambda **limits: client.submit_multiple_jobs(jobs(function, b"x"), **limits),
        lambda **limits: client.submit_multiple_requests([request], **limits),
        lambda **limits: client.wait_until_jobs_completed([request], **limits),
        lambda **limits: client.wait_until_jobs_accepted([request], **limits),
        lambda **limits: client.get_job_status(request, **limits),
        lambda **limits: client.get_job_statuses([request], **limits),
        lambda **limits: client.wait_until_job_statuses_received([request], **limits),
    ]
    for call in calls:
        call(timeout=0.05)
        with pytest.raises(TypeError, match="timeout is another name for poll_timeout"):
            call(timeout=1, poll_timeout=1)


@pytest.mark.parametrize("name", ["timeout", "poll_timeout"])
def test_p09__overrides_with_either_name_are_called(
    job_server: JobServer, echo: GearmanWorker, function: str, name: str
) -> None:
    limits: list[float | None] = []

    class ByTimeout(gearman.GearmanClient):
        def wait_until_jobs_completed(self, job_requests: Any, timeout: Any = None) -> Any:  # type: ignore[override]
            limits.append(timeout)
            return super().wait_until_jobs_completed(job_requests, timeout=timeout)

    class ByPollTimeout(gearman.GearmanClient):
        def wait_until_jobs_completed(self, job_requests: Any, poll_timeout: Any = None) -> Any:  # type: ignore[override]
            limits.append(poll_timeout)
            return super().wait_until_jobs_completed(job_requests, poll_timeout=poll_timeout)

    made = {"timeout": ByTimeout, "poll_timeout": ByPollTimeout}[name]
    with running(echo), made([job_server.address]) as client:
        assert client.submit_job(function, b"x").result == b"x"
        assert client.submit_job(function, b"x", None, None, True).complete
        assert client.submit_multiple_jobs(jobs(function, b"x"), timeout=20)[0].result == b"x"
    assert limits[:2] == [None, None]
    assert limits[2] is not None
    assert 0 < limits[2] <= 20


# P8


def test_p08__lost_after_acceptance_is_unknown_and_not_resent(
    own_job_server: JobServer, function: str
) -> None:
    with gearman.GearmanClient([own_job_server.address]) as client:
        request = client.submit_job(function, b"x", max_retries=3, wait_until_complete=False)
        own_job_server.stop()
        client.wait_until_jobs_completed([request], timeout=20)
    assert (request.state, request.connection_failed) == (gearman.JOB_UNKNOWN, True)
    assert (request.complete, request.timed_out, request.connection_attempts) == (False, False, 1)


def _swallow(listener: Any, stop: threading.Event) -> None:
    """Be a job server that reads every submit and hangs up."""
    while not stop.is_set():
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"\0RES\0\0\0\x1b\0\0\0\x0aexceptions")
            connection.recv(4096)


@pytest.fixture
def swallower() -> Iterator[str]:
    import socket

    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        thread = threading.Thread(target=_swallow, args=(listener, stop))
        thread.start()
        yield address
        stop.set()
        with socket.create_connection(listener.getsockname()) as last:
            last.sendall(b"..")
            last.recv(100)
        thread.join(20)


def test_p08__lost_before_acceptance_is_retried_as_often_as_allowed(
    swallower: str, function: str
) -> None:
    with gearman.GearmanClient([swallower]) as client:
        with pytest.raises(ExceededConnectionAttempts) as retried:
            client.submit_job(function, b"x", max_retries=2)
        assert "3 times" in str(retried.value)
        with pytest.raises(ExceededConnectionAttempts) as first:
            client.submit_job(function, b"x")
        assert isinstance(first.value, AmbiguousSubmit)


def test_p08__many_jobs_do_not_raise_for_the_lost_ones(swallower: str, function: str) -> None:
    with gearman.GearmanClient([swallower]) as client:
        (request,) = client.submit_multiple_jobs(jobs(function, b"x"), max_retries=1)
    assert (request.state, request.connection_failed) == (gearman.JOB_UNKNOWN, True)
    assert request.connection_attempts == 2
    assert isinstance(request.error, AmbiguousSubmit)


# P10, P11, P12


def test_p10__attributes_of_a_request(
    client: GearmanClient, echo: GearmanWorker, function: str
) -> None:
    def run(worker: GearmanWorker, job: GearmanJob) -> bytes:
        worker.send_job_data(job, b"part")
        worker.send_job_warning(job, b"careful")
        worker.send_job_status(job, 1, 3)
        return b"whole"

    echo.register_task(function, run)
    with running(echo):
        request = client.submit_job(function, b"x", max_retries=2)
    assert request.gearman_job is request.job
    assert request.unique == request.job.unique
    assert (request.connection_attempts, request.max_connection_attempts) == (1, 3)
    assert (request.result, request.exception) == (b"whole", None)
    assert list(request.data_updates) == [b"part"]
    assert list(request.warning_updates) == [b"careful"]
    assert request.server_status is request.status
    assert set(request.status) == {
        *("handle", "known", "running", "numerator", "denominator"),
        *("time_received", "last_time_received"),
    }
    assert list(request.status_updates) == [(1, 3)]
    request.reset()
    assert (request.state, request.result, request.complete) == (gearman.JOB_UNKNOWN, None, False)
    assert not request.data_updates
    assert not request.status_updates


@pytest.mark.parametrize(
    ("state", "background", "complete"),
    [
        (gearman.JOB_UNKNOWN, True, False),
        (gearman.JOB_PENDING, True, False),
        (gearman.JOB_CREATED, False, False),
        (gearman.JOB_CREATED, True, True),
        (gearman.JOB_COMPLETE, False, True),
        (gearman.JOB_FAILED, False, True),
        ("COMPLETE or so", False, False),
    ],
)
def test_p10__complete_is_exact(state: str, background: bool, complete: bool) -> None:
    job = gearman.GearmanJob(None, None, "f", "u", b"")
    request = gearman.GearmanJobRequest(job, background=background)
    request.state = state
    assert request.complete is complete


def test_p11__names_of_a_job_on_both_sides(
    client: GearmanClient, echo: GearmanWorker, function: str
) -> None:
    seen: list[dict[str, Any]] = []
    echo.register_task(function, lambda job: seen.append(job.to_dict()))
    with running(echo):
        request = client.submit_job(function, b"x", unique=b"bytes will do")
    names = {"task": function, "job_handle": request.job.handle, "unique": "bytes will do"}
    assert seen == [{**names, "data": b"x"}]
    assert request.job.to_dict() == seen[0]


@pytest.mark.parametrize("unique", [None, fresh()], ids=["its-own", "the-callers"])
def test_p12__status_of_a_job_that_waits_runs_and_has_ended(
    client: GearmanClient, echo: GearmanWorker, function: str, unique: bytes | None
) -> None:
    told, go_on = threading.Event(), threading.Event()

    def run(worker: GearmanWorker, job: GearmanJob) -> None:
        worker.send_job_status(job, 1, 4)
        told.set()
        assert go_on.wait(20)

    echo.register_task(function, run)
    request = client.submit_job(function, b"x", unique, background=True)
    assert client.get_job_status(request, 20) is request
    assert (request.status["known"], request.status["running"]) == (True, False)
    with running(echo):
        assert told.wait(20)
        # The job server reads WORK_STATUS and our question from different connections.
        wait_for(lambda: client.get_job_status(request).status["denominator"], "the status")
        assert (request.status["running"], request.timed_out) == (True, False)
        assert list(request.status_updates) == [(1, 4)]
        assert request.status["handle"] == request.job.handle
        assert request.status["time_received"] >= request.status["last_time_received"]
        go_on.set()
        wait_for(lambda: not client.get_job_status(request).status["known"], "the end of the job")


def test_p12__many_at_once_while_others_wait(client: GearmanClient, function: str) -> None:
    requests = client.submit_multiple_jobs(
        jobs(function, b"1", b"2", b"3"), wait_until_complete=False
    )
    assert client.get_job_statuses(requests, timeout=20) == requests
    assert all(request.status["known"] for request in requests)
    assert client.wait_until_job_statuses_received(requests) == requests


def test_p12__what_cannot_be_asked(
    client: GearmanClient, job_server: JobServer, function: str
) -> None:
    job = gearman.GearmanJob(None, None, function, "u", b"")
    with pytest.raises(InvalidClientState, match="No job server has accepted"):
        client.get_job_status(gearman.GearmanJobRequest(job))
    request = client.submit_job(function, b"x", background=True)
    with (
        gearman.GearmanClient() as other,
        pytest.raises(InvalidClientState, match="another client"),
    ):
        other.get_job_status(request)


def test_p12__server_that_went_away(own_job_server: JobServer, function: str) -> None:
    with gearman.GearmanClient([own_job_server.address]) as client:
        request = client.submit_job(function, b"x", background=True)
        own_job_server.stop()
        with pytest.raises(ServerUnavailable):
            client.get_job_status(request, timeout=20)


# P13, P18, P28


class Upper(gearman.DataEncoder):
    @classmethod
    def encode(cls, encodable_object: Any) -> Any:
        return encodable_object.upper()

    @classmethod
    def decode(cls, decodable_string: bytes) -> Any:
        return decodable_string.decode("ascii")


class UpperClient(gearman.GearmanClient):
    data_encoder = Upper


def test_p13__text_goes_as_utf8_and_errors_concern_one_request(
    job_server: JobServer, echo: GearmanWorker, function: str
) -> None:
    echo.register_task(function, lambda job: b"\xff" if job.data == b"BAD" else job.data)
    with running(echo), UpperClient([job_server.address]) as client:
        assert client.submit_job(function, "text").result == "TEXT"
        with pytest.raises(AttributeError):
            client.submit_job(function, 1)
        request = client.submit_job(function, "bad")
        assert (request.state, request.result) == (gearman.JOB_FAILED, None)
        assert "UnicodeDecodeError" in str(request.error)
        assert client.submit_job(function, "again").result == "AGAIN"


def test_p13__default_takes_bytes_only(client: GearmanClient, function: str) -> None:
    with pytest.raises(TypeError, match="Expecting byte string"):
        client.submit_job(function, "text")


def test_p18__exception_is_the_only_end_and_reaches_the_client(
    client: GearmanClient, echo: GearmanWorker, function: str, caplog: pytest.LogCaptureFixture
) -> None:
    def run(job: GearmanJob) -> bytes:
        raise ValueError("no such image")

    echo.register_task(function, run)
    with running(echo):
        requests = client.submit_multiple_jobs(jobs(function, b"1", b"2", b"3"), timeout=20)
    assert [request.state for request in requests] == [gearman.JOB_FAILED] * 3
    assert requests[2].exception == b"ValueError: no such image"
    assert not [record for record in caplog.records if "JOB_NOT_FOUND" in record.message]


def test_p18__fail_of_a_client_that_did_not_ask_for_exceptions(
    client: GearmanClient, job_server: JobServer, function: str
) -> None:
    # gearmand leaves a NUL behind the handle then; see also the unit tests of the session.
    with Peer(job_server) as other, Peer(job_server) as worker:
        other.submit(function, unique=b"shared", command=Command.SUBMIT_JOB)
        request = client.submit_job(function, b"x", "shared", wait_until_complete=False)
        worker.register(function)
        worker.send(Command.WORK_EXCEPTION, worker.grab_handle(), b"why")
        client.wait_until_jobs_completed([request], timeout=20)
        assert other.receive().command is Command.WORK_FAIL
    assert (request.state, request.exception) == (gearman.JOB_FAILED, b"why")


def test_p28__full_queue_fails_the_submit_in_turn(
    client: GearmanClient, job_server: JobServer, function: str
) -> None:
    with Peer(job_server) as worker, Peer(job_server) as admin:
        worker.register(function)
        admin.say(f"maxqueue {function} 2")
        requests = client.submit_multiple_jobs(
            jobs(function, b"1", b"2", b"3") + jobs(f"{function}.other", b"4"), True
        )
        assert [request.state for request in requests] == [
            *[gearman.JOB_CREATED] * 2,
            gearman.JOB_FAILED,
            gearman.JOB_CREATED,
        ]
        assert isinstance(requests[2].error, ServerError)
        assert requests[2].error.code == "QUEUE_ERROR"
        assert worker.grab_handle().decode() == requests[0].job.handle
        with pytest.raises(ServerError, match="QUEUE_ERROR"):
            client.submit_job(function, b"5", background=True)
        assert client.submit_job(f"{function}.other", b"6", background=True).complete
