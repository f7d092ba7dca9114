"""Bytes that no peer should send: the offender is told or closed, and nobody else notices."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from gearfleet.gearman.protocol import Command, encode
from tests.support.peers import Peer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.job_servers import JobServer

C = Command


def packet(number: int, body: bytes = b"", *, magic: bytes = b"\0REQ") -> bytes:
    return struct.pack(">4sII", magic, number, len(body)) + body


@pytest.fixture
def peer(job_server: JobServer) -> Iterator[Peer]:
    with Peer(job_server) as peer, Peer(job_server) as bystander:
        yield peer
        bystander.sync()


@pytest.mark.parametrize("number", [5, 24, 35], ids=["unused", "ALL_YOURS", "SUBMIT_JOB_SCHED"])
def test_command__never_implemented(peer: Peer, number: int) -> None:
    peer.write(packet(number, b"a\0b\0c\0d\0e\0f\0g\0h"))
    command, (code, _) = peer.receive()
    assert (command, code) == (C.ERROR, b"INVALID_COMMAND")


@pytest.mark.parametrize("command", [C.NOOP, C.NO_JOB, C.JOB_CREATED, C.ECHO_RES, C.ERROR])
def test_command__of_the_other_direction(peer: Peer, command: Command) -> None:
    peer.write(packet(command, b"a\0b"))
    assert peer.receive().args == (b"INVALID_COMMAND", b"Command not expected")
    peer.sync()


@pytest.mark.parametrize("number", [0, 43, 99, 0x7FFFFFFF])
def test_command__that_does_not_exist(peer: Peer, number: int) -> None:
    peer.write(packet(number))
    assert [packet.command for packet in peer.wait_closed()] in ([], [C.ERROR])


def test_magic__of_a_response(peer: Peer) -> None:
    peer.write(packet(C.ECHO_REQ, b"x", magic=b"\0RES"))
    assert peer.receive().command is C.ERROR


@pytest.mark.parametrize(
    "command", [C.PRE_SLEEP, C.GRAB_JOB, C.RESET_ABILITIES], ids=lambda c: c.name
)
def test_body__where_none_belongs_is_skipped(peer: Peer, command: Command) -> None:
    peer.write(packet(command, b"surprise"))
    if command is C.GRAB_JOB:
        assert peer.receive().command is C.NO_JOB
    peer.sync()


def test_fragments__byte_by_byte(peer: Peer, function: str) -> None:
    for byte in encode(C.SUBMIT_JOB_BG, function.encode(), b"unique", b"data"):
        peer.write(bytes([byte]))
    assert peer.receive().command is C.JOB_CREATED


def test_end__in_the_middle_of_a_packet(job_server: JobServer, peer: Peer) -> None:
    with Peer(job_server) as broken:
        broken.write(encode(C.ECHO_REQ, b"never whole")[:-3])
    peer.sync()
