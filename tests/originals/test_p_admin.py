"""python-gearman's admin client: what it answers, in which shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gearfleet.gearman import GearmanAdminClient, GearmanClient, GearmanWorker
from gearfleet.gearman.errors import LocalProtocolError, ServerError
from gearfleet.gearman.protocol import Command
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


def test_p21__status_with_one_job_that_runs_and_two_that_wait(
    admin: GearmanAdminClient, client: GearmanClient, job_server: JobServer, function: str
) -> None:
    for data in (b"1", b"2", b"3"):
        client.submit_job(function, data, background=True)
    with Peer(job_server) as worker:
        worker.register(function)
        worker.grab_handle()
        rows = [row for row in admin.get_status() if row["task"] == function]
        # Queued is the total, as it always was; `waiting` is what it sounds like.
        assert rows == [{"task": function, "queued": 3, "running": 1, "workers": 1}]
        assert [row.waiting for row in admin.status() if row.function == function] == [2]


def test_p21__workers_and_an_id_with_spaces_among_them(
    admin: GearmanAdminClient, job_server: JobServer, function: str
) -> None:
    worker = GearmanWorker([job_server.address], client_id="a-proper-id")
    worker.register_task(function, len)
    packet = b"\0REQ\0\0\0\x16\0\0\0\x0can : odd id "  # ours would refuse it
    with running(worker), Peer(job_server) as odd:
        job_server.wait_for_workers(function)
        odd.write(packet).sync()
        (row,) = [row for row in admin.get_workers() if function in row["tasks"]]
    assert set(row) == {"file_descriptor", "ip", "client_id", "tasks"}
    assert (row["ip"], row["client_id"], row["tasks"]) == ("127.0.0.1", "a-proper-id", (function,))
    assert row["file_descriptor"].isdigit()


def test_p21__version_and_ping(admin: GearmanAdminClient) -> None:
    assert admin.get_version()
    assert 0 < admin.ping_server() < 10


def test_p09__limit_by_either_name(job_server: JobServer) -> None:
    with GearmanAdminClient([job_server.address], timeout=5.0) as admin:
        assert admin.get_version()
    with pytest.raises(TypeError, match="timeout is another name for poll_timeout"):
        GearmanAdminClient([job_server.address], 5.0, timeout=5.0)


@pytest.mark.parametrize("hosts", [None, [], ["a", "b"]])
def test_p21__exactly_one_host(hosts: list[str] | None) -> None:
    with pytest.raises(LocalProtocolError, match="exactly one"):
        GearmanAdminClient(hosts)


def test_p22__maxqueue_in_both_forms(
    admin: GearmanAdminClient, client: GearmanClient, function: str
) -> None:
    assert admin.send_maxqueue(function, 1) == "OK"
    assert client.submit_job(function, b"1", background=True).complete
    with pytest.raises(ServerError, match="QUEUE_ERROR"):
        client.submit_job(function, b"2", background=True)
    admin.maxqueue(function, 5, 5, 5)
    assert client.submit_job(function, b"3", background=True).complete


def test_p22__pid(admin: GearmanAdminClient, job_server: JobServer) -> None:
    assert job_server.process is not None
    assert admin.get_pid() == f"OK {admin.getpid()}"
    assert admin.getpid() > 0


def test_p22__jobs_by_right_and_by_old_names_and_cancel(
    admin: GearmanAdminClient, client: GearmanClient, job_server: JobServer, function: str
) -> None:
    request = client.submit_job(function, b"1", unique=None, background=True)
    (row,) = [row for row in admin.get_jobs() if row["handle"] == request.job.handle]
    assert {key: row[key] for key in ("retries", "ignored", "background")} == {
        "retries": row["queued"],
        "ignored": row["canceled"],
        "background": row["enabled"],
    }
    assert [request.unique] in admin.get_unique_jobs()
    assert admin.cancel_job(request.job.handle or "")
    assert not admin.cancel_job("H:nowhere:99")
    with Peer(job_server) as worker:
        assert worker.register(function).grab().command is Command.NO_JOB


def test_p22__what_python_gearman_never_had(
    admin: GearmanAdminClient, client: GearmanClient, function: str
) -> None:
    client.submit_job(function, b"1", priority="HIGH", background=True)
    (row,) = [row for row in admin.priority_status() if row.function == function]
    assert (row.high, row.normal, row.low) == (1, 0, 0)
    assert admin.verbose()
    admin.create_function(f"{function}.new")
    assert f"{function}.new" in {row.function for row in admin.status()}
    assert admin.drop_function(f"{function}.new")
    assert not admin.drop_function(f"{function}.new")


@pytest.mark.parametrize("graceful", [True, False])
def test_p23__shutdown_that_a_server_does_not_know_is_an_error(
    admin: GearmanAdminClient, graceful: bool
) -> None:
    with pytest.raises(ServerError, match="shut"):
        admin.send_shutdown(graceful)
    assert admin.get_version()
