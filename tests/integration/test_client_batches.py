"""Batches of jobs while job servers come, go and keep silent."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from gearfleet.client import Client
from gearfleet.config import Settings
from gearfleet.errors import AmbiguousSubmit, BatchFailed, JobTimeout
from gearfleet.gearman import GearmanAdminClient
from gearfleet.gearman.protocol import Command
from gearfleet.tasks import SubmitOptions, TaskCall
from gearfleet.tasks.packing import Packing, Terms
from tests.support.job_servers import JobServer
from tests.support.stubs import StubServer
from tests.support.taps import Tap

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gearfleet.gearman.protocol import Packet

_SUBMITS = {Command.SUBMIT_JOB_BG, Command.SUBMIT_JOB_HIGH_BG, Command.SUBMIT_JOB_LOW_BG}


@pytest.fixture
def two_job_servers() -> Iterator[list[JobServer]]:
    servers = [JobServer("gearmand").start(), JobServer("embedded").start()]
    yield servers
    for server in servers:
        server.close()


def queued(server: JobServer, function: str) -> int:
    with GearmanAdminClient([server.address]) as admin:
        return sum(row["queued"] for row in admin.get_status() if row["task"] == function)


def calls(count: int, **options: Any) -> list[TaskCall]:
    return [TaskCall("f", (n,), {}, SubmitOptions(**options)) for n in range(count)]


def test_batch__is_divided_among_job_servers(two_job_servers: list[JobServer]) -> None:
    settings = Settings(servers=tuple(server.address for server in two_job_servers))
    with Client(settings) as client:
        handles = client.submit_many(calls(100))
        named = client.submit_many(calls(10, unique="one"))
    shares = Counter(handle.server for handle in handles)
    assert min(shares[server.address] for server in two_job_servers) > 10  # by a hash
    assert len({handle.server for handle in named}) == 1
    shares[named[0].server] += 1
    assert {each.address: queued(each, "f") for each in two_job_servers} == shares


def test_batch__goes_to_the_job_server_that_is_left(two_job_servers: list[JobServer]) -> None:
    settings = Settings(servers=tuple(server.address for server in two_job_servers))
    with Client(settings) as client:
        before = client.submit_many(calls(20))
        two_job_servers[0].stop()
        handles = client.submit_many(calls(20))
    left = two_job_servers[1]
    assert {handle.server for handle in handles} == {left.address}
    assert queued(left, "f") == 20 + sum(handle.server == left.address for handle in before)


def test_batch__job_server_dies_halfway() -> None:
    """Those that it accepted have handles; of the others nobody knows, so none is sent again."""
    accepted = 3

    def behave(server: StubServer, packet: Packet) -> None:
        if packet.command is not Command.SUBMIT_JOB_BG:
            return
        if server.count(Command.SUBMIT_JOB_BG) <= accepted:
            server.say(Command.JOB_CREATED, b"H:%d" % server.count(Command.SUBMIT_JOB_BG))
        else:
            server.hang_up()

    async def submit() -> tuple[BatchFailed, str]:
        async with StubServer(behave) as server:
            address = str(server.address)
            with Client(Settings(servers=(address,), client_timeout=20.0)) as client:
                with pytest.raises(BatchFailed, match="2 of 5 jobs were not accepted") as caught:
                    await asyncio.to_thread(client.submit_many, calls(5))
                return caught.value, address

    failed, address = asyncio.run(submit())
    assert [handle and handle.server for handle in failed.handles] == [address] * 3 + [None] * 2
    assert failed.errors[:accepted] == [None] * accepted
    assert all(isinstance(error, AmbiguousSubmit) for error in failed.errors[accepted:])


def test_batch__silent_job_server(own_job_server: JobServer) -> None:
    with Client(Settings(servers=(own_job_server.address,))) as client:
        client.submit_many(calls(1))
        assert own_job_server.process is not None
        own_job_server.process.pause()
        try:
            with pytest.raises(BatchFailed) as caught:
                client.submit_many(calls(3), timeout=0.5)
        finally:
            own_job_server.process.go_on()
    assert caught.value.handles == [None] * 3
    assert all(isinstance(error, JobTimeout) for error in caught.value.errors)
    assert f"{own_job_server.address} did not accept f within 0.5 s" in str(caught.value)


def test_batch__each_job_has_its_own_options(job_server: JobServer, function: str) -> None:
    settings = Settings(
        servers=(job_server.address,), prefix=f"{function}.", signing_keys=("a secret of ours",)
    )
    chosen = [
        SubmitOptions(priority="high", codec="pickle", group="g"),
        SubmitOptions(priority="low", codec="json", expires=60),
        SubmitOptions(codec="raw", id="0" * 32),
        SubmitOptions(name="the last"),
    ]
    with Tap(job_server) as tap, Client(_at(settings, tap.address)) as client:
        handles = client.submit_many(
            TaskCall("f", (b"1",) if o.codec == "raw" else (1,), {}, o) for o in chosen
        )
        packets = [packet for packet in tap.requests if packet.command in _SUBMITS]
    assert [packet.command.name for packet in packets] == [
        "SUBMIT_JOB_HIGH_BG", "SUBMIT_JOB_LOW_BG", "SUBMIT_JOB_BG", "SUBMIT_JOB_BG",
    ]  # fmt: skip
    packing = Packing.of(settings)
    read = [
        packing.unpack(packet.args[-1], Terms(f"{function}.f", options.codec))
        for packet, options in zip(packets, chosen, strict=True)
    ]
    assert [call.args for call in read] == [(1,), (1,), (b"1",), (1,)]
    metas = [call.meta for call in read if call.meta]
    assert [meta.id for meta in metas] == [handle.id for handle in handles]
    assert (metas[0].group, metas[2].id, metas[3].name) == ("g", "0" * 32, "the last")
    assert metas[1].expires == metas[1].enqueued_at + 60


def _at(settings: Settings, address: str) -> Settings:
    return Settings(servers=(address,), prefix=settings.prefix, signing_keys=settings.signing_keys)
