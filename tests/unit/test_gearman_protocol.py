"""Packets: what goes out is well formed, what comes in may be split or broken in any way."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gearfleet.errors import LocalProtocolError, ProtocolError
from gearfleet.gearman.protocol import (
    ARGUMENTS,
    MAX_FUNCTION_BYTES,
    NEVER_SENT,
    Command,
    Packet,
    PacketReader,
    encode,
    encode_result,
)

_NAMES = st.binary(min_size=1, max_size=63).filter(lambda raw: all(byte > 32 for byte in raw))
_NAMES = _NAMES.filter(lambda raw: b"\x7f" not in raw)


@st.composite
def packets(draw: st.DrawFn) -> Packet:
    command = draw(st.sampled_from([command for command in Command if command not in NEVER_SENT]))
    kinds = [st.binary(max_size=200) if name == "data" else _NAMES for name in ARGUMENTS[command]]
    return Packet(command, tuple(draw(kind) for kind in kinds))


def _wire(sent: list[Packet]) -> bytes:
    return b"".join(encode(packet.command, *packet.args, response=True) for packet in sent)


def _split(wire: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(wire) + 1) for cut in cuts), len(wire)]
    return [wire[start:end] for start, end in itertools.pairwise(edges)]


@given(st.lists(packets(), max_size=8), st.lists(st.integers(min_value=0), max_size=20))
def test_round_trip__any_split(sent: list[Packet], cuts: list[int]) -> None:
    reader, received = PacketReader(), []
    for chunk in _split(_wire(sent), cuts):
        reader.feed(chunk)
        received += reader.packets()
    assert received == sent
    assert reader.buffered_bytes == 0


@given(packets())
def test_round_trip__byte_by_byte(packet: Packet) -> None:
    reader, received = PacketReader(), []
    for byte in _wire([packet]):
        reader.feed(bytes([byte]))
        received += reader.packets()
    assert received == [packet]


@given(st.lists(packets(), min_size=1, max_size=4), st.data())
def test_mutated_bytes__only_protocol_errors(sent: list[Packet], data: st.DataObject) -> None:
    wire = bytearray(_wire(sent))
    for _ in range(data.draw(st.integers(1, 4))):
        wire[data.draw(st.integers(0, len(wire) - 1))] = data.draw(st.integers(0, 255))
    reader = PacketReader()
    try:
        for chunk in _split(bytes(wire), data.draw(st.lists(st.integers(0), max_size=5))):
            reader.feed(chunk)
            list(reader.packets())
    except ProtocolError:
        pass


@given(st.binary(max_size=300))
def test_any_bytes__only_protocol_errors(raw: bytes) -> None:
    reader = PacketReader(requests=True)
    reader.feed(raw)
    try:
        list(reader.packets())
    except ProtocolError:
        pass


@pytest.mark.parametrize("number", [0, 5, 43, 0x80000000, 0xFFFFFFFF])
def test_unknown_command__refused(number: int) -> None:
    reader = PacketReader()
    reader.feed(b"\0RES" + number.to_bytes(4, "big") + bytes(4))
    with pytest.raises(ProtocolError, match=str(number)):
        reader.next_packet()


def test_wrong_magic__refused_before_the_header_is_complete() -> None:
    reader = PacketReader()
    reader.feed(b"HTTP")
    with pytest.raises(ProtocolError, match="HTTP"):
        reader.next_packet()


def test_size_over_the_limit__refused_before_the_body() -> None:
    reader = PacketReader(max_body_bytes=1000)
    reader.feed(encode(Command.ECHO_RES, b"x" * 1001, response=True)[:12])
    with pytest.raises(ProtocolError, match="1001"):
        reader.next_packet()


def test_missing_argument__refused() -> None:
    reader = PacketReader()
    reader.feed(b"\0RES" + bytes([0, 0, 0, Command.JOB_ASSIGN]) + b"\0\0\0\x03abc")
    with pytest.raises(ProtocolError, match="JOB_ASSIGN has 3 arguments"):
        reader.next_packet()


def test_big_packet__time_is_linear_in_its_size() -> None:
    wire = encode(Command.ECHO_RES, b"x" * (32 * 1024 * 1024), response=True)
    reader, began = PacketReader(), time.process_time()
    for start in range(0, len(wire), 4096):
        reader.feed(wire[start : start + 4096])
        packet = reader.next_packet()
    assert packet is not None
    assert len(packet.args[0]) == 32 * 1024 * 1024
    # 8,192 chunks that are each copied with all before them would take minutes.
    assert time.process_time() - began < 5


def test_lines_and_packets__mixed_on_one_connection() -> None:
    reader = PacketReader()
    reader.feed(b"OK 1.1.20\r\n" + encode(Command.NOOP, response=True) + b"a\tb\n.")
    assert reader.peek() == ord("O")
    assert reader.next_line() == b"OK 1.1.20"
    assert reader.peek() == 0
    assert reader.next_packet() == (Command.NOOP, ())
    assert reader.next_line() == b"a\tb"
    assert reader.next_line() is None
    reader.feed(b"\n")
    assert reader.next_line() == b"."
    assert reader.peek() is None


def test_line__longer_than_the_limit_refused() -> None:
    reader = PacketReader()
    reader.feed(b"x" * 8192)
    with pytest.raises(ProtocolError, match="8191"):
        reader.next_line()


@pytest.mark.parametrize(
    ("command", "args", "reason"),
    [
        (Command.CAN_DO, (), "takes 1 arguments, got 0"),
        (Command.CAN_DO, (b"",), "1 to 255"),
        (Command.CAN_DO, (b"a b",), "White space"),
        (Command.CAN_DO, (b"a\x7f",), "control byte"),
        (Command.CAN_DO, (b"a\0b",), "control byte"),
        (Command.CAN_DO, (b"x" * (MAX_FUNCTION_BYTES + 1),), "256 bytes long"),
        (Command.SUBMIT_JOB, (b"f", b"u" * 64, b""), "64 bytes long, 63 are allowed"),
        (Command.SUBMIT_JOB, (b"f", b"a\0b", b""), "unique of SUBMIT_JOB contains a NUL"),
        (Command.WORK_FAIL, (b"h\0",), "handle of WORK_FAIL contains a NUL"),
        (Command.SET_CLIENT_ID, (b"a b",), "one word"),
        (Command.SET_CLIENT_ID, (b"x" * 128,), "128 bytes long"),
    ],
)
def test_encode__refuses(command: Command, args: tuple[bytes, ...], reason: str) -> None:
    with pytest.raises(LocalProtocolError, match=reason):
        encode(command, *args)


@pytest.mark.parametrize("data", [b"", b"x\0y", bytes(1000)])
def test_encode_result__is_what_encode_makes(data: bytes) -> None:
    assert encode_result(b"H:x:1", data) == encode(Command.WORK_COMPLETE, b"H:x:1", data)


def test_encode_result__refuses_a_handle_that_is_too_long() -> None:
    with pytest.raises(LocalProtocolError, match="64 bytes long"):
        encode_result(b"h" * 64, b"")


def test_packet__repr_names_the_command_and_cuts_data() -> None:
    assert repr(Packet(Command.ECHO_REQ, (b"x" * 99,))).startswith("<ECHO_REQ(b'xxx")
    assert len(repr(Packet(Command.ECHO_REQ, (b"x" * 99,)))) < 80
