"""The facts F1 to F16 of docs/reference/gearmand.md, on the real gearmand.

Where it can, a test first shows the trap over a bare connection and then that
our client, worker or admin client does not fall into it.
"""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from gearfleet.errors import JobInterrupted, LocalProtocolError, ServerUnavailable
from gearfleet.gearman import (
    JOB_FAILED,
    PRIORITY_LOW,
    TLS,
    Address,
    GearmanAdminClient,
    GearmanClient,
    GearmanJob,
    GearmanWorker,
    Timing,
)
from gearfleet.gearman.protocol import Command, encode
from tests.support.job_servers import JobServer
from tests.support.peers import Peer, fresh
from tests.support.running import running
from tests.support.taps import Tap
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

C = Command
FINAL = {C.WORK_COMPLETE, C.WORK_FAIL, C.WORK_EXCEPTION}


@pytest.fixture
def client(gearmand: JobServer) -> Iterator[GearmanClient]:
    with GearmanClient([gearmand.address]) as client:
        yield client


@pytest.fixture
def admin(gearmand: JobServer) -> Iterator[GearmanAdminClient]:
    with GearmanAdminClient([gearmand.address]) as admin:
        yield admin


@pytest.fixture
def tap(gearmand: JobServer) -> Iterator[Tap]:
    with Tap(gearmand) as tap:
        yield tap


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[JobServer]:
    """A gearmand that keeps background jobs in a file."""
    server = JobServer(
        "gearmand", ["-q", "libsqlite3", f"--libsqlite3-db={tmp_path / 'queue.db'}"]
    ).start()
    yield server
    server.close()


def echo(address: str, function: str, **options: object) -> GearmanWorker:
    worker = GearmanWorker([address], **options)  # type: ignore[arg-type]
    worker.register_task(function, lambda job: job.data)
    return worker


def collecting(
    address: str, function: str, **options: object
) -> tuple[GearmanWorker, list[GearmanJob]]:
    jobs: list[GearmanJob] = []
    worker = GearmanWorker([address], **options)  # type: ignore[arg-type]
    worker.register_task(function, jobs.append)
    return worker, jobs


def restart(server: JobServer, number: signal.Signals = signal.SIGTERM) -> None:
    assert server.process is not None
    server.process.signal(number)
    server.process.wait()
    server.start()


def wait_until_left(admin: GearmanAdminClient, handle: str | None) -> None:
    wait_for(
        lambda: any(row.handle == handle and row.ignored for row in admin.jobs()),
        "the client to be gone",
    )


def test_f01__a_job_is_never_attached_to_one_that_somebody_left(
    gearmand: JobServer, admin: GearmanAdminClient, client: GearmanClient, function: str
) -> None:
    with Peer(gearmand) as leaving, Peer(gearmand) as bare:
        leaving.submit(function, unique=b"shared", command=C.SUBMIT_JOB)
        leaving.close()
        wait_for(lambda: any(row.ignored for row in admin.jobs()), "the client to be gone")
        lost = bare.submit(function, unique=b"shared", command=C.SUBMIT_JOB)
        with GearmanClient([gearmand.address]) as leaver:
            left = leaver.submit_job(function, b"left", poll_timeout=0.1)
            assert left.timed_out
        wait_until_left(admin, left.job.handle)
        with running(echo(gearmand.address, function)):
            assert client.submit_job(function, b"again", poll_timeout=20).result == b"again"
        # The trap is there: this client would wait for ever.
        assert bare.ask(C.GET_STATUS, lost).args[1] == b"0"
        bare.sync()


def test_f01__a_timed_out_job_still_has_its_client(
    gearmand: JobServer, client: GearmanClient, function: str
) -> None:
    first = client.submit_job(function, b"x", unique="mine", poll_timeout=0.1)
    assert first.timed_out
    second = client.submit_job(function, b"x", unique="mine", poll_timeout=0.1)
    assert second.job.handle == first.job.handle
    with running(echo(gearmand.address, function)):
        client.wait_until_jobs_completed([first, second], poll_timeout=20)
    assert (first.result, second.result) == (b"x", b"x")


def test_f02__foreground_and_background_do_not_meet(
    gearmand: JobServer, admin: GearmanAdminClient, client: GearmanClient, function: str
) -> None:
    with GearmanClient([gearmand.address]) as leaver:
        left = leaver.submit_job(function, b"foreground", poll_timeout=0.1)
        leaver.submit_job(function, b"background", background=True)
    wait_until_left(admin, left.job.handle)
    worker, jobs = collecting(gearmand.address, function)
    with running(worker):
        wait_for(lambda: jobs, "the background job")
    assert [job.data for job in jobs] == [b"background"]


def test_f02__one_client_refuses_to_mix_them(client: GearmanClient, function: str) -> None:
    waiting = client.submit_job(function, b"x", unique="mine", wait_until_complete=False)
    with pytest.raises(LocalProtocolError, match="background"):
        client.submit_job(function, b"x", unique="mine", background=True)
    assert not waiting.complete
    assert client.submit_job(function, b"x", unique="another", background=True).complete


def test_f03__a_cancelled_running_job_ends_twice_and_disturbs_nobody(
    gearmand: JobServer, admin: GearmanAdminClient, client: GearmanClient, function: str
) -> None:
    began, go_on = threading.Event(), threading.Event()

    def work(job: GearmanJob) -> bytes:
        if job.data == b"first":
            began.set()
            assert go_on.wait(20)
        return job.data

    worker = GearmanWorker([gearmand.address])
    worker.register_task(function, work)
    with running(worker):
        first = client.submit_job(function, b"first", wait_until_complete=False)
        assert began.wait(20)
        assert first.job.handle is not None
        assert admin.cancel_job(first.job.handle)
        client.wait_until_jobs_completed([first], poll_timeout=20)
        assert first.state == JOB_FAILED
        go_on.set()
        results = [client.submit_job(function, b"%d" % n, poll_timeout=20).result for n in range(9)]
    assert results == [b"%d" % n for n in range(9)]
    assert first.state == JOB_FAILED


def test_f04__no_time_limit_of_gearmands_is_ever_set(
    tap: Tap, client: GearmanClient, function: str
) -> None:
    with pytest.raises(LocalProtocolError, match="keep the limit in the worker"):
        encode(C.CAN_DO_TIMEOUT, b"f", b"1000")

    def slow(job: GearmanJob) -> bytes:
        threading.Event().wait(float(job.data))  # longer than gearmand's shortest limit
        return job.data

    worker = GearmanWorker([tap.address])
    worker.register_task(function, slow)
    with running(worker):
        assert client.submit_job(function, b"1.2", poll_timeout=20).result == b"1.2"
        assert client.submit_job(function, b"0", poll_timeout=20).result == b"0"
    assert C.CAN_DO_TIMEOUT not in tap.commands


def test_f05__a_job_that_falls_due_is_found_by_a_sleeping_worker(
    gearmand: JobServer, client: GearmanClient, function: str
) -> None:
    done_at: list[float] = []
    worker = GearmanWorker([gearmand.address], timing=Timing(regrab_after=(0.2, 0.4)))
    worker.register_task(function, lambda job: done_at.append(time.time()))
    with running(worker):
        gearmand.wait_for_workers(function)
        due = int(time.time()) + 2
        client.submit_job(function, b"x", background=True, when_to_run=due)
        wait_for(lambda: done_at, "the delayed job", timeout=10)
    assert done_at[0] >= due


def test_f05__the_period_of_looking_is_not_off_by_default() -> None:
    assert max(Timing().regrab_after) <= 10


def test_f06__a_waiting_job_does_not_make_the_worker_spin(
    tap: Tap, client: GearmanClient, function: str
) -> None:
    client.submit_job(function, b"x", background=True, when_to_run=time.time() + 3600)
    client.submit_job(function, b"low", background=True, priority=PRIORITY_LOW)
    with running(echo(tap.address, function)):
        wait_for(lambda: C.NOOP in [answer.command for answer in tap.answers], "the first NOOP")
        threading.Event().wait(1.0)  # what is counted is what happens in a second
        # A worker that did not rest would send thousands.
        assert tap.commands.count(C.GRAB_JOB_UNIQ) < 40


def test_f07__an_empty_background_payload_is_refused_and_the_queue_stays_readable(
    sqlite: JobServer, function: str
) -> None:
    with GearmanClient([sqlite.address]) as client:
        with pytest.raises(LocalProtocolError, match="at least one byte"):
            client.submit_job(function, b"", background=True)
        with pytest.raises(LocalProtocolError, match="at least one byte"):
            client.submit_multiple_jobs([{"task": function, "data": b""}], background=True)
        client.submit_job(function, b"\0", background=True)
    restart(sqlite, signal.SIGKILL)
    worker, jobs = collecting(sqlite.address, function)
    with running(worker):
        wait_for(lambda: jobs, "the stored job")
    assert [job.data for job in jobs] == [b"\0"]


def test_f08__a_unique_of_64_bytes_is_refused_and_one_of_63_harms_nothing(
    gearmand: JobServer, client: GearmanClient, function: str
) -> None:
    with pytest.raises(LocalProtocolError, match="64 bytes long, 63 are allowed"):
        client.submit_job(function, b"data", unique="u" * 64, background=True)
    client.submit_job(function, b"data", unique="u" * 63, background=True)
    worker, jobs = collecting(gearmand.address, function)
    with running(worker):
        wait_for(lambda: jobs, "the job")
    assert [(job.unique, job.data) for job in jobs] == [("u" * 63, b"data")]


def test_f09__stored_jobs_do_not_overwrite_each_other(sqlite: JobServer, function: str) -> None:
    with GearmanClient([sqlite.address]) as client:
        for unique in (None, "", b"", None):
            client.submit_job(function, b"x", unique=unique, background=True)
        client.submit_multiple_jobs([{"task": function, "data": b"x"}] * 3, background=True)
    restart(sqlite)
    worker, jobs = collecting(sqlite.address, function)
    with running(worker):
        wait_for(lambda: len(jobs) == 7, "every stored job")


def test_f10__a_draining_worker_keeps_its_job(
    tap: Tap, client: GearmanClient, admin: GearmanAdminClient, function: str
) -> None:
    began, go_on = threading.Event(), threading.Event()

    def slow(job: GearmanJob) -> bytes:
        began.set()
        assert go_on.wait(20)
        return job.data

    worker = GearmanWorker([tap.address])
    worker.register_task(function, slow)
    with running(worker) as (thread,):
        request = client.submit_job(function, b"x", wait_until_complete=False)
        assert began.wait(20)
        worker.shutdown()
        assert [row.running for row in admin.status() if row.function == function] == [1]
        go_on.set()
        thread.wait()
        client.wait_until_jobs_completed([request], poll_timeout=20)
    assert request.result == b"x"
    assert not {C.CANT_DO, C.RESET_ABILITIES} & set(tap.commands)


def test_f11__a_worker_that_dies_has_begun_every_job_it_held(
    gearmand: JobServer, client: GearmanClient, admin: GearmanAdminClient, function: str
) -> None:
    requests = client.submit_multiple_jobs([{"task": function, "data": b"x"}] * 5, background=True)

    def dies(job: GearmanJob) -> bytes:
        raise JobInterrupted

    worker = GearmanWorker([gearmand.address])
    worker.register_task(function, dies)
    with running(worker) as (thread,):
        thread.wait()
    ours = {request.job.handle for request in requests}
    wait_for(
        lambda: [row.running for row in admin.status() if row.function == function] == [0],
        "the worker to be gone",
    )
    assert Counter(row.retries for row in admin.jobs() if row.handle in ours) == {0: 4, 1: 1}


def test_f12__nothing_that_callers_give_makes_a_malformed_packet(
    gearmand: JobServer, client: GearmanClient, function: str
) -> None:
    for number in (0, 5, 43, 0x80000000, 0xFFFFFFFF):
        with pytest.raises(LocalProtocolError, match="does not exist"):
            encode(number)  # type: ignore[arg-type]
    with pytest.raises(LocalProtocolError, match="takes 3 arguments, got 2"):
        encode(C.SUBMIT_JOB, b"f", b"u")
    bad: list[Callable[[], object]] = [
        lambda: client.submit_job("a\0b", b"x"),
        lambda: client.submit_job("", b"x"),
        lambda: client.submit_job(function, b"x", unique="a\0b"),
        lambda: client.submit_reduce_job(function, b"x", "a\0b"),
        lambda: client.get_status(unique="a\0b"),
        lambda: client.get_status(handle="H" * 64),
        lambda: client.get_status(unique="u" * 64),
        lambda: GearmanWorker([gearmand.address]).set_client_id("a\0b"),
        lambda: GearmanWorker([gearmand.address]).register_task("a\0b", lambda job: b""),
    ]
    for each in bad:
        with pytest.raises(LocalProtocolError):
            each()
    assert client.submit_job(function, b"x", background=True).complete


def test_f13__a_server_that_only_pretends_to_speak_tls_is_refused(function: str) -> None:
    server = JobServer("gearmand", ["--ssl"]).start()
    try:
        with Peer(server) as plain:
            plain.sync()  # the trap: it answers without
        address = Address("127.0.0.1", server.port, tls=TLS())
        with (
            GearmanClient([address], connect_timeout=2) as client,
            pytest.raises(ServerUnavailable),
        ):
            client.submit_job(function, b"secret", background=True)
        assert function not in "".join(server.text("status"))
    finally:
        server.close()


def test_f14__after_a_restart_a_unique_still_means_one_job(function: str) -> None:
    server = JobServer("gearmand").start()
    try:
        with GearmanClient([server.address]) as client:
            first = client.submit_job(function, b"first", background=True)
            restart(server)
            second = client.submit_job(function, b"second", background=True)
            assert second.job.handle == first.job.handle
            assert client.get_status(handle=first.job.handle).known  # the trap
            assert not client.get_status(unique=first.unique).known
            assert client.get_status(unique=second.unique).known
    finally:
        server.close()


def test_f15__a_job_of_a_dead_worker_runs_again(
    gearmand: JobServer, client: GearmanClient, function: str
) -> None:
    ran = []

    def dies(job: GearmanJob) -> bytes:
        ran.append("dead")
        raise JobInterrupted

    first = GearmanWorker([gearmand.address])
    first.register_task(function, dies)
    request = client.submit_job(function, b"x", wait_until_complete=False)
    with running(first) as (thread,):
        thread.wait()
    with running(echo(gearmand.address, function)):
        client.wait_until_jobs_completed([request], poll_timeout=20)
    assert (ran, request.result) == (["dead"], b"x")


def test_f15__a_worker_that_vanishes_is_noticed_by_both_kernels(
    tap: Tap, client: GearmanClient, function: str
) -> None:
    worker = echo(tap.address, function)
    with running(worker):
        assert client.submit_job(function, b"x", poll_timeout=20).result == b"x"
        (link,) = worker._hub.links if worker._hub else ()
        sock = link._socket
        assert sock is not None
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 60_000


def test_f16__a_job_ends_with_one_packet(tap: Tap, client: GearmanClient, function: str) -> None:
    def ends(worker: GearmanWorker, job: GearmanJob) -> bytes:
        if job.data == b"raises":
            raise ValueError("no")
        if job.data == b"twice":
            worker.send_job_failure(job)
            worker.send_job_exception(job, b"late")
        if job.data == b"exception":
            worker.send_job_exception(job, b"early")
            raise ValueError("late")
        return b"result"

    worker = GearmanWorker([tap.address])
    worker.register_task(function, ends)
    with running(worker):
        for data in (b"raises", b"twice", b"exception"):
            assert client.submit_job(function, data, poll_timeout=20).state == JOB_FAILED
        assert client.submit_job(function, b"", poll_timeout=20).result == b"result"
    finals = [packet for packet in tap.requests if packet.command in FINAL]
    assert [packet.command for packet in finals] == [
        C.WORK_EXCEPTION, C.WORK_FAIL, C.WORK_EXCEPTION, C.WORK_COMPLETE,
    ]  # fmt: skip
    assert C.ERROR not in [answer.command for answer in tap.answers]


def test_f16__a_failed_background_job_is_gone(
    gearmand: JobServer, client: GearmanClient, function: str
) -> None:
    def fails(job: GearmanJob) -> bytes:
        raise ValueError("no")

    unique = fresh().decode()
    client.submit_job(function, b"x", unique=unique, background=True)
    worker = GearmanWorker([gearmand.address])
    worker.register_task(function, fails)
    with running(worker):
        wait_for(lambda: not client.get_status(unique=unique).known, "the job to end")
