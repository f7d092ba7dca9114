"""The client's side of a connection: which packet belongs to which request."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gearfleet.errors import AmbiguousSubmit, ConnectionError, ProtocolError
from gearfleet.gearman import (
    JOB_COMPLETE,
    JOB_CREATED,
    JOB_FAILED,
    JOB_UNKNOWN,
    DataEncoder,
    GearmanJob,
    GearmanJobRequest,
)
from gearfleet.gearman.protocol import Command, Packet
from gearfleet.gearman.session import ClientSession, Question, number

C = Command


class JsonEncoder(DataEncoder):
    @classmethod
    def encode(cls, encodable_object: Any) -> bytes:
        return json.dumps(encodable_object).encode()

    @classmethod
    def decode(cls, decodable_string: bytes) -> Any:
        return json.loads(decodable_string)


def _request(unique: str = "u", *, background: bool = False, **options: Any) -> GearmanJobRequest:
    return GearmanJobRequest(
        GearmanJob(None, None, "f", unique, b""), None, background, 1, **options
    )


def _created(*handles: bytes) -> tuple[ClientSession, list[GearmanJobRequest]]:
    session, requests = ClientSession("here:4730"), [_request() for _ in handles]
    for request in requests:
        session.expect(request)
    for handle in handles:
        session.receive(Packet(C.JOB_CREATED, (handle,)))
    return session, requests


def test_answers__come_in_the_order_of_the_submits() -> None:
    _, requests = _created(b"H:x:1", b"H:x:2")
    assert [request.job.handle for request in requests] == ["H:x:1", "H:x:2"]
    assert {request.state for request in requests} == {JOB_CREATED}


def test_error__stands_in_the_place_of_its_answer() -> None:
    session, (first, second, third) = ClientSession("s"), (_request(), _request(), _request())
    for request in (first, second, third):
        session.expect(request)
    session.receive(Packet(C.JOB_CREATED, (b"H:x:1",)))
    session.receive(Packet(C.ERROR, (b"QUEUE_ERROR", b"Job queue is full")))
    session.receive(Packet(C.JOB_CREATED, (b"H:x:2",)))
    assert (first.job.handle, third.job.handle) == ("H:x:1", "H:x:2")
    assert second.state == JOB_FAILED
    assert str(second.error) == "QUEUE_ERROR: Job queue is full"
    assert not session.owed


def test_error_nobody_asked_for__changes_nothing() -> None:
    session, (request,) = _created(b"H:x:1")
    session.receive(Packet(C.ERROR, (b"X", b"text")))
    assert request.state == JOB_CREATED


def test_background__is_complete_when_created() -> None:
    session, request = ClientSession("s"), _request(background=True)
    session.expect(request)
    assert not request.complete
    session.receive(Packet(C.JOB_CREATED, (b"H:x:1",)))
    assert request.complete
    assert request.is_settled


def test_coalesced_requests__each_gets_every_packet_once() -> None:
    session, (first, second) = _created(b"H:x:1", b"H:x:1")
    for data in (b"a", b"a", b"b", b"b"):
        session.receive(Packet(C.WORK_DATA, (b"H:x:1", data)))
    session.receive(Packet(C.WORK_COMPLETE, (b"H:x:1", b"r")))
    assert [first.complete, second.complete] == [True, False]
    session.receive(Packet(C.WORK_COMPLETE, (b"H:x:1", b"r")))
    assert second.result == b"r"
    assert list(first.data_updates) == list(second.data_updates) == [b"a", b"b"]


def test_work_fail__nul_after_the_handle_is_cut() -> None:
    session, (request,) = _created(b"H:x:1")
    session.receive(Packet(C.WORK_FAIL, (b"H:x:1\0",)))
    assert request.state == JOB_FAILED
    assert request.exception is None


def test_exception__is_final_and_a_late_fail_is_tolerated() -> None:
    session, (request,) = _created(b"H:x:1")
    session.receive(Packet(C.WORK_EXCEPTION, (b"H:x:1", b"why")))
    session.receive(Packet(C.WORK_FAIL, (b"H:x:1",)))
    session.receive(Packet(C.WORK_COMPLETE, (b"H:y:9", b"unknown")))
    assert (request.state, request.exception, request.result) == (JOB_FAILED, b"why", None)


def test_status__kept_leniently_with_times() -> None:
    session, (request,) = _created(b"H:x:1")
    session.receive(Packet(C.WORK_STATUS, (b"H:x:1", b"1", b"4")))
    assert request.status["last_time_received"] is None
    session.receive(Packet(C.WORK_STATUS, (b"H:x:1", b"0.5", b"xyz")))
    assert (request.status["numerator"], request.status["denominator"]) == (0, 0)
    assert request.status["last_time_received"] is not None


def test_warning__is_an_update() -> None:
    session, (request,) = _created(b"H:x:1")
    session.receive(Packet(C.WORK_WARNING, (b"H:x:1", b"careful")))
    assert request.warning_updates.popleft() == b"careful"


def test_lost__unanswered_submits_are_ambiguous_and_accepted_ones_unknown() -> None:
    session, (accepted,) = _created(b"H:x:1")
    unanswered, question = _request("lost-one"), Question(C.ECHO_RES)
    session.expect(unanswered)
    session.expect(question)
    session.lost(ConnectionError("it broke"))
    assert isinstance(unanswered.error, AmbiguousSubmit)
    assert "lost-one" in str(unanswered.error)
    assert (accepted.state, accepted.connection_failed) == (JOB_UNKNOWN, True)
    assert not isinstance(accepted.error, AmbiguousSubmit)
    assert question.is_answered
    assert question.answer is None


def test_retract__takes_back_what_was_not_written() -> None:
    session, kept, unwritten = ClientSession("s"), _request(), _request()
    session.expect(kept)
    session.expect(unwritten)
    session.retract([unwritten])
    session.lost(ConnectionError("broke"))
    assert kept.connection_failed
    assert not unwritten.connection_failed
    assert (unwritten.state, unwritten.connection_attempts) == (JOB_UNKNOWN, 0)


@pytest.mark.parametrize(
    "packet", [Packet(C.JOB_CREATED, (b"H:x:1",)), Packet(C.ECHO_RES, (b"",)), Packet(C.NOOP)]
)
def test_answer_nobody_waits_for__is_a_protocol_error(packet: Packet) -> None:
    with pytest.raises(ProtocolError):
        ClientSession("s").receive(packet)


def test_answer_of_another_kind__is_a_protocol_error() -> None:
    session = ClientSession("s")
    session.expect(Question(C.ECHO_RES))
    with pytest.raises(ProtocolError):
        session.receive(Packet(C.JOB_CREATED, (b"H:x:1",)))


def test_encoder__decodes_and_what_it_cannot_fails_one_request() -> None:
    session = ClientSession("s")
    good, bad = _request(encoder=JsonEncoder), _request(encoder=JsonEncoder)
    for request, handle in ((good, b"H:x:1"), (bad, b"H:x:2")):
        session.expect(request)
        session.receive(Packet(C.JOB_CREATED, (handle,)))
    session.receive(Packet(C.WORK_COMPLETE, (b"H:x:2", b"{")))
    session.receive(Packet(C.WORK_COMPLETE, (b"H:x:1", b"[1]")))
    assert (good.state, good.result) == (JOB_COMPLETE, [1])
    assert bad.state == JOB_FAILED
    assert "decode" in str(bad.error)


@pytest.mark.parametrize(("text", "value"), [(b"7", 7), (b"0.5", 0), (b"inf", 0), (b"", 0)])
def test_number__reads_what_it_can(text: bytes, value: int) -> None:
    assert number(text) == value
