"""gearmand's traps that the embedded server does not have, by their numbers in the reference.

The conformance suite holds what both servers do alike. F9 (uniques in a
persistent queue) has no test: the embedded server keeps nothing.
"""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING

import pytest

from gearfleet.gearman.protocol import Command
from tests.support.peers import Peer, fresh
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.job_servers import JobServer

C = Command


@pytest.fixture
def client(embedded: JobServer) -> Iterator[Peer]:
    with Peer(embedded) as peer:
        yield peer


@pytest.fixture
def worker(embedded: JobServer, function: str) -> Iterator[Peer]:
    with Peer(embedded) as peer:
        yield peer.register(function)


def packet(number: int, body: bytes = b"") -> bytes:
    return struct.pack(">4sII", b"\0REQ", number, len(body)) + body


@pytest.mark.parametrize("command", [C.SUBMIT_JOB, C.SUBMIT_JOB_BG], ids=lambda c: c.name)
def test_f1__a_submit_is_never_attached_to_an_abandoned_job(
    embedded: JobServer, client: Peer, worker: Peer, function: str, command: Command
) -> None:
    unique = fresh()
    with Peer(embedded) as leaving:
        leaving.submit(function, unique=unique, command=C.SUBMIT_JOB)
    wait_for(lambda: client.ask(C.GET_STATUS_UNIQUE, unique).args[1] == b"0", "the job to be gone")
    handle = client.submit(function, unique=unique, command=command)
    assert worker.grab_handle() == handle


def test_f1__a_rejoined_running_job_survives_its_worker(
    embedded: JobServer, client: Peer, worker: Peer, function: str
) -> None:
    unique = fresh()
    with Peer(embedded) as dying, Peer(embedded) as leaving:
        handle = leaving.submit(function, unique=unique, command=C.SUBMIT_JOB)
        dying.register(function).grab_handle()
        leaving.close()
        assert client.submit(function, unique=unique, command=C.SUBMIT_JOB) == handle
    wait_for(lambda: client.ask(C.GET_STATUS, handle).args[2] == b"0", "the worker to be gone")
    assert worker.grab_handle() == handle
    worker.send(C.WORK_COMPLETE, handle, b"result")
    assert client.receive() == (C.WORK_COMPLETE, (handle, b"result"))


@pytest.mark.parametrize("order", ["fg-bg", "bg-fg"])
def test_f2__a_background_job_outlives_a_foreground_client(
    embedded: JobServer, client: Peer, worker: Peer, function: str, order: str
) -> None:
    unique = fresh()
    submits = {"fg": C.SUBMIT_JOB, "bg": C.SUBMIT_JOB_BG}
    with Peer(embedded) as leaving:
        for mode in order.split("-"):
            handle = leaving.submit(function, unique=unique, command=submits[mode])
    wait_for(lambda: client.ask(C.GET_STATUS_UNIQUE, unique).args[5] == b"0", "the client to leave")
    assert worker.grab_handle() == handle


def test_f3__a_cancelled_job_is_gone_and_its_unique_free(
    client: Peer, worker: Peer, function: str
) -> None:
    unique = fresh()
    cancelled = client.submit(function, unique=unique)
    assert client.say(f"cancel job {cancelled.decode()}") == b"OK\r\n"
    assert client.row("status", function) == b"0\t0\t1"
    assert client.row("show jobs", cancelled) is None
    handle = client.submit(function, unique=unique)
    assert worker.grab_handle() == handle


def test_f3__a_cancelled_running_job_ends_once_for_its_client(
    client: Peer, worker: Peer, function: str
) -> None:
    handle = client.submit(function, command=C.SUBMIT_JOB)
    worker.grab_handle()
    assert worker.say(f"cancel job {handle.decode()}") == b"OK\r\n"
    worker.send(C.WORK_COMPLETE, handle, b"result").sync()
    assert client.receive() == (C.WORK_FAIL, (handle,))
    client.sync()


def test_f4__a_time_limit_fails_its_job_and_no_other(
    embedded: JobServer, client: Peer, function: str
) -> None:
    with Peer(embedded) as worker:
        worker.write(packet(C.CAN_DO_TIMEOUT, function.encode() + b"\x00300"))
        first, second = (client.submit(function, command=C.SUBMIT_JOB) for _ in range(2))
        assert worker.grab_handle() == first
        worker.send(C.WORK_COMPLETE, first, b"result")
        assert client.receive() == (C.WORK_COMPLETE, (first, b"result"))
        began = time.monotonic()
        assert worker.grab_handle() == second
        assert client.receive() == (C.WORK_FAIL, (second,))
        assert time.monotonic() - began > 0.25
        assert worker.ask(C.WORK_COMPLETE, second, b"late").args[0] == b"JOB_NOT_FOUND"


def test_f5__a_sleeping_worker_is_woken_when_a_job_falls_due(
    client: Peer, worker: Peer, function: str
) -> None:
    worker.send(C.PRE_SLEEP).sync()
    due = int(time.time()) + 2
    handle = client.ask(C.SUBMIT_JOB_EPOCH, function, fresh(), str(due), b"data").args[0]
    worker.sync()
    assert worker.receive().command is C.NOOP
    assert due <= time.time()
    assert worker.grab_handle() == handle


def test_f6__a_waiting_job_hides_no_low_job_and_keeps_no_worker_awake(
    client: Peer, worker: Peer, function: str
) -> None:
    later = str(int(time.time()) + 3600)
    client.ask(C.SUBMIT_JOB_EPOCH, function, fresh(), later, b"data")
    low = client.submit(function, command=C.SUBMIT_JOB_LOW_BG)
    assert worker.grab_handle() == low
    assert worker.grab().command is C.NO_JOB
    worker.send(C.PRE_SLEEP).sync()


def test_f7__an_empty_payload_stays_empty_through_a_second_try(
    embedded: JobServer, client: Peer, worker: Peer, function: str
) -> None:
    handle = client.submit(function, b"")
    with Peer(embedded) as dying:
        dying.register(function).grab_handle()
    wait_for(lambda: client.ask(C.GET_STATUS, handle).args[2] == b"0", "the worker to be gone")
    assert worker.grab().args[3] == b""


def test_f8__a_unique_of_64_bytes_is_refused(client: Peer, function: str) -> None:
    client.write(packet(C.SUBMIT_JOB_BG, b"\0".join([function.encode(), b"u" * 64, b"data"])))
    assert client.receive().args[0] == b"ARGUMENT_TOO_LARGE"
    client.sync()


@pytest.mark.parametrize("number", [0x80000000, 0xFFFFFFFF])
def test_f12__an_enormous_command_closes_only_its_connection(
    embedded: JobServer, client: Peer, number: int
) -> None:
    with Peer(embedded) as attacker:
        attacker.write(packet(number))
        assert [each.args[0] for each in attacker.wait_closed()] == [b"INVALID_COMMAND"]
    client.sync()


@pytest.mark.parametrize(
    ("command", "body"),
    [
        (C.SUBMIT_JOB_BG, b"f\0u"),
        (C.SUBMIT_REDUCE_JOB, b"f\0u\0reducer\0data"),
        (C.WORK_STATUS, b"H:x:1\0001"),
        (C.CAN_DO_TIMEOUT, b"f"),
    ],
    ids=lambda value: value.name if isinstance(value, Command) else "",
)
def test_f12__missing_arguments_are_answered_and_closed(
    client: Peer, command: Command, body: bytes
) -> None:
    client.write(packet(command, body))
    assert [each.args[0] for each in client.wait_closed()] == [b"INVALID_PACKET"]


def test_wake_up__a_noop_answered_with_pre_sleep_is_not_the_last(
    embedded: JobServer, client: Peer, worker: Peer, function: str
) -> None:
    with Peer(embedded) as quicker:
        quicker.register(function)
        for _ in range(2):
            worker.send(C.PRE_SLEEP).sync()
            client.submit(function)
            quicker.grab_handle()
            assert worker.receive().command is C.NOOP


@pytest.mark.parametrize("handle", ["H" * 64, "H" * 5000])
def test_get_status__an_overlong_handle_is_answered(client: Peer, handle: str) -> None:
    client.write(packet(C.GET_STATUS, handle.encode()))
    assert client.receive().args[0] == b"ARGUMENT_TOO_LARGE"


@pytest.mark.parametrize("name", [b"two words", b"", b"line\nfeed", b"f" * 256, b"a\0b"])
def test_function_name__that_breaks_the_text_protocol_is_refused(client: Peer, name: bytes) -> None:
    client.write(packet(C.CAN_DO, name))
    assert client.receive().command is C.ERROR
    client.sync()


def test_drop_function__refused_while_jobs_are_queued(
    client: Peer, worker: Peer, function: str
) -> None:
    handle = client.submit(function)
    worker.send(C.CANT_DO, function).sync()
    assert client.say(f"drop function {function}").startswith(b"ERR there are still")
    worker.register(function)
    assert worker.grab_handle() == handle


def test_create_function__bare_newline_cuts_nothing(client: Peer, function: str) -> None:
    client.write(f"create function {function}\n".encode())
    assert client.receive_line() == b"OK\r\n"
    assert client.row("status", function) == b"0\t0\t0"


def test_tls_hello__is_closed_instead_of_left_hanging(client: Peer) -> None:
    client.write(b"\x16\x03\x01\x02\x00\x01\x00\x01")
    assert [each.command for each in client.wait_closed()] == [C.ERROR]
