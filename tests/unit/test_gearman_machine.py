"""The worker's state machine, told as transcripts: what comes, what goes, when."""

from __future__ import annotations

import pytest

from gearfleet.errors import ConnectionError, ProtocolError
from gearfleet.gearman.machine import (
    ASLEEP,
    AWAKE,
    GONE,
    GRABBING,
    LEAVING,
    PROBING,
    RECEIVED,
    RESTING,
    Machine,
    State,
    Timing,
)
from gearfleet.gearman.protocol import Command, Packet, PacketReader

C = Command
PROBE = Packet(C.ECHO_RES, (b"gearfleet probe",))
LEAVE = Packet(C.ECHO_RES, (b"gearfleet leave",))
NO_JOB, NOOP = Packet(C.NO_JOB), Packet(C.NOOP)
JOB = Packet(C.JOB_ASSIGN_UNIQ, (b"H:x:1", b"f", b"u", b"data"))


class Conversation:
    """A machine, a clock, and what the machine said."""

    def __init__(self, *, prefetch: int = 1, functions: tuple[bytes, ...] = (b"f",)) -> None:
        self.now = 1000.0
        self.machine = Machine(prefetch=prefetch, draw=lambda low, high: high)
        self.machine.greet(functions, b"me", self.now)

    def said(self) -> list[C]:
        reader = PacketReader(requests=True)
        reader.feed(bytes(self.machine.outgoing))
        self.machine.outgoing.clear()
        return [packet.command for packet in reader.packets()]

    def hears(self, *packets: Packet) -> list[Packet]:
        jobs = [self.machine.receive(packet, self.now) for packet in packets]
        return [job for job in jobs if job is not None]

    def grabs(self) -> int:
        count = self.machine.wanted_grabs
        if count:
            self.machine.grab(count, self.now)
        return count

    def falls_asleep(self) -> None:
        if self.machine.state is PROBING:
            self.hears(PROBE)
        self.grabs()
        self.hears(*[NO_JOB] * self.machine.grabs)
        assert self.machine.state is ASLEEP
        self.said()

    def passes(self, seconds: float) -> None:
        self.now += seconds
        self.machine.tick(self.now)


def test_greeting__registers_in_reverse_and_grabs_only_after_the_echo() -> None:
    talk = Conversation(functions=(b"first", b"second"))
    outgoing = bytes(talk.machine.outgoing)
    assert talk.said() == [C.SET_CLIENT_ID, C.CAN_DO, C.CAN_DO, C.ECHO_REQ]
    assert outgoing.index(b"second") < outgoing.index(b"first")
    assert talk.grabs() == 0
    talk.hears(PROBE)
    assert talk.grabs() == 1
    assert talk.said() == [C.GRAB_JOB_UNIQ]


def test_greeting__silence_is_an_error() -> None:
    talk = Conversation()
    with pytest.raises(ConnectionError, match="does not answer"):
        talk.passes(10.0)


def test_no_job__sleeps_and_noop_is_answered_by_a_grab() -> None:
    talk = Conversation()
    talk.hears(PROBE)
    talk.grabs()
    talk.said()
    talk.hears(NO_JOB)
    assert talk.said() == [C.PRE_SLEEP]
    assert talk.grabs() == 0
    talk.now += 1
    talk.hears(NOOP)
    assert talk.grabs() == 1
    assert talk.said() == [C.GRAB_JOB_UNIQ]


def test_noop_while_a_grab_is_pending__ignored() -> None:
    talk = Conversation()
    talk.hears(PROBE)
    talk.grabs()
    talk.said()
    talk.hears(NOOP, NOOP)
    assert talk.grabs() == 0
    assert talk.hears(JOB) == [JOB]
    assert talk.said() == []


def test_asleep__grabs_again_on_a_period() -> None:
    talk = Conversation()
    talk.falls_asleep()
    talk.passes(9.9)
    assert talk.grabs() == 0
    talk.passes(0.1)
    assert talk.grabs() == 1


def test_grab__unanswered_for_a_second_is_an_error() -> None:
    talk = Conversation()
    talk.hears(PROBE)
    talk.grabs()
    talk.passes(0.9)
    with pytest.raises(ConnectionError, match="GRAB"):
        talk.passes(0.1)


def test_grab__bytes_of_a_big_job_renew_its_time() -> None:
    talk = Conversation()
    talk.hears(PROBE)
    talk.grabs()
    talk.now += 0.9
    talk.machine.progress(talk.now)
    talk.passes(0.9)
    assert talk.hears(JOB) == [JOB]


def test_quiet__heartbeat_by_echo() -> None:
    talk = Conversation()
    talk.hears(PROBE)
    talk.said()
    talk.passes(30.0)
    assert talk.said() == [C.ECHO_REQ]
    talk.hears(PROBE)
    assert talk.machine.state is AWAKE
    talk.passes(30.0)
    with pytest.raises(ConnectionError):
        talk.passes(10.0)


def test_circle_of_noops__rests_longer_and_longer_until_a_job_comes() -> None:
    talk = Conversation()
    talk.falls_asleep()
    rests = []
    for _ in range(14):
        talk.hears(NOOP)  # at once, in answer to PRE_SLEEP
        if talk.machine.state is RESTING:
            rests.append(round(talk.machine.deadline - talk.now, 3))
            talk.passes(rests[-1])
        assert talk.grabs() == 1
        talk.hears(NO_JOB)
    assert rests == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0]
    talk.now += 1  # woken later: a new job, no circle
    talk.hears(NOOP)
    assert talk.grabs() == 1
    talk.hears(JOB)
    assert talk.grabs() == 1


def test_prefetch__grabs_grow_with_the_jobs_and_shrink_without() -> None:
    talk = Conversation(prefetch=4)
    talk.hears(PROBE)
    assert talk.grabs() == 1
    talk.hears(JOB)
    assert talk.grabs() == 2
    assert talk.hears(JOB, JOB) == [JOB, JOB]
    assert talk.grabs() == 4
    talk.said()
    talk.hears(JOB, NO_JOB, NO_JOB)
    assert talk.machine.state is GRABBING
    assert talk.said() == []
    talk.hears(NO_JOB)
    assert talk.said() == [C.PRE_SLEEP]
    talk.now += 1
    talk.hears(NOOP)
    assert talk.grabs() == 1


def test_prefetch__a_job_as_last_answer_keeps_awake() -> None:
    talk = Conversation(prefetch=2)
    talk.hears(PROBE)
    talk.grabs()
    talk.hears(JOB)
    assert talk.grabs() == 2
    assert talk.hears(NO_JOB, JOB) == [JOB]
    assert talk.machine.state is AWAKE


def test_leave__gone_when_everything_was_read_and_late_jobs_are_not_taken() -> None:
    talk = Conversation()
    talk.hears(PROBE)
    talk.grabs()
    talk.said()
    talk.machine.leave(talk.now)
    assert talk.said() == [C.ECHO_REQ]
    assert talk.hears(NOOP, JOB) == []
    assert talk.machine.state is LEAVING
    talk.hears(LEAVE)
    assert talk.machine.state is GONE


def test_leave__the_answer_to_an_earlier_probe_does_not_count() -> None:
    talk = Conversation()
    talk.machine.leave(talk.now)
    talk.hears(PROBE)
    assert talk.machine.state is LEAVING


def test_register_while_asleep__looks_for_jobs_itself() -> None:
    talk = Conversation()
    talk.falls_asleep()
    assert talk.machine.renew([b"f", b"g"], None, (), talk.now)
    assert talk.grabs() == 1
    assert talk.said() == [C.CAN_DO, C.GRAB_JOB_UNIQ]


def test_renew__says_what_is_new_once() -> None:
    talk = Conversation()
    talk.said()
    for client_id in (b"you", b"you", None):
        assert talk.machine.renew([b"f", b"g"], client_id, (), talk.now)
    assert talk.said() == [C.SET_CLIENT_ID, C.CAN_DO]


def test_withdraw__asleep_at_once() -> None:
    talk = Conversation(functions=(b"f", b"g"))
    talk.falls_asleep()
    assert talk.machine.renew([b"g"], None, (), talk.now)
    assert talk.said() == [C.CANT_DO]
    assert talk.hears(NOOP) == []
    assert talk.grabs() == 1


def test_withdraw__waits_for_grabs_and_jobs_and_grabs_nothing_meanwhile() -> None:
    # F10: CANT_DO with a job of the function in hand would give that job to another worker.
    talk = Conversation()
    talk.hears(PROBE)
    assert talk.grabs() == 1
    talk.said()
    assert not talk.machine.renew([], None, (), talk.now)  # the GRAB may bring a job
    assert talk.hears(JOB) == [JOB]
    assert not talk.machine.renew([], None, {b"f"}, talk.now)
    assert talk.machine.wanted_grabs == 0
    assert talk.said() == []
    assert talk.machine.renew([], None, (), talk.now)
    assert talk.said() == [C.CANT_DO]
    assert talk.machine.wanted_grabs == 1


def test_withdraw__taken_back_before_it_was_said() -> None:
    talk = Conversation()
    talk.hears(PROBE)
    talk.said()
    assert not talk.machine.renew([], None, {b"f"}, talk.now)
    assert talk.machine.renew([b"f"], None, {b"f"}, talk.now)
    assert talk.said() == []
    assert talk.grabs() == 1


def test_renew__nothing_is_said_while_leaving() -> None:
    talk = Conversation()
    talk.machine.leave(talk.now)
    talk.said()
    assert talk.machine.renew([b"g"], b"me", (), talk.now)
    assert talk.said() == []


def test_error__ends_nothing() -> None:
    talk = Conversation()
    talk.hears(PROBE)
    assert talk.hears(Packet(C.ERROR, (b"JOB_NOT_FOUND", b"text"))) == []
    assert talk.grabs() == 1


@pytest.mark.parametrize("packet", [JOB, NO_JOB, Packet(C.JOB_CREATED, (b"H:x:1",))])
def test_unexpected_packet__is_a_protocol_error(packet: Packet) -> None:
    talk = Conversation()
    talk.falls_asleep()
    with pytest.raises(ProtocolError, match=packet.command.name):
        talk.hears(packet)


def test_table__covers_every_state_and_dangerous_commands_are_never_sent() -> None:
    assert set(RECEIVED) == set(State)
    # F4 and F10: the machine has no way to say these.
    talk = Conversation(prefetch=3)
    talk.falls_asleep()
    talk.machine.leave(talk.now)
    assert not {C.CANT_DO, C.RESET_ABILITIES, C.CAN_DO_TIMEOUT} & set(talk.said())


def test_timing__is_the_callers() -> None:
    machine = Machine(timing=Timing(heartbeat_limit=1.0))
    machine.greet([b"f"], None, 0.0)
    assert machine.deadline == 1.0
