"""Our admin client against both job servers: every text command, typed and as python-gearman had it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from gearfleet.errors import (
    FunctionInUse,
    InvalidAdminClientState,
    LocalProtocolError,
    ProtocolError,
    ServerError,
)
from gearfleet.gearman import (
    PRIORITY_HIGH,
    PRIORITY_LOW,
    GearmanAdminClient,
    GearmanClient,
    GearmanWorker,
    KnownJob,
    PriorityStatus,
)
from tests.support.listeners import Listener, saying
from tests.support.peers import Peer
from tests.support.running import running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.job_servers import JobServer


@pytest.fixture
def admin(job_server: JobServer) -> Iterator[GearmanAdminClient]:
    with GearmanAdminClient([job_server.address]) as admin:
        yield admin


@pytest.fixture
def client(job_server: JobServer) -> Iterator[GearmanClient]:
    with GearmanClient([job_server.address]) as client:
        yield client


def row_of(admin: GearmanAdminClient, handle: str | None) -> KnownJob | None:
    return next((row for row in admin.jobs() if row.handle == handle), None)


def test_server__its_process_and_log_level(
    admin: GearmanAdminClient, job_server: JobServer
) -> None:
    assert job_server.process is not None
    assert admin.getpid() == job_server.process.pid
    assert admin.get_pid() == f"OK {job_server.process.pid}"
    assert admin.verbose() == "ERROR"


def test_priority_status__counts_what_waits(
    admin: GearmanAdminClient, client: GearmanClient, function: str
) -> None:
    for priority in (PRIORITY_HIGH, PRIORITY_HIGH, PRIORITY_HIGH, None, None, PRIORITY_LOW):
        client.submit_job(function, b"x", priority=priority, background=True)
    (row,) = [row for row in admin.priority_status() if row.function == function]
    assert row == PriorityStatus(function=function, high=3, normal=2, low=1, workers=0)
    assert row.waiting == 6


def test_jobs__typed_and_with_the_old_keys(
    admin: GearmanAdminClient, client: GearmanClient, function: str
) -> None:
    request = client.submit_job(function, b"x", unique=f"{function}"[-60:], background=True)
    handle = request.job.handle
    assert handle is not None
    assert row_of(admin, handle) == KnownJob(
        handle=handle, retries=0, ignored=False, background=True
    )
    assert {
        "handle": handle, "retries": 0, "ignored": 0, "background": 1,
        "queued": 0, "canceled": 0, "enabled": 1,
    } in admin.get_jobs()  # fmt: skip
    assert request.unique in admin.unique_jobs()
    assert [request.unique] in admin.get_unique_jobs()


def test_unique_jobs__one_that_is_a_dot_leaves_the_next_answers_alone(
    own_job_server: JobServer, function: str
) -> None:
    address = own_job_server.address
    with GearmanClient([address]) as client, GearmanAdminClient([address]) as admin:
        for unique in (".", "after-the-dot"):
            client.submit_job(function, b"x", unique=unique, background=True)
        admin.unique_jobs()
        assert admin.version().numbers


def test_cancel__only_what_is_there(
    admin: GearmanAdminClient, client: GearmanClient, function: str
) -> None:
    request = client.submit_job(function, b"x", background=True)
    assert request.job.handle is not None
    assert admin.cancel_job(request.job.handle) is True
    row = row_of(admin, request.job.handle)
    assert row is None or row.ignored
    assert admin.cancel_job("H:nowhere:1") is False
    for bad in ("", "two words", "H\nshutdown", "x" * 64):
        with pytest.raises(LocalProtocolError, match="no handle"):
            admin.cancel_job(bad)


def test_function__create_and_drop_with_every_letter(
    admin: GearmanAdminClient, function: str
) -> None:
    admin.create_function(function)
    assert function in [row.function for row in admin.status()]
    assert admin.drop_function(function) is True
    assert function not in [row.function for row in admin.status()]
    assert admin.drop_function(function) is False


def test_drop__refused_while_there_are_jobs_or_workers(
    admin: GearmanAdminClient, client: GearmanClient, job_server: JobServer, function: str
) -> None:
    request = client.submit_job(function, b"x", wait_until_complete=False)
    with pytest.raises(FunctionInUse, match="1 jobs and 0 workers"):
        admin.drop_function(function)
    # gearmand might drop its namesake instead, and orphan the job.
    assert admin.drop_function(function.upper()) is False
    admin.create_function(function.upper())
    with pytest.raises(FunctionInUse, match="1 jobs"):
        admin.drop_function(function.upper())
    worker = GearmanWorker([job_server.address])
    worker.register_task(function, lambda job: job.data)
    with running(worker):
        client.wait_until_jobs_completed([request], poll_timeout=20)
        assert request.result == b"x"
        with pytest.raises(FunctionInUse, match="0 jobs and 1 workers"):
            admin.drop_function(function)


def submits(client: GearmanClient, function: str, priority: str | None = None) -> bool:
    try:
        return client.submit_job(function, b"x", priority=priority, background=True).complete
    except ServerError as error:
        assert "Job queue is full" in str(error)
        return False


def test_maxqueue__one_limit_and_none(
    admin: GearmanAdminClient, client: GearmanClient, function: str
) -> None:
    admin.maxqueue(function, 2)  # not known before: it is created
    assert [submits(client, function) for _ in range(3)] == [True, True, False]
    admin.maxqueue(function)
    assert submits(client, function)
    assert admin.send_maxqueue(function, 3) == "OK"
    assert not submits(client, function)


def test_maxqueue__a_limit_for_each_priority(
    admin: GearmanAdminClient, client: GearmanClient, function: str
) -> None:
    admin.maxqueue(function, 3, 2, 1)
    assert submits(client, function, PRIORITY_LOW)
    assert not submits(client, function, PRIORITY_LOW)
    assert submits(client, function)
    assert not submits(client, function)
    assert submits(client, function, PRIORITY_HIGH)
    assert not submits(client, function, PRIORITY_HIGH)


@pytest.mark.parametrize("limits", [(1, 2), (1, 2, 3, 4), (-1,), (2**31,)])
def test_maxqueue__refuses_what_gearmand_takes_otherwise(
    admin: GearmanAdminClient, function: str, limits: tuple[int, ...]
) -> None:
    with pytest.raises(LocalProtocolError):
        admin.maxqueue(function, *limits)
    assert function not in [row.function for row in admin.status()]


def test_names__that_would_be_other_commands_are_refused(admin: GearmanAdminClient) -> None:
    for bad in ("", "two words", "f\r\nstatus", "x" * 256):
        for method in (admin.create_function, admin.drop_function, admin.maxqueue):
            with pytest.raises(LocalProtocolError):
                method(bad)


@pytest.mark.parametrize(("graceful", "number"), [(True, "SIGUSR1"), (False, "SIGTERM")])
def test_shutdown__refused_with_the_reason(
    admin: GearmanAdminClient, graceful: bool, number: str
) -> None:
    with pytest.raises(ServerError, match=number):
        admin.send_shutdown(graceful)
    assert admin.version()


def test_foreign_names__do_not_break_the_rest(
    admin: GearmanAdminClient, gearmand: JobServer, function: str
) -> None:
    with Peer(gearmand) as foreign, GearmanAdminClient([gearmand.address]) as asking:
        name = b"\tab \xff\t1\t"
        foreign.write(b"\0REQ\0\0\0\x01" + len(name).to_bytes(4) + name)
        foreign.write(b"\0REQ\0\0\0\x16\0\0\0\x07a : b\nc").sync()
        asking.create_function(function)
        assert function in [row.function for row in asking.status()]
        assert function in [row.function for row in asking.priority_status()]
        assert asking.workers()


def asked(answer: bytes, method: str, *args: object, timeout: float = 10.0) -> object:
    with saying(answer) as address, GearmanAdminClient([address], poll_timeout=timeout) as admin:
        return getattr(admin, method)(*args)


@pytest.mark.parametrize("method", ["jobs", "priority_status", "unique_jobs", "status"])
def test_old_server__that_has_no_such_table_is_said_at_once(method: str) -> None:
    began = time.monotonic()
    with pytest.raises(ServerError, match="UNKNOWN_COMMAND"):
        asked(b"ERR UNKNOWN_COMMAND Unknown+server+command\r\n", method)
    assert time.monotonic() - began < 5


def test_strange_answers__are_not_taken_for_success() -> None:
    for method in ("create_function", "cancel_job", "maxqueue"):
        with pytest.raises(InvalidAdminClientState, match="OKAY"):
            asked(b"OKAY\r\n", method, "f")
    with pytest.raises(InvalidAdminClientState, match="x12"):
        asked(b"OK x12\r\n", "getpid")


def test_endless_answer__is_given_up() -> None:
    def talk(listener: Listener) -> None:
        connection = listener.accept()
        connection.recv(4096)
        while True:
            connection.sendall(b"H:x:1\t0\t0\t0\n" * 10_000)

    with (
        Listener(talk) as listener,
        GearmanAdminClient([listener.address], 60) as admin,
        pytest.raises(ProtocolError, match="does not stop"),
    ):
        admin.jobs()
