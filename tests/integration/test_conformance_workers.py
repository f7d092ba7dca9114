"""What a job server does for workers: the same story told to gearmand and to the embedded server."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

import pytest

from gearfleet.gearman.protocol import Command, Packet
from tests.support.peers import Peer, fresh
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.job_servers import JobServer

C = Command


def is_job_not_found(packet: Packet) -> bool:
    """Tell whether it is the error for a job that is not in hand; gearmand has two texts for it."""
    return (packet.command, packet.args[0]) == (C.ERROR, b"JOB_NOT_FOUND")


@pytest.fixture
def client(job_server: JobServer) -> Iterator[Peer]:
    with Peer(job_server) as peer:
        yield peer


@pytest.fixture
def worker(job_server: JobServer, function: str) -> Iterator[Peer]:
    with Peer(job_server) as peer:
        yield peer.register(function)


@pytest.fixture
def other_worker(job_server: JobServer, function: str) -> Iterator[Peer]:
    with Peer(job_server) as peer:
        yield peer.register(function)


def wait_for_retries(peer: Peer, handle: bytes, count: int = 1) -> None:
    """Wait until the job was given back `count` times."""

    def is_given_back() -> bool:
        row = peer.row("show jobs", handle)
        return row is not None and row.startswith(b"%d\t" % count)

    wait_for(is_given_back, f"{handle!r} to be given back {count} times")


# Grabbing


def test_grab__plain(client: Peer, worker: Peer, function: str) -> None:
    handle = client.submit(function, b"da\0ta")
    assert worker.ask(C.GRAB_JOB) == (C.JOB_ASSIGN, (handle, function.encode(), b"da\0ta"))


@pytest.mark.parametrize("command", [C.GRAB_JOB_UNIQ, C.GRAB_JOB_ALL], ids=lambda c: c.name)
def test_grab__with_the_unique(client: Peer, worker: Peer, function: str, command: Command) -> None:
    unique = fresh()
    handle = client.submit(function, b"da\0ta", unique=unique)
    expected = (handle, function.encode(), unique, b"da\0ta")
    assert worker.ask(command) == (C.JOB_ASSIGN_UNIQ, expected)


@pytest.mark.parametrize(
    "command", [C.GRAB_JOB, C.GRAB_JOB_UNIQ, C.GRAB_JOB_ALL], ids=lambda c: c.name
)
def test_grab__nothing_there(worker: Peer, command: Command) -> None:
    assert worker.ask(command) == (C.NO_JOB, ())


def test_grab__nothing_without_can_do(job_server: JobServer, client: Peer, function: str) -> None:
    client.submit(function)
    with Peer(job_server) as stranger:
        assert stranger.grab().command is C.NO_JOB


def test_grab__several_at_once(client: Peer, worker: Peer, function: str) -> None:
    handles = [client.submit(function) for _ in range(3)]
    for _ in range(4):
        worker.send(C.GRAB_JOB_UNIQ)
    assert [worker.receive().args[0] for _ in handles] == handles
    assert worker.receive().command is C.NO_JOB


def test_order__high_normal_low_and_first_in_first_out(
    client: Peer, worker: Peer, function: str
) -> None:
    commands = [C.SUBMIT_JOB_LOW_BG, C.SUBMIT_JOB_BG, C.SUBMIT_JOB_HIGH_BG]
    low, normal, high = (
        [client.submit(function, command=command) for _ in range(2)] for command in commands
    )
    assert [worker.grab_handle() for _ in range(6)] == [*high, *normal, *low]


def test_order__the_last_registered_function_first(
    job_server: JobServer, client: Peer, function: str
) -> None:
    first, last = f"{function}.1", f"{function}.2"
    high = client.submit(first, command=C.SUBMIT_JOB_HIGH_BG)
    low = client.submit(last, command=C.SUBMIT_JOB_LOW_BG)
    with Peer(job_server) as worker:
        worker.register(first, last)
        assert [worker.grab_handle(), worker.grab_handle()] == [low, high]


# Sleeping and waking


def test_sleep__woken_by_a_submit(client: Peer, worker: Peer, function: str) -> None:
    worker.send(C.PRE_SLEEP).sync()
    client.submit(function)
    assert worker.receive() == (C.NOOP, ())


def test_sleep__every_sleeper_is_woken(
    client: Peer, worker: Peer, other_worker: Peer, function: str
) -> None:
    for each in (worker, other_worker):
        each.send(C.PRE_SLEEP).sync()
    client.submit(function)
    assert [worker.receive().command, other_worker.receive().command] == [C.NOOP, C.NOOP]


def test_sleep__not_while_there_is_a_job(client: Peer, worker: Peer, function: str) -> None:
    client.submit(function)
    assert worker.ask(C.PRE_SLEEP) == (C.NOOP, ())


def test_sleep__woken_once(client: Peer, worker: Peer, function: str) -> None:
    worker.send(C.PRE_SLEEP).sync()
    for _ in range(3):
        client.submit(function)
    assert worker.receive().command is C.NOOP
    worker.sync()


def test_sleep__nobody_is_woken_who_does_not_sleep(
    client: Peer, worker: Peer, function: str
) -> None:
    client.submit(function)
    worker.sync()


def test_sleep__ended_by_a_grab(client: Peer, worker: Peer, function: str) -> None:
    worker.send(C.PRE_SLEEP)
    assert worker.grab().command is C.NO_JOB
    client.submit(function)
    worker.sync()


def test_sleep__woken_again_after_a_grab(client: Peer, worker: Peer, function: str) -> None:
    for _ in range(3):
        worker.send(C.PRE_SLEEP).sync()
        handle = client.submit(function)
        assert worker.receive().command is C.NOOP
        assert worker.grab_handle() == handle


def test_sleep__woken_for_a_function_learnt_asleep(
    client: Peer, worker: Peer, function: str
) -> None:
    worker.send(C.PRE_SLEEP).register(f"{function}.2")
    client.submit(f"{function}.2")
    assert worker.receive().command is C.NOOP


def test_sleep__learning_a_function_with_jobs_wakes_nobody(
    client: Peer, worker: Peer, function: str
) -> None:
    client.submit(f"{function}.2")
    worker.send(C.PRE_SLEEP).sync()
    worker.register(f"{function}.2")


def test_sleep__not_woken_for_a_function_unlearnt(
    client: Peer, worker: Peer, function: str
) -> None:
    worker.send(C.PRE_SLEEP).send(C.CANT_DO, function).sync()
    client.submit(function)
    worker.sync()


def test_sleep__woken_when_another_dies(
    client: Peer, worker: Peer, other_worker: Peer, function: str
) -> None:
    handle = client.submit(function)
    other_worker.grab_handle()
    worker.send(C.PRE_SLEEP).sync()
    other_worker.close()
    assert worker.receive().command is C.NOOP
    assert worker.grab_handle() == handle


# Death


def reset(peer: Peer) -> None:
    """Close with RST instead of FIN."""
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


@pytest.mark.parametrize("die", [Peer.close, reset], ids=["fin", "rst"])
def test_death__the_job_goes_to_another_and_the_client_hears_only_the_result(
    client: Peer, worker: Peer, other_worker: Peer, function: str, die: Callable[[Peer], None]
) -> None:
    unique = fresh()
    handle = client.submit(function, b"data", unique=unique, command=C.SUBMIT_JOB)
    worker.grab_handle()
    die(worker)
    wait_for_retries(other_worker, handle)
    assert other_worker.grab().args == (handle, function.encode(), unique, b"data")
    other_worker.send(C.WORK_COMPLETE, handle, b"result")
    assert client.receive() == (C.WORK_COMPLETE, (handle, b"result"))


def test_death__the_job_goes_to_the_tail_of_its_priority(
    client: Peer, worker: Peer, other_worker: Peer, function: str
) -> None:
    first, second = client.submit(function), client.submit(function)
    low = client.submit(function, command=C.SUBMIT_JOB_LOW_BG)
    assert worker.grab_handle() == first
    worker.close()
    wait_for_retries(other_worker, first)
    assert [other_worker.grab_handle() for _ in range(3)] == [second, first, low]


def test_death__jobs_in_hand_are_given_back_last_first(
    client: Peer, worker: Peer, other_worker: Peer, function: str
) -> None:
    handles = [client.submit(function) for _ in range(3)]
    for _ in handles:
        worker.grab_handle()
    worker.close()
    wait_for_retries(other_worker, handles[0])
    assert [other_worker.grab_handle() for _ in handles] == handles[::-1]


def test_death__retries_are_counted(client: Peer, job_server: JobServer, function: str) -> None:
    handle = client.submit(function)
    for count in (1, 2, 3):
        with Peer(job_server) as worker:
            assert worker.register(function).grab_handle() == handle
        wait_for_retries(client, handle, count)


def test_death__an_unwanted_job_dies_with_its_worker(
    job_server: JobServer, client: Peer, worker: Peer, other_worker: Peer, function: str
) -> None:
    with Peer(job_server) as leaving:
        handle = leaving.submit(function, command=C.SUBMIT_JOB)
        worker.grab_handle()
    wait_for(lambda: client.row("show jobs", handle) == b"0\t1\t0", "the client to leave")
    worker.close()
    wait_for(lambda: client.ask(C.GET_STATUS, handle).args[2] == b"0", "the worker to leave")
    assert other_worker.grab().command is C.NO_JOB


# Registering


def test_cant_do__gives_running_jobs_back(
    client: Peer, worker: Peer, other_worker: Peer, function: str
) -> None:
    handle = client.submit(function)
    worker.grab_handle()
    worker.send(C.CANT_DO, function).sync()
    assert other_worker.grab_handle() == handle
    assert is_job_not_found(worker.ask(C.WORK_COMPLETE, handle, b"late"))
    assert worker.grab().command is C.NO_JOB


def test_cant_do__of_another_function_is_harmless(
    client: Peer, worker: Peer, function: str
) -> None:
    handle = client.submit(function, command=C.SUBMIT_JOB)
    worker.grab_handle()
    worker.send(C.CANT_DO, f"{function}.2").send(C.WORK_COMPLETE, handle, b"result").sync()
    assert client.receive() == (C.WORK_COMPLETE, (handle, b"result"))


def test_reset_abilities__gives_all_running_jobs_back(
    client: Peer, worker: Peer, other_worker: Peer, function: str
) -> None:
    handles = [client.submit(function) for _ in range(3)]
    for _ in handles:
        worker.grab_handle()
    worker.send(C.RESET_ABILITIES).sync()
    assert [other_worker.grab_handle() for _ in handles] == handles[::-1]
    assert worker.grab().command is C.NO_JOB


def test_can_do__a_repeat_counts_and_one_cant_do_undoes_all(worker: Peer, function: str) -> None:
    worker.register(function, function)
    assert worker.row("status", function) == b"0\t0\t3"
    worker.send(C.CANT_DO, function).sync()
    assert worker.row("status", function) == b"0\t0\t0"


def test_can_do__workers_that_leave_are_not_counted(
    client: Peer, worker: Peer, other_worker: Peer, function: str
) -> None:
    assert client.row("status", function) == b"0\t0\t2"
    worker.close()
    wait_for(lambda: client.row("status", function) == b"0\t0\t1", "the worker to be gone")


# Results


@pytest.mark.parametrize(
    ("command", "args"),
    [
        (C.WORK_COMPLETE, [b"data"]),
        (C.WORK_FAIL, []),
        (C.WORK_EXCEPTION, [b"data"]),
        (C.WORK_DATA, [b"data"]),
        (C.WORK_WARNING, [b"data"]),
        (C.WORK_STATUS, [b"1", b"2"]),
    ],
    ids=lambda value: value.name if isinstance(value, Command) else "",
)
@pytest.mark.parametrize("whose", ["unknown", "queued", "another's", "finished"])
def test_result__only_for_a_job_in_hand(
    client: Peer,
    worker: Peer,
    other_worker: Peer,
    function: str,
    whose: str,
    command: Command,
    args: list[bytes],
) -> None:
    handle = b"H:nowhere:1" if whose == "unknown" else client.submit(function)
    if whose == "another's":
        assert other_worker.grab_handle() == handle
    if whose == "finished":
        assert worker.grab_handle() == handle
        worker.send(C.WORK_COMPLETE, handle, b"")
    assert is_job_not_found(worker.ask(command, handle, *args))
    worker.sync()


@pytest.mark.parametrize("command", [C.WORK_FAIL, C.WORK_EXCEPTION], ids=lambda c: c.name)
def test_result__failure_is_final(
    client: Peer, worker: Peer, function: str, command: Command
) -> None:
    handle = client.submit(function)
    worker.grab_handle()
    worker.send(command, handle, *([b"why"] if command is C.WORK_EXCEPTION else [])).sync()
    assert client.ask(C.GET_STATUS, handle).args[1] == b"0"
    assert worker.grab().command is C.NO_JOB


def test_result__of_several_jobs_in_any_order(client: Peer, worker: Peer, function: str) -> None:
    handles = [client.submit(function, command=C.SUBMIT_JOB) for _ in range(3)]
    for _ in handles:
        worker.grab_handle()
    for handle in reversed(handles):
        worker.send(C.WORK_COMPLETE, handle, handle)
    assert [client.receive().args[0] for _ in handles] == handles[::-1]
