"""Job servers that die, hang, refuse and come back; workers that drain; clients that fork."""

from __future__ import annotations

import logging
import os
import resource
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from gearfleet.errors import (
    AmbiguousSubmit,
    ExceededConnectionAttempts,
    GearmanError,
    InvalidAdminClientState,
    InvalidWorkerState,
    JobInterrupted,
    ServerError,
    ServerUnavailable,
)
from gearfleet.gearman import (
    JOB_UNKNOWN,
    Address,
    GearmanAdminClient,
    GearmanClient,
    GearmanJob,
    GearmanWorker,
    Timing,
)
from gearfleet.gearman.dial import connect
from tests.support.job_servers import JobServer
from tests.support.ports import free_port
from tests.support.running import running
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def _echo(server: JobServer, function: str, *others: JobServer, **options: object) -> GearmanWorker:
    worker = GearmanWorker([server.address, *(other.address for other in others)], **options)  # type: ignore[arg-type]
    worker.register_task(function, lambda job: job.data)
    return worker


def _actions(caplog: pytest.LogCaptureFixture, address: str) -> list[str]:
    return [
        record.__dict__["action"]
        for record in caplog.records
        if record.__dict__.get("server") == address and record.levelno > logging.DEBUG
    ]


@pytest.fixture
def two_servers() -> Iterator[tuple[JobServer, JobServer]]:
    servers = JobServer("gearmand").start(), JobServer("gearmand").start()
    yield servers
    for server in servers:
        assert server.process is not None
        server.process.go_on()
        server.close()


class Listener:
    """A peer that takes connections and does with them what a test says."""

    def __init__(self, behave: Callable[[socket.socket], None]) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.accepted = 0
        self._behave = behave
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.accepted += 1
            with connection:
                self._behave(connection)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(10)


def _swallow_a_submit(connection: socket.socket) -> None:
    """Answer the OPTION_REQ, read a submit, and hang up."""
    connection.recv(4096)
    connection.sendall(b"\0RES\0\0\0\x1b\0\0\0\x0aexceptions")
    connection.recv(4096)


def _swallow_everything(connection: socket.socket) -> None:
    """Answer the OPTION_REQ, and read on without a word."""
    connection.recv(4096)
    connection.sendall(b"\0RES\0\0\0\x1b\0\0\0\x0aexceptions")
    while connection.recv(65536):
        pass


def test_silent_job_server__is_noticed_although_threads_go_on_submitting() -> None:
    listener = Listener(_swallow_everything)
    client = GearmanClient([listener.address], heartbeat_interval=60, heartbeat_limit=2)
    outcomes: list[type[GearmanError]] = []

    def submit() -> None:
        try:
            client.submit_job("f", b"x", poll_timeout=20)
        except GearmanError as error:
            outcomes.append(type(error))

    threads: list[threading.Thread] = []
    deadline = time.monotonic() + 10
    while not outcomes and time.monotonic() < deadline:
        threads.append(threading.Thread(target=submit))
        threads[-1].start()
        threads[-1].join(0.05)
    assert outcomes[:1] == [AmbiguousSubmit]
    client.close()
    listener.close()
    for thread in threads:
        thread.join(30)


def test_worker__starts_before_the_job_server(
    function: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server = JobServer("gearmand")
    with running(_echo(server, function)):
        wait_for(lambda: _actions(caplog, server.address), "the worker to say so")
        server.start()
        try:
            server.wait_for_workers(function)
            with GearmanClient([server.address]) as client:
                assert client.submit_job(function, b"x").result == b"x"
        finally:
            server.close()
    # Said once, however many attempts there were.
    assert _actions(caplog, server.address)[:2] == ["worker_unreachable", "worker_reconnected"]


def test_worker_and_client__survive_a_restart(
    own_job_server: JobServer, function: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server = own_job_server
    with running(_echo(server, function)), GearmanClient([server.address]) as client:
        assert client.submit_job(function, b"1").result == b"1"
        server.stop()
        wait_for(lambda: "worker_unreachable" in _actions(caplog, server.address), "the loss")
        server.start()
        server.wait_for_workers(function)
        assert client.submit_job(function, b"2").result == b"2"
        wait_for(lambda: "worker_reconnected" in _actions(caplog, server.address), "the return")
    assert _actions(caplog, server.address) == [
        "worker_registered",
        "worker_disconnected",
        "worker_unreachable",
        "worker_reconnected",
    ]


def test_two_servers__one_stopped_does_not_delay_the_other(
    two_servers: tuple[JobServer, JobServer], function: str
) -> None:
    hung, fine = two_servers
    assert hung.process is not None
    with running(_echo(hung, function, fine)), GearmanClient([fine.address]) as client:
        for server in two_servers:
            server.wait_for_workers(function)
        hung.process.pause()
        # At most one GRAB is caught by the stopped one, for a second.
        assert client.submit_job(function, b"x", poll_timeout=20).result == b"x"
        began = time.monotonic()
        for _ in range(100):
            assert client.submit_job(function, b"x", poll_timeout=20).result == b"x"
        assert time.monotonic() - began < 5
        hung.process.go_on()
        hung.wait_for_workers(function)
        with GearmanClient([hung.address]) as other:
            assert other.submit_job(function, b"y", poll_timeout=20).result == b"y"


def test_two_servers__a_long_queue_of_one_does_not_starve_the_other(
    two_servers: tuple[JobServer, JobServer], function: str
) -> None:
    busy, other = two_servers
    order: list[bytes] = []
    for server, data in ((busy, b"busy"), (other, b"other")):
        with GearmanClient([server.address]) as client:
            jobs = [{"task": function, "data": data} for _ in range(50)]
            client.submit_multiple_jobs(jobs, background=True)
    worker = GearmanWorker([server.address for server in two_servers])
    worker.register_task(function, lambda job: order.append(job.data))
    with running(worker):
        wait_for(lambda: len(order) == 100, "all jobs of both")
    assert b"other" in order[:60]
    assert b"busy" in order[:60]


def test_drain__finishes_the_job_in_hand_and_leaves_the_queue_to_others(
    job_server: JobServer, function: str
) -> None:
    began, go_on = threading.Event(), threading.Event()

    def slow(job: GearmanJob) -> bytes:
        began.set()
        assert go_on.wait(20)
        return b"first: " + job.data

    worker = GearmanWorker([job_server.address])
    worker.register_task(function, slow)
    with GearmanClient([job_server.address]) as client:
        first = client.submit_job(function, b"1", wait_until_complete=False)
        second = client.submit_job(function, b"2", wait_until_complete=False)
        with running(worker) as (thread,):
            assert began.wait(20)
            worker.shutdown()
            go_on.set()
            thread.wait()
        client.wait_until_jobs_completed([first], poll_timeout=20)
        assert first.result == b"first: 1"
        assert not second.complete
        with running(_echo(job_server, function)):
            client.wait_until_jobs_completed([second], poll_timeout=20)
        assert second.result == b"2"


def test_drain__gives_prefetched_jobs_back(job_server: JobServer, function: str) -> None:
    began, go_on = threading.Event(), threading.Event()
    ran: list[bytes] = []

    def slow(job: GearmanJob) -> None:
        ran.append(job.data)
        if len(ran) == 20:
            began.set()
            assert go_on.wait(20)

    worker = GearmanWorker([job_server.address], prefetch=8)
    worker.register_task(function, slow)
    with GearmanClient([job_server.address]) as client:
        jobs = [{"task": function, "data": b"%d" % index} for index in range(60)]
        client.submit_multiple_jobs(jobs, background=True)
        with running(worker) as (thread,):
            assert began.wait(20)
            worker.shutdown()
            go_on.set()
            thread.wait()
        others: list[bytes] = []
        other = GearmanWorker([job_server.address])
        other.register_task(function, lambda job: others.append(job.data))
        with running(other):
            wait_for(lambda: len(ran) + len(others) >= 60, "every job to run")
    assert len(ran) == 20
    assert sorted(ran + others) == sorted(job["data"] for job in jobs)


def test_drain__while_jobs_stream_in_loses_and_repeats_none(
    job_server: JobServer, function: str
) -> None:
    results: list[bytes] = []
    stop = threading.Event()

    def submit() -> None:
        with GearmanClient([job_server.address]) as client:
            while not stop.is_set():
                data = b"%d" % len(results)
                results.append(client.submit_job(function, data, poll_timeout=20).result)

    ran: list[bytes] = []
    thread = threading.Thread(target=submit)
    thread.start()
    for _ in range(15):
        worker = GearmanWorker([job_server.address])
        worker.register_task(function, lambda job: ran.append(job.data) or job.data)
        target = len(ran) + 7
        with running(worker):
            wait_for(lambda target=target: len(ran) >= target, "some jobs", interval=0)
    stop.set()
    with running(_echo(job_server, function)):
        thread.join(30)
    assert results == [b"%d" % index for index in range(len(results))]
    assert len(ran) == len(set(ran))


def test_drain__from_a_signal_handler(job_server: JobServer, function: str) -> None:
    worker = _echo(job_server, function)
    previous = signal.signal(signal.SIGUSR1, lambda number, frame: worker.shutdown())
    try:
        timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR1))
        timer.start()
        began = time.monotonic()
        worker.work()
        assert time.monotonic() - began < 4  # not at the next GRAB of its period
        timer.join()
    finally:
        signal.signal(signal.SIGUSR1, previous)


def test_shutdown_before_work__returns_at_once_and_the_next_work_works(
    job_server: JobServer, function: str
) -> None:
    worker = _echo(job_server, function)
    worker.shutdown()
    worker.work()
    with running(worker), GearmanClient([job_server.address]) as client:
        assert client.submit_job(function, b"x", poll_timeout=20).result == b"x"


def test_work_twice_at_the_same_time__refused(job_server: JobServer, function: str) -> None:
    worker = _echo(job_server, function)
    with running(worker):
        job_server.wait_for_workers(function)
        with pytest.raises(InvalidWorkerState):
            worker.work()


def test_quiet__takes_no_job_until_resumed(job_server: JobServer, function: str) -> None:
    worker = _echo(job_server, function)
    worker.quiet()
    with running(worker), GearmanClient([job_server.address]) as client:
        job_server.wait_for_workers(function)
        request = client.submit_job(function, b"x", poll_timeout=0.3)
        assert request.timed_out
        assert job_server.workers_of(function) == 1
        worker.resume()
        client.wait_until_jobs_completed([request], poll_timeout=4)
        assert request.result == b"x"


def test_interrupt__gives_the_job_to_another_worker(job_server: JobServer, function: str) -> None:
    worker = GearmanWorker([job_server.address])
    cleaned: list[bytes] = []

    def interrupted(job: GearmanJob) -> bytes:
        try:
            raise JobInterrupted
        finally:
            cleaned.append(job.data)

    worker.register_task(function, interrupted)
    with GearmanClient([job_server.address]) as client:
        request = client.submit_job(function, b"x", wait_until_complete=False)
        with running(worker) as (thread,):
            thread.wait()
        assert isinstance(thread.raised, JobInterrupted)
        assert not request.complete
        with running(_echo(job_server, function)):
            client.wait_until_jobs_completed([request], poll_timeout=20)
    assert (request.result, cleaned) == (b"x", [b"x"])


def test_connection_lost_in_a_job__result_is_dropped_and_the_worker_goes_on(
    own_job_server: JobServer, function: str
) -> None:
    began, go_on = threading.Event(), threading.Event()

    def slow(worker: GearmanWorker, job: GearmanJob) -> bytes:
        if job.data == b"slow":
            began.set()
            assert go_on.wait(20)
            worker.send_job_data(job, b"nobody hears")
        return job.data

    worker = GearmanWorker([own_job_server.address])
    worker.register_task(function, slow)
    with running(worker), GearmanClient([own_job_server.address]) as client:
        request = client.submit_job(function, b"slow", wait_until_complete=False)
        assert began.wait(20)
        assert own_job_server.process is not None
        own_job_server.process.signal(signal.SIGKILL)
        own_job_server.process.wait()
        client.wait_until_jobs_completed([request], poll_timeout=20)
        assert (request.state, request.connection_failed) == (JOB_UNKNOWN, True)
        assert not request.timed_out
        go_on.set()
        own_job_server.start()
        assert client.submit_job(function, b"next", poll_timeout=20).result == b"next"


def test_unreachable__error_names_every_address_and_reason() -> None:
    first, second = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    with GearmanClient([first, second]) as client, pytest.raises(ServerUnavailable) as raised:
        client.submit_job("f", b"x")
    for address in (first, second):
        assert f"{address}: Connection refused" in str(raised.value)
    with pytest.raises(ServerUnavailable, match="none was given"):
        GearmanClient().submit_job("f", b"x")
    with pytest.raises(ServerUnavailable, match="cannot look up"):
        GearmanClient("no.such.host.invalid").submit_job("f", b"x")


def test_peer_that_is_no_job_server__unavailable_not_a_crash() -> None:
    def answer_in_http(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    listener = Listener(answer_in_http)
    client = GearmanClient([listener.address])
    with client, pytest.raises(ServerUnavailable, match="HTTP"):
        client.submit_job("f", b"x", poll_timeout=5)
    listener.close()


def test_sockets__notice_dead_peers_and_keep_the_kernels_buffers(gearmand: JobServer) -> None:
    with connect(Address.parse(gearmand.address)) as ours, socket.socket() as plain:
        assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        keepalive = [socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT]
        assert [ours.getsockopt(socket.IPPROTO_TCP, name) for name in keepalive] == [30, 10, 3]
        assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 60_000
        plain.connect(("127.0.0.1", gearmand.port))
        buffers = [socket.SO_SNDBUF, socket.SO_RCVBUF]
        assert [ours.getsockopt(socket.SOL_SOCKET, name) for name in buffers] == [
            plain.getsockopt(socket.SOL_SOCKET, name) for name in buffers
        ]


def test_localhost__by_name_and_both_families(gearmand: JobServer, function: str) -> None:
    # ::1 is tried first where the name has it, and refused: gearmand has 127.0.0.1.
    with GearmanClient([f"localhost:{gearmand.port}"]) as client:
        assert client.submit_job(function, b"x", background=True).complete


def test_silent_server__error_within_the_time_limit() -> None:
    stuck = socket.create_server(("127.0.0.1", 0))
    address = f"127.0.0.1:{stuck.getsockname()[1]}"
    began = time.monotonic()
    with pytest.raises(ServerUnavailable, match="said nothing"):
        GearmanClient([address]).submit_job("f", b"x", poll_timeout=0.3)
    assert time.monotonic() - began < 3
    stuck.close()


def test_failover__before_the_submit_is_written(
    gearmand: JobServer, function: str, two_servers: tuple[JobServer, JobServer]
) -> None:
    hung, down = two_servers
    assert hung.process is not None
    with GearmanClient(
        [hung.address, down.address, gearmand.address], connect_timeout=0.5
    ) as client:
        for _ in range(3):
            assert client.submit_job(function, b"x", background=True).complete
        # One closes idle connections, one does not answer new ones.
        down.stop()
        client.close()
        hung.process.pause()
        for _ in range(5):
            request = client.submit_job(function, b"x", background=True)
            assert str(request.job.connection) == gearmand.address


def test_ambiguous_submit__its_own_error_and_never_resent() -> None:
    listener = Listener(_swallow_a_submit)
    with GearmanClient([listener.address]) as client:
        with pytest.raises(AmbiguousSubmit, match="may run or may not"):
            client.submit_job("f", b"x", background=True)
        assert listener.accepted == 1
        with pytest.raises(ExceededConnectionAttempts, match="lost 3 times"):
            client.submit_job("f", b"x", background=True, max_retries=2)
        assert listener.accepted == 4
        (request,) = client.submit_multiple_jobs([{"task": "f", "data": b"x"}])
        assert request.connection_failed
        assert isinstance(request.error, AmbiguousSubmit)
    listener.close()


def test_server_that_stops_answering__taken_for_dead(gearmand: JobServer, function: str) -> None:
    def answer_nothing(connection: socket.socket) -> None:
        _swallow_a_submit(connection)
        while connection.recv(4096):
            pass

    listener = Listener(answer_nothing)
    client = GearmanClient([listener.address], heartbeat_limit=1)
    with client, pytest.raises(AmbiguousSubmit, match="silent"):
        client.submit_job("f", b"x")
    listener.close()
    with GearmanClient([gearmand.address], heartbeat_interval=0.05, heartbeat_limit=5) as client:
        # A living one answers the heartbeats of a long wait.
        assert client.submit_job(function, b"x", poll_timeout=0.5).timed_out
        assert not client.submit_job(function, b"y", background=True).connection_failed


def test_refused_submit__raises_and_later_submits_pair_rightly(
    gearmand: JobServer, function: str
) -> None:
    with GearmanClient([gearmand.address]) as client:
        client.submit_job(function, b"x", background=True)
        gearmand_says = socket.create_connection(("127.0.0.1", gearmand.port))
        gearmand_says.sendall(b"maxqueue %s 1\r\n" % function.encode())
        assert gearmand_says.recv(100) == b"OK\r\n"
        gearmand_says.close()
        with pytest.raises(ServerError, match="QUEUE_ERROR"):
            client.submit_job(function, b"x", background=True)
        assert client.submit_job(f"{function}.other", b"x", background=True).complete


def test_grab_unanswered__connection_is_given_up(
    two_servers: tuple[JobServer, JobServer], function: str, caplog: pytest.LogCaptureFixture
) -> None:
    hung, _ = two_servers
    assert hung.process is not None
    quick = Timing(grab_timeout=0.2, regrab_after=(0.1, 0.2))
    with running(_echo(hung, function, timing=quick)):
        hung.wait_for_workers(function)
        hung.process.pause()
        wait_for(lambda: "worker_disconnected" in _actions(caplog, hung.address), "the worker")
        assert "does not answer" in caplog.text
        hung.process.go_on()
        hung.wait_for_workers(function)


def test_admin__deadline_and_unreachable(two_servers: tuple[JobServer, JobServer]) -> None:
    hung, down = two_servers
    assert hung.process is not None
    with GearmanAdminClient([hung.address], poll_timeout=0.3) as admin:
        assert admin.version()
        hung.process.pause()
        with pytest.raises(InvalidAdminClientState, match=r"within 0\.3 s"):
            admin.status()
        hung.process.go_on()
        wait_for(lambda: _answers(admin), "the late answer not to be mistaken")
    with GearmanAdminClient([down.address]) as admin:
        admin.version()
        down.stop()
        with pytest.raises(ServerUnavailable, match="Connection refused"):
            admin.version()


def _answers(admin: GearmanAdminClient) -> bool:
    try:
        return bool(admin.version().numbers)
    except InvalidAdminClientState:
        return False


def test_fork__child_uses_connections_of_its_own(gearmand: JobServer, function: str) -> None:
    with running(_echo(gearmand, function)), GearmanClient([gearmand.address]) as client:
        before = client.submit_job(function, b"before").unique
        pid = os.fork()
        if pid == 0:
            _exit_with(lambda: client.submit_job(function, b"child").result == b"child")
        results = [client.submit_job(function, b"%d" % i).result for i in range(100)]
        assert results == [b"%d" % i for i in range(100)]
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert client.submit_job(function, b"after").unique[:32] == before[:32]


def _exit_with(succeeds: Callable[[], bool]) -> None:
    code = 1
    try:
        code = 0 if succeeds() else 2
    finally:
        os._exit(code)


def test_descriptors__beyond_1024(gearmand: JobServer, function: str) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 1300:
        pytest.skip("needs a limit of 1300 open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1300), hard))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        with running(_echo(gearmand, function)), GearmanClient([gearmand.address]) as client:
            assert client.submit_job(function, b"x" * 5_000_000).result == b"x" * 5_000_000
            assert not client.submit_job(function, b"x", poll_timeout=5).timed_out
            with GearmanAdminClient([gearmand.address]) as admin:
                assert admin.version()
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_idle_worker__uses_no_cpu(job_server: JobServer, function: str) -> None:
    class Counting(GearmanWorker):
        polls = 0

        def after_poll(self, any_activity: bool) -> bool:
            self.polls += 1
            return True

    worker = Counting([job_server.address, f"127.0.0.1:{free_port()}"])
    worker.register_task(function, lambda job: b"")
    with running(worker):
        job_server.wait_for_workers(function)
        before = worker.polls
        threading.Event().wait(1.0)  # what is measured is that nothing happens
        # Attempts to reach the other one, and nothing else.
        assert worker.polls - before < 30


def test_reconnecting__does_not_storm() -> None:
    listener = Listener(lambda connection: None)
    worker = GearmanWorker([listener.address])
    worker.register_task("f", lambda job: b"")
    with running(worker):
        wait_for(lambda: listener.accepted >= 3, "some attempts")
        began, before = time.monotonic(), listener.accepted
        wait_for(lambda: time.monotonic() - began > 1, "a second")
        assert listener.accepted - before <= 10
    listener.close()
