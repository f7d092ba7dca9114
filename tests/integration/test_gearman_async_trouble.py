"""The asyncio client when tasks are cancelled, time runs out, and job servers die, hang or are slow."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from gearfleet import errors
from gearfleet.errors import (
    AmbiguousSubmit,
    ExceededConnectionAttempts,
    ServerError,
    ServerUnavailable,
)
from gearfleet.gearman import JOB_UNKNOWN, Address, AsyncGearmanClient
from gearfleet.gearman.protocol import Command, Packet
from tests.support.loops import in_a_loop, until
from tests.support.peers import Peer
from tests.support.ports import free_port
from tests.support.stubs import StubServer

if TYPE_CHECKING:
    from tests.support.job_servers import JobServer

C = Command
MIB = 1 << 20


def _accept(server: StubServer, packet: Packet) -> None:
    """Accept every job, with a handle that tells its unique."""
    if packet.command in {C.SUBMIT_JOB, C.SUBMIT_JOB_BG}:
        server.say(C.JOB_CREATED, b"H:" + packet.args[1])


def _complete(server: StubServer, packet: Packet) -> None:
    """Run every job: its result is its payload."""
    if packet.command is C.SUBMIT_JOB:
        _accept(server, packet)
        server.say(C.WORK_COMPLETE, b"H:" + packet.args[1], packet.args[2])


async def _cancelled(task: asyncio.Task[object]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# Cancelled tasks and deadlines


def test_cancelled__while_waiting_for_the_result(job_server: JobServer, function: str) -> None:
    """The job runs on, its result is dealt with, and the connection serves the others."""

    async def story(worker: Peer) -> None:
        async with AsyncGearmanClient([job_server.address]) as client:
            tasks = [
                asyncio.create_task(client.submit_job(function, b"%d" % number))
                for number in range(3)
            ]
            await until(
                lambda: worker.row("status", function) == b"\t".join([b"3", b"0", b"1"]), "jobs"
            )
            await _cancelled(tasks[1])
            for _ in range(3):
                job = worker.grab()
                worker.send(C.WORK_COMPLETE, job.args[0], job.args[-1])
            assert [(await tasks[n]).result for n in (0, 2)] == [b"0", b"2"]
            assert (await client.submit_job(function, b"x", background=True)).complete

    with Peer(job_server) as worker:
        worker.register(function)
        in_a_loop(story(worker))


def test_cancelled__before_the_answer_to_its_submit() -> None:
    async def story() -> None:
        async with StubServer() as server, AsyncGearmanClient([server.address]) as client:
            first, second = (
                asyncio.create_task(client.submit_job("f", b"%d" % number, unique=f"u{number}"))
                for number in range(2)
            )
            await until(lambda: server.count(C.SUBMIT_JOB) == 2, "both submits")
            await _cancelled(first)
            # Its answer must not be taken for the second one's.
            for number in range(2):
                server.say(C.JOB_CREATED, b"H:%d" % number)
                server.say(C.WORK_COMPLETE, b"H:%d" % number, b"%d" % number)
            assert (await second).result == b"1"
            assert len(server.writers) == 1

    in_a_loop(story())


def test_cancelled__while_connecting() -> None:
    async def story() -> None:
        async with StubServer(_complete) as server:
            server.reads.clear()
            async with AsyncGearmanClient([server.address]) as client:
                first, second = (
                    asyncio.create_task(client.submit_job("f", b"%d" % number))
                    for number in range(2)
                )
                await until(lambda: server.writers, "a connection")
                await _cancelled(first)
                server.reads.set()
                assert (await second).result == b"1"
                assert [packet.args[-1] for packet in server.packets] == [b"1"]

    in_a_loop(story())


def test_cancelled__while_there_is_no_room_to_write() -> None:
    """What was not written is not expected to be answered; what was, is whole."""

    async def story() -> None:
        async with StubServer(_complete) as server, AsyncGearmanClient([server.address]) as client:
            assert (await client.submit_job("f", b"first")).complete
            server.reads.clear()
            tasks = [
                asyncio.create_task(client.submit_job("f", b"%d" % number * (4 * MIB)))
                for number in range(6)
            ]
            await asyncio.sleep(0.1)
            for task in tasks[1:4]:
                await _cancelled(task)
            server.reads.set()
            results = [(await task).result for task in (tasks[0], *tasks[4:])]
            assert [result[:1] for result in results if result] == [b"0", b"4", b"5"]
            assert len(server.writers) == 1

    in_a_loop(story())


def test_slow_reader__writers_stand_in_line() -> None:
    """No more than one payload waits here, however many tasks want to write."""

    async def story() -> None:
        async with StubServer() as server, AsyncGearmanClient([server.address]) as client:
            await client.submit_job("f", b"x", poll_timeout=0.05)
            channel = client._servers[0].current
            assert channel is not None
            server.reads.clear()
            tasks = [
                asyncio.create_task(client.submit_job("f", bytes(4 * MIB), poll_timeout=1))
                for _ in range(20)
            ]
            for _ in range(20):
                await asyncio.sleep(0.02)
                assert channel._transport.get_write_buffer_size() < 5 * MIB
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            # One or two were written and not answered; the others could not be.
            unwritten = [each for each in outcomes if isinstance(each, ServerUnavailable)]
            assert len(unwritten) >= 10
            assert "took no more data in time" in str(unwritten[0])
            assert all(each.timed_out for each in outcomes if not isinstance(each, BaseException))

    in_a_loop(story())


def test_deadline__returns_with_timed_out(job_server: JobServer, function: str) -> None:
    async def story() -> None:
        async with AsyncGearmanClient([job_server.address]) as client:
            begun = time.monotonic()
            requests = await client.submit_multiple_jobs(
                [{"task": function, "data": b"x"}] * 3, timeout=0.2
            )
            assert [request.timed_out for request in requests] == [True] * 3
            assert 0.2 <= time.monotonic() - begun < 10

    in_a_loop(story())


# Job servers that die, hang and come back


def test_killed__in_the_middle_of_many_jobs(own_job_server: JobServer, function: str) -> None:
    async def story() -> None:
        server = own_job_server
        async with AsyncGearmanClient([server.address], connect_timeout=2) as client:
            accepted = [asyncio.create_task(client.submit_job(function, b"x")) for _ in range(500)]
            await until(lambda: _queued(server, function) == 500, "500 jobs")
            assert server.process is not None
            server.process.signal(signal.SIGKILL)
            lost = await asyncio.gather(*accepted)
            assert {request.state for request in lost} == {JOB_UNKNOWN}
            assert all(r.connection_failed and server.address in str(r.error) for r in lost)
            with pytest.raises(ServerUnavailable, match=server.address):
                await client.submit_job(function, b"x")
            server.stop()
            server.start()
            assert (await client.submit_job(function, b"x", background=True)).complete

    in_a_loop(story())


def _queued(server: JobServer, function: str) -> int:
    rows = (line.split("\t") for line in server.text("status"))
    return next((int(row[1]) for row in rows if row[0] == function), 0)


def test_restarted__while_idle_costs_no_job(own_job_server: JobServer, function: str) -> None:
    async def story() -> None:
        server = own_job_server
        async with AsyncGearmanClient([server.address]) as client:
            assert (await client.submit_job(function, b"x", background=True)).complete
            # The event loop sees nothing of it, so that the end has not been read yet.
            server.stop()
            server.start()
            assert (await client.submit_job(function, b"x", background=True)).complete

    in_a_loop(story())


def test_lost_before_the_answer__is_ambiguous_and_retried_only_if_allowed() -> None:
    async def story() -> None:
        def hang_up(server: StubServer, _packet: Packet) -> None:
            server.hang_up()

        async with StubServer(hang_up) as server, AsyncGearmanClient([server.address]) as client:
            with pytest.raises(AmbiguousSubmit, match="may run or may not"):
                await client.submit_job("f", b"x")
            with pytest.raises(ExceededConnectionAttempts, match="lost 3 times"):
                await client.submit_job("f", b"x", max_retries=2)
            assert server.count(C.SUBMIT_JOB) == 4
            requests = await client.submit_multiple_jobs([{"task": "f", "data": b"x"}] * 3)
            assert {type(request.error) for request in requests} == {AmbiguousSubmit}

    in_a_loop(story())


def test_failover__to_the_job_server_that_lives(own_job_server: JobServer, function: str) -> None:
    async def story() -> None:
        dead = f"127.0.0.1:{free_port()}"
        async with AsyncGearmanClient([dead, own_job_server.address]) as client:
            for _ in range(4):
                request = await client.submit_job(function, b"x", background=True)
                assert str(request.job.connection) == own_job_server.address
            many = await client.submit_multiple_jobs(
                [{"task": function, "data": b"x"}] * 100, background=True
            )
            assert all(request.complete for request in many)
            assert _queued(own_job_server, function) == 104

    in_a_loop(story())


def test_stopped_process__is_noticed_while_connecting_and_while_waiting(
    own_job_server: JobServer, function: str
) -> None:
    async def story() -> None:
        server = own_job_server
        assert server.process is not None
        client = AsyncGearmanClient(
            [server.address], connect_timeout=0.5, heartbeat_interval=0.2, heartbeat_limit=0.4
        )
        async with client:
            waiting = asyncio.create_task(client.submit_job(function, b"x"))
            await until(lambda: _queued(server, function) == 1, "the job")
            server.process.pause()
            try:
                request = await waiting
                assert request.connection_failed
                assert "silent" in str(request.error)
                with pytest.raises(
                    ServerUnavailable, match=r"silent for \d+\.\d s|nothing for 0\.5 s"
                ):
                    await client.submit_job(function, b"x")
            finally:
                server.process.go_on()
            assert (await client.submit_job(function, b"x", background=True)).complete

    in_a_loop(story())


def test_unanswered_submits__are_noticed_although_more_are_written() -> None:
    async def story() -> None:
        async with StubServer() as server:
            client = AsyncGearmanClient(
                [server.address], heartbeat_interval=0.2, heartbeat_limit=0.3
            )
            async with client:
                first = asyncio.create_task(client.submit_job("f", b"x"))
                others = []
                while not first.done():
                    others.append(asyncio.create_task(client.submit_job("f", b"x")))
                    await asyncio.sleep(0.01)
                for lost in await asyncio.gather(first, *others, return_exceptions=True):
                    assert isinstance(lost, AmbiguousSubmit), lost

    in_a_loop(story(), timeout=20)


def test_heartbeat__when_idle() -> None:
    async def story() -> None:
        async with StubServer(_accept) as server:
            client = AsyncGearmanClient(
                [server.address], heartbeat_interval=0.05, heartbeat_limit=0.2
            )
            async with client:
                await client.submit_job("f", b"x", background=True)
                await until(lambda: server.count(C.ECHO_REQ) >= 3, "heartbeats")
                server.answers = False
                channel = client._servers[0].current
                assert channel is not None
                await until(lambda: channel.lost, "the silence to be noticed")
                assert (await client.submit_job("f", b"x", background=True)).complete

    in_a_loop(story())


def test_event_loop_held_up__loses_no_connection() -> None:
    async def story() -> None:
        async with StubServer(_complete) as server:
            client = AsyncGearmanClient(
                [server.address], heartbeat_interval=0.2, heartbeat_limit=0.2
            )
            async with client:
                await client.submit_job("f", b"x")
                task = asyncio.create_task(client.submit_job("f", b"y"))
                await until(lambda: server.count(C.SUBMIT_JOB) == 2, "the submit")
                time.sleep(0.5)  # what a careless callback does
                assert (await task).result == b"y"
                assert len(server.writers) == 1

    in_a_loop(story())


def test_refused_and_misunderstood(function: str) -> None:
    async def story() -> None:
        def refuse(server: StubServer, packet: Packet) -> None:
            if packet.args[0] == b"full":
                server.say(C.ERROR, b"QUEUE_ERROR", b"Job queue is full")
            else:
                server.writers[-1].write(b"HTTP/1.1 400 Bad Request\r\n")

        async with StubServer(refuse) as server, AsyncGearmanClient([server.address]) as client:
            with pytest.raises(ServerError, match="QUEUE_ERROR"):
                await client.submit_job("full", b"x")
            with pytest.raises(AmbiguousSubmit, match="Expected"):
                await client.submit_job("f", b"x")
            with pytest.raises(ServerUnavailable, match="none was given"):
                await AsyncGearmanClient().submit_job("f", b"x")

    in_a_loop(story())


def test_name__that_nobody_knows() -> None:
    async def story() -> None:
        async with AsyncGearmanClient([Address("no.such.host.invalid")]) as client:
            with pytest.raises(ServerUnavailable, match=r"cannot look up|no answer within"):
                await client.submit_job("f", b"x", poll_timeout=2)

    in_a_loop(story())


def test_closed__while_jobs_are_in_flight_and_while_connecting() -> None:
    async def story() -> None:
        async with StubServer(_accept) as server:
            client = AsyncGearmanClient([server.address])
            waiting = asyncio.create_task(client.submit_job("f", b"x"))
            await until(lambda: server.count(C.SUBMIT_JOB), "the submit")
            await asyncio.sleep(0.02)
            await client.close()
            request = await waiting
            assert "closed here" in str(request.error)
            server.reads.clear()
            connecting = asyncio.create_task(client.submit_job("f", b"x"))
            await until(lambda: len(server.writers) == 2, "another connection")
            await client.close()
            server.reads.set()
            with pytest.raises(ServerUnavailable, match="closed here"):
                await connecting

    in_a_loop(story())


def test_fork__the_child_connects_anew(job_server: JobServer, function: str) -> None:
    client = AsyncGearmanClient([job_server.address])

    async def story() -> None:
        waiting = asyncio.create_task(client.submit_job(function, b"x"))
        await until(lambda: _queued(job_server, function) == 1, "the job")
        child = os.fork()
        if child == 0:  # pragma: no cover
            status = 1
            try:
                asyncio._set_running_loop(None)
                asyncio.run(client.submit_job(function, b"x", background=True))
                status = 0
            finally:
                os._exit(status)
        assert (await asyncio.to_thread(os.waitpid, child, 0))[1] == 0
        await client.submit_job(function, b"x", background=True)
        assert _queued(job_server, function) == 3
        assert not waiting.done()
        await client.close()
        assert isinstance((await waiting).error, errors.ConnectionError)

    in_a_loop(story())
