"""What a job server does for clients: the same story told to gearmand and to the embedded server."""

from __future__ import annotations

import re
import socket
import time
from typing import TYPE_CHECKING

import pytest

from gearfleet.gearman.protocol import Command, Packet, encode
from tests.support.peers import Peer, fresh
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.job_servers import JobServer

C = Command

FOREGROUND = [C.SUBMIT_JOB, C.SUBMIT_JOB_HIGH, C.SUBMIT_JOB_LOW]
BACKGROUND = [C.SUBMIT_JOB_BG, C.SUBMIT_JOB_HIGH_BG, C.SUBMIT_JOB_LOW_BG]


@pytest.fixture
def client(job_server: JobServer) -> Iterator[Peer]:
    with Peer(job_server) as peer:
        yield peer


@pytest.fixture
def other_client(job_server: JobServer) -> Iterator[Peer]:
    with Peer(job_server) as peer:
        yield peer


@pytest.fixture
def worker(job_server: JobServer, function: str) -> Iterator[Peer]:
    with Peer(job_server) as peer:
        yield peer.register(function)


# Echo and options


@pytest.mark.parametrize("data", [b"", b"\0a\0", b"x" * 1_000_000], ids=["empty", "nul", "large"])
def test_echo__returns_what_it_got(client: Peer, data: bytes) -> None:
    assert client.ask(C.ECHO_REQ, data) == (C.ECHO_RES, (data,))


def test_option__exceptions(client: Peer) -> None:
    assert client.ask(C.OPTION_REQ, "exceptions") == (C.OPTION_RES, (b"exceptions",))


def test_option__unknown(client: Peer) -> None:
    assert client.ask(C.OPTION_REQ, "telepathy").args[0] == b"UNKNOWN_OPTION"
    client.sync()


# Submitting


@pytest.mark.parametrize("command", FOREGROUND + BACKGROUND, ids=lambda command: command.name)
def test_submit__reaches_a_worker_as_it_is(
    client: Peer, worker: Peer, function: str, command: Command
) -> None:
    unique, data = fresh(), b"\0payload\0"
    handle = client.submit(function, data, unique=unique, command=command)
    assert worker.grab() == (C.JOB_ASSIGN_UNIQ, (handle, function.encode(), unique, data))


@pytest.mark.parametrize("command", FOREGROUND, ids=lambda command: command.name)
def test_submit__foreground_hears_the_result(
    client: Peer, worker: Peer, function: str, command: Command
) -> None:
    handle = client.submit(function, command=command)
    worker.grab_handle()
    worker.send(C.WORK_COMPLETE, handle, b"\0result")
    assert client.receive() == (C.WORK_COMPLETE, (handle, b"\0result"))


@pytest.mark.parametrize("command", BACKGROUND, ids=lambda command: command.name)
def test_submit__background_hears_nothing(
    client: Peer, worker: Peer, function: str, command: Command
) -> None:
    handle = client.submit(function, command=command)
    worker.grab_handle()
    worker.send(C.WORK_DATA, handle, b"part").send(C.WORK_COMPLETE, handle, b"result").sync()
    client.sync()


def test_submit__handles_name_the_host_and_count(client: Peer, function: str) -> None:
    handles = [client.submit(function) for _ in range(2)]
    first, second = (re.fullmatch(rb"H:[^:]+:(\d+)", handle) for handle in handles)
    assert first and second
    assert int(first[1]) < int(second[1])


def test_submit__pipelined_are_answered_in_order(client: Peer, worker: Peer, function: str) -> None:
    payloads = [b"%d" % number for number in range(50)]
    client.write(
        b"".join(encode(C.SUBMIT_JOB_BG, function.encode(), fresh(), data) for data in payloads)
    )
    handles = [client.receive().args[0] for _ in payloads]
    taken = [worker.grab().args for _ in payloads]
    assert [(args[0], args[3]) for args in taken] == list(zip(handles, payloads, strict=True))


@pytest.mark.parametrize(
    "command", [C.SUBMIT_JOB, C.SUBMIT_JOB_BG], ids=lambda command: command.name
)
def test_submit__empty_payload_stays_empty(
    client: Peer, worker: Peer, function: str, command: Command
) -> None:
    client.submit(function, b"", command=command)
    assert worker.grab().args[3] == b""


def test_submit__large_payload_both_ways(client: Peer, worker: Peer, function: str) -> None:
    data = bytes(range(256)) * 16_384
    handle = client.submit(function, data, command=C.SUBMIT_JOB)
    assert worker.grab().args[3] == data
    worker.send(C.WORK_COMPLETE, handle, data)
    assert client.receive().args[1] == data


def test_submit__unique_too_long(client: Peer, function: str) -> None:
    client.write(_unchecked(C.SUBMIT_JOB_BG, function.encode(), b"u" * 65, b"data"))
    refused = client.receive()
    assert (refused.command, refused.args[0]) == (C.ERROR, b"ARGUMENT_TOO_LARGE")


def _unchecked(command: Command, *args: bytes) -> bytes:
    """Encode what our encoder refuses."""
    body = b"\0".join(args)
    return b"\0REQ" + command.to_bytes(4, "big") + len(body).to_bytes(4, "big") + body


# Coalescing


def test_coalescing__two_submits_one_job_two_results(
    client: Peer, worker: Peer, function: str
) -> None:
    unique = fresh()
    handles = [client.submit(function, unique=unique, command=C.SUBMIT_JOB) for _ in range(2)]
    assert handles[0] == handles[1]
    worker.grab_handle()
    assert worker.grab().command is C.NO_JOB
    worker.send(C.WORK_COMPLETE, handles[0], b"result")
    result = Packet(C.WORK_COMPLETE, (handles[0], b"result"))
    assert [client.receive(), client.receive()] == [result, result]


def test_coalescing__clients_of_two_connections(
    client: Peer, other_client: Peer, worker: Peer, function: str
) -> None:
    unique = fresh()
    handle = client.submit(function, unique=unique, command=C.SUBMIT_JOB)
    assert other_client.submit(function, unique=unique, command=C.SUBMIT_JOB) == handle
    worker.grab_handle()
    worker.send(C.WORK_DATA, handle, b"part").send(C.WORK_FAIL, handle)
    for each in (client, other_client):
        assert each.receive() == (C.WORK_DATA, (handle, b"part"))
        assert each.receive() == (C.WORK_FAIL, (handle,))


def test_coalescing__one_client_leaves_the_other_is_served(
    client: Peer, job_server: JobServer, worker: Peer, function: str
) -> None:
    unique = fresh()
    handle = client.submit(function, unique=unique, command=C.SUBMIT_JOB)
    with Peer(job_server) as leaving:
        leaving.submit(function, unique=unique, command=C.SUBMIT_JOB)
    wait_for(lambda: client.ask(C.GET_STATUS_UNIQUE, unique).args[5] == b"1", "the client to leave")
    assert worker.grab_handle() == handle
    worker.send(C.WORK_COMPLETE, handle, b"result")
    assert client.receive() == (C.WORK_COMPLETE, (handle, b"result"))


def test_coalescing__onto_a_running_job(client: Peer, worker: Peer, function: str) -> None:
    unique = fresh()
    handle = client.submit(function, unique=unique)
    worker.grab_handle()
    assert client.submit(function, unique=unique, command=C.SUBMIT_JOB) == handle
    worker.send(C.WORK_COMPLETE, handle, b"result")
    assert client.receive() == (C.WORK_COMPLETE, (handle, b"result"))


def test_coalescing__ends_with_the_job(client: Peer, worker: Peer, function: str) -> None:
    unique = fresh()
    first = client.submit(function, unique=unique)
    worker.grab_handle()
    worker.send(C.WORK_COMPLETE, first, b"").sync()
    assert client.submit(function, unique=unique) != first


def test_coalescing__the_first_payload_wins(client: Peer, worker: Peer, function: str) -> None:
    unique = fresh()
    for data in (b"first", b"second"):
        client.submit(function, data, unique=unique)
    assert worker.grab().args[3] == b"first"


def test_coalescing__the_first_priority_wins(client: Peer, worker: Peer, function: str) -> None:
    unique = fresh()
    low = client.submit(function, unique=unique, command=C.SUBMIT_JOB_LOW_BG)
    normal = client.submit(function)
    assert client.submit(function, unique=unique, command=C.SUBMIT_JOB_HIGH_BG) == low
    assert [worker.grab_handle(), worker.grab_handle()] == [normal, low]


def test_coalescing__not_across_functions(client: Peer, function: str) -> None:
    unique = fresh()
    assert client.submit(function, unique=unique) != client.submit(f"{function}.2", unique=unique)


def test_coalescing__never_with_an_empty_unique(client: Peer, function: str) -> None:
    assert client.submit(function, unique=b"") != client.submit(function, unique=b"")


def test_coalescing__a_dash_means_the_payload(client: Peer, worker: Peer, function: str) -> None:
    first = client.submit(function, b"same", unique=b"-")
    assert client.submit(function, b"same", unique=b"-") == first
    assert client.submit(function, b"other", unique=b"-") != first
    assert worker.grab().args[2] == b"-"


def test_coalescing__a_dash_with_an_empty_payload_is_nothing(client: Peer, function: str) -> None:
    assert client.submit(function, b"", unique=b"-") != client.submit(function, b"", unique=b"-")


# What a worker says on the way


def test_progress__is_forwarded_in_order_and_as_it_is(
    client: Peer, worker: Peer, function: str
) -> None:
    handle = client.submit(function, command=C.SUBMIT_JOB)
    worker.grab_handle()
    story = [
        Packet(C.WORK_DATA, (handle, b"\0part")),
        Packet(C.WORK_WARNING, (handle, b"")),
        Packet(C.WORK_STATUS, (handle, b"0.5", b"many")),
        Packet(C.WORK_COMPLETE, (handle, b"")),
    ]
    for command, args in story:
        worker.send(command, *args)
    assert [client.receive() for _ in story] == story


def test_exception__for_a_client_that_asked(client: Peer, worker: Peer, function: str) -> None:
    client.ask(C.OPTION_REQ, "exceptions")
    handle = client.submit(function, command=C.SUBMIT_JOB)
    worker.grab_handle()
    worker.send(C.WORK_EXCEPTION, handle, b"\0what")
    assert client.receive() == (C.WORK_EXCEPTION, (handle, b"\0what"))
    client.sync()


def test_exception__is_a_failure_for_any_other(client: Peer, worker: Peer, function: str) -> None:
    handle = client.submit(function, command=C.SUBMIT_JOB)
    worker.grab_handle()
    worker.send(C.WORK_EXCEPTION, handle, b"what")
    command, (failed,) = client.receive()
    assert (command, failed.removesuffix(b"\0")) == (C.WORK_FAIL, handle)
    client.sync()


# Status


def test_status__from_queued_to_forgotten(client: Peer, worker: Peer, function: str) -> None:
    handle = client.submit(function)

    def status() -> tuple[bytes, ...]:
        command, args = client.ask(C.GET_STATUS, handle)
        assert command is C.STATUS_RES
        assert args[0] == handle
        return args[1:]

    assert status() == (b"1", b"0", b"0", b"0")
    worker.grab_handle()
    assert status() == (b"1", b"1", b"0", b"0")
    worker.send(C.WORK_STATUS, handle, "3", "7").sync()
    assert status() == (b"1", b"1", b"3", b"7")
    worker.send(C.WORK_COMPLETE, handle, b"").sync()
    assert status() == (b"0", b"0", b"0", b"0")


@pytest.mark.parametrize(
    ("sent", "kept"), [("0.5", b"0"), ("xyz", b"0"), ("12px", b"12"), ("", b"0")]
)
def test_status__numbers_are_read_leniently(
    client: Peer, worker: Peer, function: str, sent: str, kept: bytes
) -> None:
    handle = client.submit(function)
    worker.grab_handle()
    worker.send(C.WORK_STATUS, handle, sent, "9").sync()
    assert client.ask(C.GET_STATUS, handle).args[3:] == (kept, b"9")


def test_status__by_unique(client: Peer, worker: Peer, function: str) -> None:
    unique = fresh()
    nothing = (unique, b"0", b"0", b"0", b"0", b"0")
    assert client.ask(C.GET_STATUS_UNIQUE, unique) == (C.STATUS_RES_UNIQUE, nothing)
    handle = client.submit(function, unique=unique, command=C.SUBMIT_JOB)
    assert client.ask(C.GET_STATUS_UNIQUE, unique).args[1:] == (b"1", b"0", b"0", b"0", b"1")
    worker.grab_handle()
    worker.send(C.WORK_STATUS, handle, "1", "2").sync()
    assert client.receive().command is C.WORK_STATUS
    assert client.ask(C.GET_STATUS_UNIQUE, unique).args[1:] == (b"1", b"1", b"1", b"2", b"1")


# Epoch


@pytest.mark.parametrize("epoch", ["1", "0", "-5", "", "abc"])
def test_epoch__past_or_nonsense_means_now(
    client: Peer, worker: Peer, function: str, epoch: str
) -> None:
    handle = client.ask(C.SUBMIT_JOB_EPOCH, function, fresh(), epoch, b"data").args[0]
    assert worker.grab_handle() == handle


def test_epoch__not_before_its_time(client: Peer, worker: Peer, function: str) -> None:
    epoch = int(time.time()) + 2
    handle = client.ask(C.SUBMIT_JOB_EPOCH, function, fresh(), str(epoch), b"data").args[0]
    assert client.ask(C.GET_STATUS, handle).args[1:] == (b"1", b"0", b"0", b"0")
    packet = wait_for(lambda: _job_or_none(worker), "the job to fall due")
    assert time.time() >= epoch
    assert packet.args[0] == handle


def _job_or_none(worker: Peer) -> Packet | None:
    packet = worker.grab()
    return packet if packet.command is C.JOB_ASSIGN_UNIQ else None


def test_epoch__a_waiting_job_does_not_hold_up_another(
    client: Peer, worker: Peer, function: str
) -> None:
    later = str(int(time.time()) + 3600)
    client.ask(C.SUBMIT_JOB_EPOCH, function, fresh(), later, b"later")
    handle = client.submit(function)
    assert worker.grab_handle() == handle


def test_epoch__a_submit_that_coalesces_waits_too(
    client: Peer, worker: Peer, function: str
) -> None:
    unique, later = fresh(), str(int(time.time()) + 3600)
    handle = client.ask(C.SUBMIT_JOB_EPOCH, function, unique, later, b"later").args[0]
    assert client.submit(function, unique=unique) == handle
    assert worker.grab().command is C.NO_JOB


# Reduce


@pytest.mark.parametrize("command", [C.SUBMIT_REDUCE_JOB, C.SUBMIT_REDUCE_JOB_BACKGROUND])
def test_reduce__the_worker_is_told_the_reducer(
    client: Peer, worker: Peer, function: str, command: Command
) -> None:
    unique = fresh()
    handle = client.ask(command, function, unique, "reducer", "0", b"da\0ta").args[0]
    expected = (handle, function.encode(), unique, b"reducer", b"da\0ta")
    assert worker.ask(C.GRAB_JOB_ALL) == (C.JOB_ASSIGN_ALL, expected)


@pytest.mark.parametrize("command", [C.GRAB_JOB, C.GRAB_JOB_UNIQ], ids=lambda c: c.name)
def test_reduce__is_an_ordinary_job_for_other_workers(
    client: Peer, worker: Peer, function: str, command: Command
) -> None:
    handle = client.ask(C.SUBMIT_REDUCE_JOB, function, fresh(), "reducer", "0", b"data").args[0]
    assigned = worker.ask(command)
    assert (assigned.args[0], assigned.args[-1]) == (handle, b"data")
    worker.send(C.WORK_COMPLETE, handle, b"result")
    assert client.receive() == (C.WORK_COMPLETE, (handle, b"result"))


def test_reduce__the_reducer_is_too_long(client: Peer, function: str) -> None:
    body = b"\0".join([function.encode(), fresh(), b"r" * 65, b"0", b"data"])
    client.write(b"\0REQ" + C.SUBMIT_REDUCE_JOB.to_bytes(4) + len(body).to_bytes(4) + body)
    assert client.receive().args[0] == b"ARGUMENT_TOO_LARGE"
    client.sync()


# Clients that leave


def wait_until_left(client: Peer, unique: bytes) -> None:
    """Wait until nobody waits for the job any more."""
    wait_for(lambda: client.ask(C.GET_STATUS_UNIQUE, unique).args[5] == b"0", "the client to leave")


def test_leaving__a_queued_job_never_runs(
    job_server: JobServer, client: Peer, worker: Peer, function: str
) -> None:
    with Peer(job_server) as leaving:
        unique = fresh()
        leaving.submit(function, unique=unique, command=C.SUBMIT_JOB)
    wait_until_left(client, unique)
    assert worker.grab().command is C.NO_JOB


def test_leaving__half_closing_is_leaving(
    job_server: JobServer, client: Peer, worker: Peer, function: str
) -> None:
    with Peer(job_server) as leaving:
        unique = fresh()
        leaving.submit(function, unique=unique, command=C.SUBMIT_JOB)
        leaving.socket.shutdown(socket.SHUT_WR)
        assert leaving.wait_closed() == []
    wait_until_left(client, unique)
    assert worker.grab().command is C.NO_JOB


def test_leaving__a_running_job_ends_quietly(
    job_server: JobServer, client: Peer, worker: Peer, function: str
) -> None:
    with Peer(job_server) as leaving:
        unique = fresh()
        handle = leaving.submit(function, unique=unique, command=C.SUBMIT_JOB)
        worker.grab_handle()
    wait_until_left(client, unique)
    worker.send(C.WORK_COMPLETE, handle, b"result").sync()
    assert client.ask(C.GET_STATUS, handle).args[1] == b"0"


def test_leaving__a_running_job_can_be_joined(
    job_server: JobServer, client: Peer, worker: Peer, function: str
) -> None:
    unique = fresh()
    with Peer(job_server) as leaving:
        handle = leaving.submit(function, unique=unique, command=C.SUBMIT_JOB)
        worker.grab_handle()
    wait_until_left(client, unique)
    assert client.submit(function, unique=unique, command=C.SUBMIT_JOB) == handle
    worker.send(C.WORK_COMPLETE, handle, b"result")
    assert client.receive() == (C.WORK_COMPLETE, (handle, b"result"))
