"""The text commands, reply for reply, of gearmand and of the embedded server."""

from __future__ import annotations

import re
import socket
import time
from typing import TYPE_CHECKING

import pytest

from gearfleet.gearman.protocol import Command, encode
from tests.support.peers import Peer, fresh
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.job_servers import JobServer

C = Command


@pytest.fixture
def admin(job_server: JobServer) -> Iterator[Peer]:
    with Peer(job_server) as peer:
        yield peer


@pytest.fixture
def client(job_server: JobServer) -> Iterator[Peer]:
    with Peer(job_server) as peer:
        yield peer


@pytest.fixture
def worker(job_server: JobServer, function: str) -> Iterator[Peer]:
    with Peer(job_server) as peer:
        yield peer.register(function)


# One-line answers


def test_version(admin: Peer) -> None:
    assert re.fullmatch(rb"OK \S+\n", admin.say("version"))


def test_getpid(admin: Peer, job_server: JobServer) -> None:
    assert job_server.process is not None
    assert admin.say("getpid") == b"OK %d\n" % job_server.process.pid


def test_verbose(admin: Peer) -> None:
    assert admin.say("verbose") == b"OK ERROR\n"


INCOMPLETE = "INVALID_ARGUMENTS An+incomplete+set+of+arguments+was+sent+to+this+command+"
UNKNOWN = "UNKNOWN_COMMAND Unknown+server+command"


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("", UNKNOWN),
        ("FooBar", f"{UNKNOWN}FooBar"),
        ("a b c d e", f"{UNKNOWN}a"),
        ("shutdown", f"{UNKNOWN}shutdown"),
        ("shutdown graceful", f"{UNKNOWN}shutdown"),
        ("show", f"{UNKNOWN}show"),
        ("show x", "UNKNOWN_SHOW_ARGUMENTS"),
        ("show unique", "UNKNOWN_SHOW_ARGUMENTS"),
        ("show jobs x", "UNKNOWN_SHOW_ARGUMENTS"),
        ("cancel", f"{UNKNOWN}cancel"),
        ("cancel job", f"{UNKNOWN}cancel"),
        ("cancel x y", "UNKNOWN_ERROR"),
        ("cancel job H:nowhere:1", "UNKNOWN_JOB"),
        ("create", f"{INCOMPLETE}create"),
        ("create function", f"{INCOMPLETE}create"),
        ("create x y", f"{INCOMPLETE}create"),
        ("drop", f"{INCOMPLETE}drop"),
        ("drop function", f"{INCOMPLETE}drop"),
        ("drop x y", f"{INCOMPLETE}drop"),
        ("drop function no.such.function", "function not found"),
        ("maxqueue", f"{INCOMPLETE}maxqueue"),
    ],
)
def test_error(admin: Peer, said: str, error: str) -> None:
    assert admin.say(said) == f"ERR {error}\r\n".encode()


# How commands are read


@pytest.mark.parametrize("line", [b"version\n", b"version\r\n", b"VERSION\r\n", b"VerSion\n"])
def test_line__ends_and_case(admin: Peer, line: bytes) -> None:
    assert admin.write(line).receive_line().startswith(b"OK ")


def test_line__in_pieces(admin: Peer) -> None:
    for byte in b"verbose\r\n":
        admin.write(bytes([byte]))
    assert admin.receive_line() == b"OK ERROR\n"


def test_line__pipelined_and_mixed_with_packets(admin: Peer) -> None:
    admin.write(b"verbose\r\n" + encode(C.ECHO_REQ, b"one") + b"verbose\r\nverbose\r\n")
    admin.write(encode(C.ECHO_REQ, b"two"))
    assert admin.receive_line() == b"OK ERROR\n"
    assert admin.receive().args == (b"one",)
    assert [admin.receive_line(), admin.receive_line()] == [b"OK ERROR\n"] * 2
    assert admin.receive().args == (b"two",)


def test_line__too_many_words(admin: Peer) -> None:
    admin.write(b"a b c d e f\r\n")
    admin.wait_closed()


def test_line__too_long(admin: Peer) -> None:
    admin.write(b"a" * 9000)
    admin.wait_closed()


# Tables


def test_status__counts(admin: Peer, client: Peer, worker: Peer, function: str) -> None:
    assert admin.row("status", function) == b"0\t0\t1"
    client.submit(function)
    client.submit(function, command=C.SUBMIT_JOB_HIGH)
    assert admin.row("status", function) == b"2\t0\t1"
    handle = worker.grab_handle()
    assert admin.row("status", function) == b"2\t1\t1"
    worker.send(C.WORK_COMPLETE, handle, b"").sync()
    assert admin.row("status", function) == b"1\t0\t1"


def test_status__functions_never_vanish(admin: Peer, job_server: JobServer, function: str) -> None:
    with Peer(job_server) as worker:
        worker.register(function)
    wait_for(lambda: admin.row("status", function) == b"0\t0\t0", "the worker to be gone")


def test_status__counts_jobs_not_yet_due(admin: Peer, client: Peer, function: str) -> None:
    client.ask(C.SUBMIT_JOB_EPOCH, function, fresh(), str(int(time.time()) + 3600), b"")
    assert admin.row("status", function) == b"1\t0\t0"
    assert admin.row("prioritystatus", function) == b"0\t1\t0\t0"


def test_prioritystatus__counts_queued_jobs(
    admin: Peer, client: Peer, worker: Peer, function: str
) -> None:
    counts = {C.SUBMIT_JOB_HIGH_BG: 3, C.SUBMIT_JOB_BG: 2, C.SUBMIT_JOB_LOW_BG: 1}
    for command, count in counts.items():
        for _ in range(count):
            client.submit(function, command=command)
    assert admin.row("prioritystatus", function) == b"3\t2\t1\t1"
    worker.grab_handle()
    assert admin.row("prioritystatus", function) == b"2\t2\t1\t1"


def test_workers__names_id_and_functions_newest_first(
    admin: Peer, worker: Peer, function: str
) -> None:
    client_id = fresh("id")
    worker.send(C.SET_CLIENT_ID, client_id).register(f"{function}.2")
    row = next(row for row in admin.table("workers") if client_id in row)
    names = f"{function}.2 {function}".encode()
    assert re.fullmatch(rb"\d+ 127\.0\.0\.1 %b : %b" % (client_id, re.escape(names)), row)


def test_workers__a_client_is_listed_without_functions(admin: Peer) -> None:
    assert any(re.fullmatch(rb"\d+ 127\.0\.0\.1 - :", row) for row in admin.table("workers"))


def test_workers__a_long_id_is_cut(admin: Peer, worker: Peer) -> None:
    client_id = fresh("id") + b"." * 200
    worker.write(b"\0REQ\0\0\0\x16" + len(client_id).to_bytes(4, "big") + client_id).sync()
    assert any(b" %b :" % client_id[:127] in row for row in admin.table("workers"))


def test_show_jobs__queued_running_gone(
    admin: Peer, client: Peer, worker: Peer, function: str
) -> None:
    foreground = client.submit(function, command=C.SUBMIT_JOB)
    background = client.submit(function)
    assert admin.row("show jobs", foreground) == b"0\t0\t0"
    assert admin.row("show jobs", background) == b"0\t0\t1"
    worker.send(C.WORK_FAIL, worker.grab_handle()).sync()
    assert admin.row("show jobs", foreground) is None


def test_show_jobs__a_running_job_that_nobody_wants(
    admin: Peer, job_server: JobServer, worker: Peer, function: str
) -> None:
    with Peer(job_server) as leaving:
        handle = leaving.submit(function, command=C.SUBMIT_JOB)
        worker.grab_handle()
    wait_for(lambda: admin.row("show jobs", handle) == b"0\t1\t0", "the job to be abandoned")


def test_show_unique_jobs(admin: Peer, client: Peer, function: str) -> None:
    unique = fresh()
    client.submit(function, unique=unique)
    assert unique in admin.table("show unique jobs")


def test_show_unique_jobs__empty(admin: Peer, client: Peer, function: str) -> None:
    client.submit(function, unique=b"")
    assert b"" in admin.table("show unique jobs")


# Changes


def test_cancel__a_queued_foreground_job(
    admin: Peer, client: Peer, worker: Peer, function: str
) -> None:
    handle = client.submit(function, command=C.SUBMIT_JOB)
    assert admin.say(f"cancel job {handle.decode()}") == b"OK\r\n"
    assert client.receive() == (C.WORK_FAIL, (handle,))
    assert worker.grab().command is C.NO_JOB


def test_cancel__a_queued_background_job(
    admin: Peer, client: Peer, worker: Peer, function: str
) -> None:
    handle, other = client.submit(function), client.submit(function)
    assert admin.say(f"CANCEL JOB {handle.decode()}") == b"OK\r\n"
    assert worker.grab_handle() == other
    assert worker.grab().command is C.NO_JOB


def test_cancel__a_running_job_fails_for_its_client(
    admin: Peer, client: Peer, worker: Peer, function: str
) -> None:
    handle = client.submit(function, command=C.SUBMIT_JOB)
    worker.grab_handle()
    assert admin.say(f"cancel job {handle.decode()}") == b"OK\r\n"
    assert client.receive() == (C.WORK_FAIL, (handle,))


def test_function__create_and_drop(admin: Peer, function: str) -> None:
    assert admin.row("status", function) is None
    assert admin.say(f"create function {function}") == b"OK\r\n"
    assert admin.row("status", function) == b"0\t0\t0"
    assert admin.say(f"create function {function}") == b"OK\r\n"
    assert admin.say(f"drop function {function}") == b"OK\r\n"
    assert admin.row("status", function) is None


def test_function__not_dropped_while_it_has_workers(
    admin: Peer, worker: Peer, function: str
) -> None:
    answer = admin.say(f"drop function {function}")
    assert answer == b"ERR there are still connected workers or executing clients\r\n"


# maxqueue


def is_full(client: Peer, function: str, command: Command) -> bool:
    answer = client.ask(command, function, fresh(), b"data")
    if answer.command is C.JOB_CREATED:
        return False
    assert answer == (C.ERROR, (b"QUEUE_ERROR", b"Job queue is full"))
    return True


def test_maxqueue__one_limit_for_all_priorities(
    admin: Peer, client: Peer, worker: Peer, function: str
) -> None:
    assert admin.say(f"maxqueue {function} 2") == b"OK\r\n"
    assert [is_full(client, function, C.SUBMIT_JOB_BG) for _ in range(3)] == [False, False, True]
    assert is_full(client, function, C.SUBMIT_JOB_HIGH)
    assert is_full(client, function, C.SUBMIT_JOB_LOW)


def test_maxqueue__compares_with_all_jobs_also_running_ones(
    admin: Peer, client: Peer, worker: Peer, function: str
) -> None:
    admin.say(f"maxqueue {function} 3 2 1")
    client.submit(function)
    worker.grab_handle()
    assert is_full(client, function, C.SUBMIT_JOB_LOW_BG)
    assert not is_full(client, function, C.SUBMIT_JOB_BG)
    assert is_full(client, function, C.SUBMIT_JOB_BG)
    assert not is_full(client, function, C.SUBMIT_JOB_HIGH_BG)


def test_maxqueue__lets_a_coalescing_submit_pass(
    admin: Peer, client: Peer, worker: Peer, function: str
) -> None:
    admin.say(f"maxqueue {function} 1")
    unique = fresh()
    handle = client.submit(function, unique=unique)
    assert client.submit(function, unique=unique) == handle


def test_maxqueue__two_numbers_leave_low_unlimited(
    admin: Peer, client: Peer, worker: Peer, function: str
) -> None:
    admin.say(f"maxqueue {function} 1 1")
    client.submit(function)
    assert is_full(client, function, C.SUBMIT_JOB_BG)
    assert not is_full(client, function, C.SUBMIT_JOB_LOW_BG)


def test_maxqueue__without_a_number_lifts_the_limit(
    admin: Peer, client: Peer, worker: Peer, function: str
) -> None:
    admin.say(f"maxqueue {function} 1")
    client.submit(function)
    assert is_full(client, function, C.SUBMIT_JOB_BG)
    assert admin.say(f"maxqueue {function}") == b"OK\r\n"
    assert not is_full(client, function, C.SUBMIT_JOB_BG)


def test_maxqueue__of_an_unknown_function_is_not_remembered(
    admin: Peer, client: Peer, function: str
) -> None:
    assert admin.say(f"maxqueue {function} 1") == b"OK\r\n"
    assert not any(is_full(client, function, C.SUBMIT_JOB_BG) for _ in range(2))


def test_half_close__is_answered_before_the_end(job_server: JobServer) -> None:
    with Peer(job_server) as admin:
        admin.write(b"verbose\r\n")
        assert admin.receive_line() == b"OK ERROR\n"
        admin.socket.shutdown(socket.SHUT_WR)
        assert admin.wait_closed() == []
