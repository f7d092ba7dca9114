"""A job server that says anything at all: client, worker and admin client stay in one piece.

Whatever comes, and in whatever pieces: a call ends with a result or with one of
our errors, the worker's loop goes on, and no more memory is taken than the limits allow.
"""

from __future__ import annotations

import contextlib
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gearfleet.errors import GearmanError, JobFailed, ProtocolError
from gearfleet.gearman import (
    GearmanAdminClient,
    GearmanClient,
    GearmanJob,
    GearmanJobRequest,
    GearmanWorker,
    Timing,
)
from gearfleet.gearman.machine import Machine
from gearfleet.gearman.protocol import ARGUMENTS, Command, Packet, PacketReader
from gearfleet.gearman.session import ClientSession, Question
from gearfleet.gearman.streams import StreamedRequest
from tests.support.listeners import Listener

if TYPE_CHECKING:
    from collections.abc import Callable

C = Command

HANDLES = st.sampled_from([b"H:x:1", b"H:x:2", b"", b"H" * 64, b"\xff", b"H:x:1\0"])
NUMBERS = st.sampled_from([b"0", b"1", b"-1", b"", b"x", b"1e9", b"nan", b"inf", b"9" * 5000])
VALUES = {
    "handle": HANDLES,
    "function": st.sampled_from([b"f", b"g", b"", b"two words", b"\xff", b"f" * 300]),
    "unique": st.sampled_from([b"u", b"", b"u" * 70]),
    "numerator": NUMBERS,
    "denominator": NUMBERS,
    "known": NUMBERS,
    "running": NUMBERS,
    "waiting": NUMBERS,
    "option": st.just(b"exceptions"),
}
ANY_VALUE = st.binary(max_size=20)


def answer(command: int, *args: bytes) -> bytes:
    body = b"\0".join(args)
    return b"\0RES" + command.to_bytes(4, "big") + len(body).to_bytes(4, "big") + body


def answers_of(command: Command) -> st.SearchStrategy[bytes]:
    values = (VALUES.get(name, ANY_VALUE) for name in ARGUMENTS[command])
    return st.tuples(*values).map(lambda args: answer(command, *args))


ANSWERS = st.sampled_from(sorted(Command)).flatmap(answers_of)
LIKELY = st.sampled_from(
    [C.JOB_CREATED, C.WORK_DATA, C.WORK_STATUS, C.WORK_COMPLETE, C.WORK_FAIL, C.WORK_EXCEPTION,
     C.ERROR, C.STATUS_RES, C.STATUS_RES_UNIQUE, C.OPTION_RES, C.ECHO_RES]
).flatmap(answers_of)  # fmt: skip
FOR_WORKERS = st.sampled_from(
    [C.JOB_ASSIGN_UNIQ, C.JOB_ASSIGN_UNIQ, C.NOOP, C.NO_JOB, C.ERROR]
).flatmap(answers_of)
MUTATIONS = st.lists(
    st.tuples(st.integers(0, 400), st.integers(0, 3), st.binary(max_size=4)), max_size=3
)
SIZES = st.integers(1, 64)


def mutate(data: bytes, mutations: list[tuple[int, int, bytes]]) -> bytes:
    """Cut `length` bytes at each place and put others there."""
    for place, length, inserted in mutations:
        data = data[:place] + inserted + data[place + length :]
    return data


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


# Without I/O: many examples


def new_session() -> tuple[ClientSession, list[GearmanJobRequest], list[Question]]:
    session = ClientSession("the job server")
    requests = [
        kind(GearmanJob(None, None, "f", f"u{number}", b"x"), background=background)
        for number, (kind, background) in enumerate(
            [(GearmanJobRequest, False), (StreamedRequest, False), (GearmanJobRequest, True)] * 2
        )
    ]
    questions = [Question(C.STATUS_RES), Question(C.STATUS_RES_UNIQUE), Question(C.ECHO_RES)]
    for owed in [*requests, *questions]:
        session.expect(owed)
    return session, requests, questions


def story_of(session: ClientSession, chunks: list[bytes]) -> str | None:
    """Let the session hear the chunks; return the error that ended it, if one did."""
    reader = PacketReader(max_body_bytes=100_000)
    try:
        for chunk in chunks:
            reader.feed(chunk)
            for packet in reader.packets():
                session.receive(packet)
    except ProtocolError as error:
        return str(error)
    return None


def outcome(requests: list[GearmanJobRequest]) -> list[tuple[Any, ...]]:
    return [
        (each.state, each.result, each.exception, str(each.error), list(each.data_updates))
        for each in requests
    ]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(LIKELY, ANSWERS), max_size=20), MUTATIONS, SIZES)
def test_session__any_answers_give_results_or_a_protocol_error(
    said: list[bytes], mutations: list[tuple[int, int, bytes]], size: int
) -> None:
    session, requests, questions = new_session()
    error = story_of(session, pieces(mutate(b"".join(said), mutations), size))
    session.lost(GearmanError(error or "closed"))
    # Nobody waits for ever: what had no answer has an error.
    assert all(each.is_settled and each.is_accepted for each in requests)
    assert all(each.is_answered for each in questions)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(LIKELY, ANSWERS), max_size=20), SIZES)
def test_session__any_split_has_the_same_outcome(said: list[bytes], size: int) -> None:
    whole, split = new_session(), new_session()
    wire = b"".join(said)
    assert story_of(whole[0], [wire]) == story_of(split[0], pieces(wire, size))
    assert outcome(whole[1]) == outcome(split[1])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(FOR_WORKERS, ANSWERS), max_size=20), MUTATIONS, SIZES)
def test_machine__any_answers_give_jobs_or_a_protocol_error(
    said: list[bytes], mutations: list[tuple[int, int, bytes]], size: int
) -> None:
    machine, reader = Machine(prefetch=3), PacketReader(max_body_bytes=100_000)
    machine.greet([b"f"], b"id", 0.0)
    machine.receive(Packet(C.ECHO_RES, (b"gearfleet probe",)), 0.0)
    taken = granted = 0
    with contextlib.suppress(ProtocolError):
        for chunk in pieces(mutate(b"".join(said), mutations), size):
            reader.feed(chunk)
            for packet in reader.packets():
                granted += (count := machine.wanted_grabs)
                machine.grab(count, 0.0)
                taken += machine.receive(packet, 0.0) is not None
    assert taken <= granted  # never a job that was not asked for


# With sockets: a call ends


def hostile(chunks: list[bytes]) -> Callable[[Listener], None]:
    """Greet as a job server does, and then say `chunks` instead of answering."""

    def story(listener: Listener) -> None:
        while True:
            connection = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.recv(4096)
            connection.sendall(answer(C.OPTION_RES, b"exceptions"))
            connection.recv(4096)
            for chunk in chunks:
                connection.sendall(chunk)
            connection.shutdown(socket.SHUT_WR)

    return story


CALLS: dict[str, Callable[[GearmanClient], object]] = {
    "submit": lambda client: client.submit_job("f", b"x", poll_timeout=5),
    "background": lambda client: client.submit_job("f", b"x", background=True, poll_timeout=5),
    "bulk": lambda client: client.submit_multiple_jobs(
        [{"task": "f", "data": b"x"}] * 3, poll_timeout=5
    ),
    "stream": lambda client: list(client.stream("f", b"x", poll_timeout=5)),
    "unique": lambda client: client.get_status(unique="u", poll_timeout=5),
    "handle": lambda client: client.get_status(handle="H:x:1", poll_timeout=5),
}

SLOW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@SLOW
@given(
    st.sampled_from(sorted(CALLS)),
    st.lists(st.one_of(LIKELY, ANSWERS), max_size=8),
    MUTATIONS,
    SIZES,
)
def test_client__a_call_ends_with_a_result_or_one_of_our_errors(
    call: str, said: list[bytes], mutations: list[tuple[int, int, bytes]], size: int
) -> None:
    chunks = pieces(mutate(b"".join(said), mutations), size)
    began = time.monotonic()
    with (
        Listener(hostile(chunks)) as listener,
        GearmanClient([listener.address]) as client,
        contextlib.suppress(GearmanError, JobFailed),
    ):
        CALLS[call](client)
    assert time.monotonic() - began < 5


class Patient(GearmanWorker):
    """Leaves when it has met the job server."""

    met = 0

    def after_poll(self, any_activity: bool) -> bool:
        self.met += any_activity
        return self.met < 8


@SLOW
@given(st.lists(st.one_of(FOR_WORKERS, ANSWERS), max_size=8), MUTATIONS, SIZES)
def test_worker__its_loop_goes_on(
    said: list[bytes], mutations: list[tuple[int, int, bytes]], size: int
) -> None:
    chunks = pieces(mutate(b"".join(said), mutations), size)

    def story(listener: Listener) -> None:
        while True:
            connection = listener.accept()
            connection.recv(4096)
            connection.sendall(answer(C.ECHO_RES, b"gearfleet probe"))
            connection.recv(4096)
            for chunk in chunks:
                connection.sendall(chunk)
            connection.shutdown(socket.SHUT_WR)

    quick = Timing(grab_timeout=0.2, heartbeat_limit=0.2, leave_timeout=0.2)
    with Listener(story) as listener:
        worker = Patient([listener.address], timing=quick)
        worker.register_task("f", lambda job: job.data)
        worker.work(poll_timeout=0.05)


ADMIN_CALLS = [
    "status", "priority_status", "workers", "jobs", "unique_jobs", "version", "getpid", "verbose",
    "ping_server", "get_status", "get_workers", "get_jobs", "get_unique_jobs", "get_pid",
]  # fmt: skip
LINES = st.one_of(
    st.binary(max_size=30),
    st.sampled_from(
        [b"f\t1\t0\t2\r\n.\r\n", b"OK 1.2\r\n", b"OK\r\n", b"ERR UNKNOWN_JOB\r\n", b"ERR\r\n",
         b"OK " + b"9" * 5000 + b"\n", b"f\t" + b"9" * 5000 + b"\t0\t0\n", b".\n", b"x" * 9000,
         b"7 ::1 a b : f g\n", "OK ²\n".encode(), "f\t²\t0\t0\n".encode()]
    ),
)  # fmt: skip


@SLOW
@given(st.sampled_from(ADMIN_CALLS), st.lists(LINES, max_size=8), SIZES)
def test_admin__a_call_ends_with_an_answer_or_one_of_our_errors(
    method: str, said: list[bytes], size: int
) -> None:
    def story(listener: Listener) -> None:
        connection = listener.accept()
        connection.recv(4096)
        for chunk in pieces(b"".join(said), max(size, 16)):
            connection.sendall(chunk)
        connection.shutdown(socket.SHUT_WR)

    with (
        Listener(story) as listener,
        GearmanAdminClient([listener.address], 5) as admin,
        contextlib.suppress(GearmanError),
    ):
        getattr(admin, method)()


# Single traps


@pytest.mark.parametrize("handle", [b"H" * 64, b"H:\xff", b""], ids=["long", "bytes", "empty"])
def test_worker__a_handle_that_cannot_be_sent_back_ends_the_connection_only(handle: bytes) -> None:
    ran = []

    def story(listener: Listener) -> None:
        for name in (handle, b"H:x:1"):
            connection = listener.accept()
            connection.recv(4096)
            connection.sendall(answer(C.ECHO_RES, b"gearfleet probe"))
            connection.recv(4096)
            connection.sendall(answer(C.JOB_ASSIGN_UNIQ, name, b"f", b"u", name))
            while connection.recv(4096):
                if name == handle and len(handle) != 64:
                    connection.shutdown(socket.SHUT_RDWR)

    with Listener(story) as listener:
        worker = GearmanWorker([listener.address], timing=Timing(leave_timeout=0.1))

        def work(job: GearmanJob) -> bytes:
            ran.append(job.handle)
            if job.handle == "H:x:1":
                worker.shutdown()
            return b""

        worker.register_task("f", work)
        worker.work()
    assert ran[-1] == "H:x:1"


def test_worker__a_job_that_it_never_asked_for_fails_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told = []

    def story(listener: Listener) -> None:
        connection = listener.accept()
        connection.recv(4096)
        connection.sendall(answer(C.ECHO_RES, b"gearfleet probe"))
        connection.recv(4096)
        connection.sendall(answer(C.JOB_ASSIGN_UNIQ, b"H:\xff", b"\xfe", b"u", b""))
        told.append(connection.recv(4096))
        worker.shutdown()

    with Listener(story) as listener:
        worker = GearmanWorker([listener.address], timing=Timing(leave_timeout=0.1))
        worker.register_task("f", lambda job: job.data)
        worker.work()
    assert b"never registered" in told[0]
    # A log that is written as UTF-8 takes it.
    assert b"Job H:\\udcff of \\udcfe failed" in caplog.text.encode()


def test_silence__after_half_a_packet_ends_in_time() -> None:
    def story(listener: Listener) -> None:
        connection = listener.accept()
        connection.recv(4096)
        connection.sendall(answer(C.OPTION_RES, b"exceptions"))
        connection.recv(4096)
        connection.sendall(answer(C.JOB_CREATED, b"H:x:1")[:-3])
        connection.recv(4096)

    began = time.monotonic()
    with Listener(story) as listener:
        client = GearmanClient([listener.address], heartbeat_limit=0.3)
        with client, pytest.raises(GearmanError, match="silent"):
            client.submit_job("f", b"x")
    assert time.monotonic() - began < 5


def test_size__that_is_only_claimed_takes_no_memory() -> None:
    header = b"\0RES" + int(C.WORK_COMPLETE).to_bytes(4, "big") + b"\xff\xff\xff\xff"
    reader = PacketReader()
    reader.feed(header)
    with pytest.raises(ProtocolError, match="4294967295 bytes is over the limit"):
        reader.next_packet()


@pytest.mark.parametrize("said", [answer(C.JOB_CREATED, b"H:x:1"), answer(C.ECHO_RES, b"")])
def test_answer_that_is_not_due__leaves_no_request_behind(said: bytes) -> None:
    request = GearmanJobRequest(GearmanJob(None, None, "f", "u", b"x"))
    question = Question(C.STATUS_RES)
    for owed in ([question, request], [request, question]):
        session = ClientSession("the job server")
        for each in owed:
            session.expect(each)
        error = story_of(session, [said * 2])
        assert error is not None
        session.lost(GearmanError(error))
        assert request.is_settled
        assert question.is_answered
