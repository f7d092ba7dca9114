"""One connection of the embedded server: batches, endings, and what is not worked through."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gearfleet.gearman.protocol import Command, encode
from gearfleet.gearman.server.service import BATCH_BYTES, Limits
from tests.support.wires import Wire, in_a_loop, next_turn, packet

if TYPE_CHECKING:
    from gearfleet.gearman.server.service import Service

C = Command
ECHO = packet(C.ECHO_REQ, b"x" * 1000)
ANSWER = encode(C.ECHO_RES, b"x" * 1000, response=True)
NOOP = encode(C.NOOP, response=True)


def test_batch__replies_of_one_chunk_go_in_one_write() -> None:
    async def story(service: Service) -> None:
        wire = Wire(service)
        wire.connection.data_received(ECHO * 50)
        assert wire.writes == [ANSWER * 50]

    in_a_loop(story)


def test_batch__a_large_one_is_sent_in_parts() -> None:
    async def story(service: Service) -> None:
        wire = Wire(service)
        wire.connection.data_received(ECHO * 1000)
        assert b"".join(wire.writes) == ANSWER * 1000
        assert len(wire.writes) > 1
        assert max(map(len, wire.writes)) <= BATCH_BYTES + len(ANSWER)

    in_a_loop(story)


def test_batch__packets_for_others_go_with_it() -> None:
    async def story(service: Service) -> None:
        worker, client = Wire(service), Wire(service)
        worker.say(packet(C.CAN_DO, b"f") + packet(C.PRE_SLEEP))
        client.say(packet(C.SUBMIT_JOB_BG, b"f", b"u", b"data"))
        assert worker.hear() == NOOP

    in_a_loop(story)


def test_lost__a_sleeping_worker_hears_of_the_job_at_once() -> None:
    async def story(service: Service) -> None:
        dying, sleeping, client = (Wire(service) for _ in range(3))
        client.say(packet(C.SUBMIT_JOB_BG, b"f", b"u", b"data"))
        dying.say(packet(C.CAN_DO, b"f") + packet(C.GRAB_JOB))
        sleeping.say(packet(C.CAN_DO, b"f") + packet(C.PRE_SLEEP))
        dying.close()
        await next_turn()
        assert sleeping.hear() == NOOP

    in_a_loop(story)


def test_unread__the_rest_of_the_chunk_is_not_worked_through() -> None:
    async def story(service: Service) -> None:
        deaf = Wire(service)
        late = packet(C.SUBMIT_JOB_BG, b"late", b"u", b"data")
        deaf.connection.data_received(ECHO * 2000 + late)
        assert deaf.is_closing()
        assert service.queues.jobs == {}
        await next_turn()
        assert service.queues.peers == {}

    in_a_loop(story, limits=Limits(unread_bytes=1_000_000))


def test_nonsense__nothing_after_it_is_worked_through() -> None:
    async def story(service: Service) -> None:
        wire = Wire(service)
        late = packet(C.SUBMIT_JOB_BG, b"late", b"u", b"data")
        answer = wire.say(ECHO + packet(99) + late)
        assert answer.startswith(ANSWER + b"\0RES\0\0\0\x13")
        assert wire.is_closing()
        assert service.queues.jobs == {}

    in_a_loop(story)
