"""The semantics of the embedded server as transcripts, with a clock that the test turns."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from gearfleet.gearman.protocol import Command, Packet
from gearfleet.gearman.server.admin import reply_to
from gearfleet.gearman.server.commands import answer
from gearfleet.gearman.server.jobs import Peer
from gearfleet.gearman.server.queues import JobQueues

C = Command


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Wire:
    """A connection without a socket: what is said goes straight in, what comes out is kept."""

    queues: JobQueues
    heard: list[Packet] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.peer = Peer(self._hear)
        self.queues.connect(self.peer)

    def _hear(self, command: Command, /, *args: bytes) -> None:
        self.heard.append(Packet(command, args))

    def say(self, command: Command, *args: bytes) -> list[Packet]:
        """Send a packet; return all that this connection heard since it last asked."""
        answer(self.queues, self.peer, Packet(command, args))
        return self.listen()

    def listen(self) -> list[Packet]:
        heard, self.heard = self.heard, []
        return heard

    def submit(
        self, unique: bytes, command: Command = C.SUBMIT_JOB, data: bytes = b"data"
    ) -> bytes:
        (created,) = self.say(command, b"f", unique, data)
        assert created.command is C.JOB_CREATED, created
        return created.args[0]

    def grab(self) -> bytes | None:
        """Return the handle of the job that a GRAB gave, or None."""
        (packet,) = self.say(C.GRAB_JOB_UNIQ)
        return packet.args[0] if packet.command is C.JOB_ASSIGN_UNIQ else None

    def leave(self) -> None:
        self.queues.disconnect(self.peer)


class Server:
    def __init__(self) -> None:
        self.clock = Clock()
        self.queues = JobQueues(host="host", clock=self.clock)

    def client(self) -> Wire:
        return Wire(self.queues)

    def worker(self) -> Wire:
        wire = Wire(self.queues)
        wire.say(C.CAN_DO, b"f")
        return wire

    def turn_clock(self, seconds: float) -> None:
        self.clock.now += seconds
        self.queues.run_due()

    def text(self, line: bytes) -> bytes:
        return reply_to(self.queues, line)

    def assert_forgotten(self) -> None:
        """Nothing of any job is left anywhere."""
        assert self.queues.jobs == {}
        assert self.queues.next_due is None
        for function in self.queues.functions.values():
            assert (function.total, function.uniques) == (0, {})
        for peer in self.queues.peers:
            assert (peer.holds, peer.awaits) == ({}, {})


@pytest.fixture
def server() -> Server:
    return Server()


def test_job__from_submit_to_result(server: Server) -> None:
    client, worker = server.client(), server.worker()
    assert worker.say(C.PRE_SLEEP) == []
    assert client.say(C.SUBMIT_JOB, b"f", b"u", b"data") == [(C.JOB_CREATED, (b"H:host:1",))]
    assert worker.listen() == [(C.NOOP, ())]
    assert worker.say(C.GRAB_JOB) == [(C.JOB_ASSIGN, (b"H:host:1", b"f", b"data"))]
    assert worker.say(C.WORK_COMPLETE, b"H:host:1", b"result") == []
    assert client.listen() == [(C.WORK_COMPLETE, (b"H:host:1", b"result"))]
    server.assert_forgotten()


def test_handle__fits_whatever_the_host_is_called() -> None:
    queues = JobQueues(host="a b\u00fc" * 40, clock=Clock())
    handle = queues.submit(b"f", b"u", b"").handle
    assert len(handle) <= 63 - 19
    assert b" " not in handle


# F1: an abandoned unique


def test_abandoned__queued_job_is_forgotten_at_once(server: Server) -> None:
    client = server.client()
    client.submit(b"u")
    client.leave()
    server.assert_forgotten()


@pytest.mark.parametrize("command", [C.SUBMIT_JOB, C.SUBMIT_JOB_BG])
def test_abandoned__a_later_submit_is_a_new_job(server: Server, command: Command) -> None:
    leaving, client, worker = server.client(), server.client(), server.worker()
    abandoned = leaving.submit(b"u")
    leaving.leave()
    handle = client.submit(b"u", command)
    assert handle != abandoned
    assert [worker.grab(), worker.grab()] == [handle, None]


def test_abandoned__running_job_that_somebody_joins_survives_its_worker(server: Server) -> None:
    leaving, client = server.client(), server.client()
    first, second = server.worker(), server.worker()
    handle = leaving.submit(b"u")
    first.grab()
    leaving.leave()
    assert client.submit(b"u") == handle
    first.leave()
    assert second.grab() == handle
    second.say(C.WORK_COMPLETE, handle, b"result")
    assert client.listen() == [(C.WORK_COMPLETE, (handle, b"result"))]


def test_abandoned__running_job_dies_with_its_worker(server: Server) -> None:
    leaving, worker = server.client(), server.worker()
    leaving.submit(b"u")
    worker.grab()
    leaving.leave()
    worker.leave()
    server.assert_forgotten()


def test_abandoned__not_while_one_of_two_waits(server: Server) -> None:
    client, leaving, worker = server.client(), server.client(), server.worker()
    handle = client.submit(b"u")
    leaving.submit(b"u")
    leaving.leave()
    assert worker.grab() == handle


# F2: foreground and background on one unique


@pytest.mark.parametrize(
    "order", [[C.SUBMIT_JOB, C.SUBMIT_JOB_BG], [C.SUBMIT_JOB_BG, C.SUBMIT_JOB]]
)
def test_background__outlives_the_foreground_client(server: Server, order: list[Command]) -> None:
    client, worker = server.client(), server.worker()
    handle = {client.submit(b"u", command) for command in order}.pop()
    client.leave()
    assert worker.grab() == handle


@pytest.mark.parametrize(
    "order", [[C.SUBMIT_JOB, C.SUBMIT_JOB_BG], [C.SUBMIT_JOB_BG, C.SUBMIT_JOB]]
)
def test_background__running_is_given_back_when_the_worker_dies(
    server: Server, order: list[Command]
) -> None:
    client, first, second = server.client(), server.worker(), server.worker()
    handle = {client.submit(b"u", command) for command in order}.pop()
    first.grab()
    client.leave()
    first.leave()
    assert second.grab() == handle


# F3: cancel


def test_cancel__queued_is_removed_at_once(server: Server) -> None:
    client = server.client()
    handle = client.submit(b"u")
    assert server.text(b"cancel job " + handle) == b"OK\r\n"
    assert client.listen() == [(C.WORK_FAIL, (handle,))]
    server.assert_forgotten()


def test_cancel__its_unique_is_free(server: Server) -> None:
    client, worker = server.client(), server.worker()
    server.text(b"cancel job " + client.submit(b"u", C.SUBMIT_JOB_BG))
    handle = client.submit(b"u", C.SUBMIT_JOB_BG)
    assert [worker.grab(), worker.grab()] == [handle, None]


def test_cancel__running_ends_once_for_the_client(server: Server) -> None:
    client, worker = server.client(), server.worker()
    handle = client.submit(b"u")
    worker.grab()
    assert server.text(b"cancel job " + handle) == b"OK\r\n"
    assert worker.say(C.WORK_COMPLETE, handle, b"result") == []
    assert client.listen() == [(C.WORK_FAIL, (handle,))]
    server.assert_forgotten()


def test_cancel__running_is_neither_joined_nor_run_again(server: Server) -> None:
    client, worker = server.client(), server.worker()
    cancelled = client.submit(b"u", C.SUBMIT_JOB_BG)
    worker.grab()
    server.text(b"cancel job " + cancelled)
    handle = client.submit(b"u", C.SUBMIT_JOB_BG)
    assert handle != cancelled
    worker.leave()
    other = server.worker()
    assert [other.grab(), other.grab()] == [handle, None]


def test_cancel__not_yet_due(server: Server) -> None:
    client = server.client()
    (created,) = client.say(C.SUBMIT_JOB_EPOCH, b"f", b"u", b"5000", b"data")
    assert server.text(b"cancel job " + created.args[0]) == b"OK\r\n"
    server.assert_forgotten()


# F4: time limits


def limited_worker(server: Server, timeout_ms: bytes) -> Wire:
    worker = server.client()
    worker.say(C.CAN_DO_TIMEOUT, b"f", timeout_ms)
    return worker


def test_time_limit__fails_the_job(server: Server) -> None:
    client, worker = server.client(), limited_worker(server, b"1500")
    handle = client.submit(b"u")
    worker.grab()
    server.turn_clock(1.4)
    assert client.listen() == []
    server.turn_clock(0.1)
    assert client.listen() == [(C.WORK_FAIL, (handle,))]
    assert worker.say(C.WORK_COMPLETE, handle, b"late")[0].args[0] == b"JOB_NOT_FOUND"
    server.assert_forgotten()


def test_time_limit__ends_with_its_job(server: Server) -> None:
    client, worker = server.client(), limited_worker(server, b"1000")
    first, second = client.submit(b"1"), client.submit(b"2")
    worker.grab()
    worker.say(C.WORK_COMPLETE, first, b"")
    server.turn_clock(0.9)
    assert worker.grab() == second
    client.listen()
    server.turn_clock(0.9)
    assert client.listen() == []
    server.turn_clock(0.1)
    assert client.listen() == [(C.WORK_FAIL, (second,))]


def test_time_limit__does_not_follow_a_job_that_is_given_back(server: Server) -> None:
    client, limited, free = server.client(), limited_worker(server, b"1000"), server.worker()
    handle = client.submit(b"u")
    limited.grab()
    limited.leave()
    assert free.grab() == handle
    server.turn_clock(5)
    assert client.listen() == []


@pytest.mark.parametrize("timeout_ms", [b"0", b"-5", b"soon", b""])
def test_time_limit__none(server: Server, timeout_ms: bytes) -> None:
    client, worker = server.client(), limited_worker(server, timeout_ms)
    client.submit(b"u")
    assert worker.grab()
    assert server.queues.next_due is None


def test_time_limit__lifted_by_a_plain_can_do(server: Server) -> None:
    client, worker = server.client(), limited_worker(server, b"1000")
    worker.say(C.CAN_DO, b"f")
    client.submit(b"u")
    assert worker.grab()
    assert server.queues.next_due is None


# F5, F6: jobs that are not yet due


def test_epoch__wakes_a_sleeper_when_due(server: Server) -> None:
    client, worker = server.client(), server.worker()
    worker.say(C.PRE_SLEEP)
    (created,) = client.say(C.SUBMIT_JOB_EPOCH, b"f", b"u", b"1010", b"data")
    assert server.queues.next_due == 1010
    server.turn_clock(9.9)
    assert worker.listen() == []
    server.turn_clock(0.1)
    assert worker.listen() == [(C.NOOP, ())]
    assert worker.grab() == created.args[0]


def test_epoch__waiting_job_neither_hides_low_jobs_nor_keeps_workers_awake(server: Server) -> None:
    client, worker = server.client(), server.worker()
    client.say(C.SUBMIT_JOB_EPOCH, b"f", b"u", b"1010", b"data")
    low = client.submit(b"low", C.SUBMIT_JOB_LOW_BG)
    assert worker.grab() == low
    assert worker.grab() is None
    assert worker.say(C.PRE_SLEEP) == []


def test_epoch__kept_for_nobody_but_itself(server: Server) -> None:
    client, guest, worker = server.client(), server.client(), server.worker()
    (created,) = client.say(C.SUBMIT_JOB_EPOCH, b"f", b"u", b"1010", b"data")
    assert guest.submit(b"u") == created.args[0]
    guest.leave()
    client.leave()
    server.turn_clock(10)
    assert worker.grab() == created.args[0]


@pytest.mark.parametrize("epoch", [b"9" * 19, b"9" * 30, b"-" + b"9" * 30])
def test_epoch__that_does_not_fit_64_bits(server: Server, epoch: bytes) -> None:
    (error,) = server.client().say(C.SUBMIT_JOB_EPOCH, b"f", b"u", epoch, b"data")
    assert (error.command, error.args[0]) == (C.ERROR, b"INVALID_ARGUMENT")


# Waking


def test_noop__answered_with_pre_sleep_leaves_the_worker_wakeable(server: Server) -> None:
    client, first, second = server.client(), server.worker(), server.worker()
    for each in (first, second):
        each.say(C.PRE_SLEEP)
    client.submit(b"1")
    assert first.listen() == second.listen() == [(C.NOOP, ())]
    second.grab()
    assert first.say(C.PRE_SLEEP) == []
    client.submit(b"2")
    assert first.listen() == [(C.NOOP, ())]


def test_noop__not_to_one_who_left(server: Server) -> None:
    client, worker = server.client(), server.worker()
    worker.say(C.PRE_SLEEP)
    worker.leave()
    client.submit(b"u")
    assert worker.listen() == []


# Limits


@pytest.mark.parametrize(
    ("function", "unique"), [(b"f", b"u" * 64), (b"f", b"u" * 65)], ids=["64", "65"]
)
def test_unique__too_long(server: Server, function: bytes, unique: bytes) -> None:
    (error,) = server.client().say(C.SUBMIT_JOB_BG, function, unique, b"data")
    assert error.args[0] == b"ARGUMENT_TOO_LARGE"


def test_unique__of_63_bytes(server: Server) -> None:
    client, worker = server.client(), server.worker()
    assert client.submit(b"u" * 63) == client.submit(b"u" * 63)
    assert worker.say(C.GRAB_JOB_UNIQ)[0].args[2:] == (b"u" * 63, b"data")


BAD_NAMES = [b"", b"a b", b"a\tb", b"a\nb", b"a\x7f", b"f" * 256]


@pytest.mark.parametrize("name", BAD_NAMES)
@pytest.mark.parametrize(
    ("command", "rest"),
    [(C.SUBMIT_JOB, (b"u", b"d")), (C.CAN_DO, ()), (C.CAN_DO_TIMEOUT, (b"1",)),
     (C.SUBMIT_JOB_EPOCH, (b"u", b"1", b"d")), (C.SUBMIT_REDUCE_JOB, (b"u", b"r", b"0", b"d"))],
    ids=lambda value: value.name if isinstance(value, Command) else "",
)  # fmt: skip
def test_function_name__refused(
    server: Server, name: bytes, command: Command, rest: tuple[bytes, ...]
) -> None:
    (error,) = server.client().say(command, name, *rest)
    assert (error.command, error.args[0]) == (C.ERROR, b"INVALID_FUNCTION_NAME")
    assert server.queues.functions == {}


@pytest.mark.parametrize(
    ("command", "args"),
    [
        (C.GET_STATUS, (b"H" * 64,)),
        (C.GET_STATUS_UNIQUE, (b"u" * 64,)),
        (C.SUBMIT_REDUCE_JOB, (b"f", b"u", b"r" * 64, b"0", b"d")),
        (C.SUBMIT_REDUCE_JOB, (b"f", b"u" * 64, b"r", b"0", b"d")),
    ],
)
def test_argument__too_long_is_answered(
    server: Server, command: Command, args: tuple[bytes, ...]
) -> None:
    (error,) = server.client().say(command, *args)
    assert (error.command, error.args[0]) == (C.ERROR, b"ARGUMENT_TOO_LARGE")


@pytest.mark.parametrize("command", [C.CAN_DO, C.GET_STATUS, C.WORK_FAIL, C.SET_CLIENT_ID])
def test_nul__in_a_name_is_refused(server: Server, command: Command) -> None:
    (error,) = server.client().say(command, b"a\0b")
    assert (error.command, error.args[0]) == (C.ERROR, b"INVALID_ARGUMENT")


def test_nul__at_the_end_of_a_handle_is_forgiven(server: Server) -> None:
    client, worker = server.client(), server.worker()
    handle = client.submit(b"u")
    worker.grab()
    assert worker.say(C.WORK_FAIL, handle + b"\0") == []
    assert client.listen() == [(C.WORK_FAIL, (handle,))]


def test_client_id__is_one_word(server: Server) -> None:
    worker = server.client()
    worker.say(C.SET_CLIENT_ID, b"my worker\n: 1")
    assert server.text(b"workers") == b"-1 - my_worker_:_1 :\n.\n"


def test_client_id__empty_is_none(server: Server) -> None:
    worker = server.client()
    worker.say(C.SET_CLIENT_ID, b"")
    assert server.text(b"workers") == b"-1 - - :\n.\n"


# Administration


@pytest.mark.parametrize("command", [C.SUBMIT_JOB_BG, C.SUBMIT_JOB_LOW])
def test_drop_function__refused_while_jobs_are_queued(server: Server, command: Command) -> None:
    client = server.client()
    client.submit(b"u", command)
    assert server.text(b"drop function f").startswith(b"ERR there are still")
    assert b"f\t1\t0\t0\n" in server.text(b"status")


def test_create_function__refuses_what_the_encoder_would(server: Server) -> None:
    answer = server.text(b"create function " + b"f" * 256)
    assert answer.startswith(b"ERR INVALID_FUNCTION_NAME ")
    assert answer.endswith(b"\r\n")
    assert len(answer.split()) == 3


def test_create_function__needs_no_carriage_return(server: Server) -> None:
    server.text(b"create function foobar")
    assert server.text(b"status") == b"foobar\t0\t0\t0\n.\n"


@pytest.mark.parametrize("limit", [b"-1", b"x", b"9" * 5000])
def test_maxqueue__nonsense_is_no_limit(server: Server, limit: bytes) -> None:
    client = server.client()
    client.submit(b"1")
    assert server.text(b"maxqueue f " + limit) == b"OK\r\n"
    client.submit(b"2")


# Endings


def test_peer__that_is_client_and_worker_of_one_job_leaves(server: Server) -> None:
    both = server.worker()
    both.submit(b"u")
    assert both.grab()
    both.leave()
    server.assert_forgotten()


def test_peer__leaves_nothing_behind(server: Server) -> None:
    client, worker = server.client(), server.worker()
    worker.say(C.CAN_DO_TIMEOUT, b"g", b"1000")
    worker.say(C.PRE_SLEEP)
    client.submit(b"u")
    assert worker.listen() == [(C.NOOP, ())]
    worker.grab()
    client.leave()
    worker.leave()
    server.assert_forgotten()
    assert server.queues.peers == {}
    for function in server.queues.functions.values():
        assert (function.registrations, function.sleepers) == (0, {})
