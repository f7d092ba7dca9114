"""Delayed jobs, reduce jobs, streams and the status of any job, through both job servers."""

from __future__ import annotations

import math
import threading
import time
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from gearfleet.errors import ConnectionError, JobFailed, JobTimeout, LocalProtocolError
from gearfleet.gearman import (
    PRIORITY_HIGH,
    GearmanClient,
    GearmanJob,
    GearmanWorker,
    JobData,
    JobProgress,
    JobResult,
    JobWarning,
    ServerUnavailable,
)
from gearfleet.gearman.protocol import Command
from tests.support.peers import Peer, fresh
from tests.support.ports import free_port
from tests.support.running import running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.job_servers import JobServer

C = Command


@pytest.fixture
def client(job_server: JobServer) -> Iterator[GearmanClient]:
    with GearmanClient([job_server.address]) as client:
        yield client


@pytest.fixture
def peer(job_server: JobServer, function: str) -> Iterator[Peer]:
    with Peer(job_server) as peer:
        yield peer.register(function)


# Delayed jobs


@pytest.mark.parametrize("kind", ["datetime", "int", "float"])
def test_when_to_run__not_before(
    client: GearmanClient, peer: Peer, function: str, kind: str
) -> None:
    due = math.ceil(time.time()) + 1
    when: Any = {
        "datetime": datetime.fromtimestamp(due, UTC),
        "int": due,
        "float": due - 0.5,  # rounded up: never early
    }[kind]
    request = client.submit_job(function, b"x", background=True, when_to_run=when)
    assert request.complete
    while peer.grab().command is C.NO_JOB:
        assert time.time() < due + 5
    assert time.time() >= due


def test_when_to_run__of_another_time_zone_is_the_same_moment(
    client: GearmanClient, peer: Peer, function: str
) -> None:

    past = datetime.now(timezone(timedelta(hours=14))) - timedelta(seconds=5)
    client.submit_job(function, b"x", background=True, when_to_run=past)
    assert peer.grab().command is C.JOB_ASSIGN_UNIQ


@pytest.mark.parametrize(
    ("when", "reason"),
    [
        (datetime(2040, 1, 1), "no time zone"),
        (1_795_000_000_000, "divide milliseconds"),
        (2**63, "divide milliseconds"),
        (math.inf, "divide milliseconds"),
        (math.nan, "divide milliseconds"),
        (60, "is it a delay"),
        (-1, "is it a delay"),
    ],
    ids=str,
)
def test_when_to_run__refuses_what_gearmand_would_take_for_another_time(
    client: GearmanClient, function: str, when: Any, reason: str
) -> None:
    with pytest.raises(LocalProtocolError, match=reason):
        client.submit_job(function, b"x", background=True, when_to_run=when)


@pytest.mark.parametrize("when", ["tomorrow", True, timedelta(seconds=60)], ids=str)
def test_when_to_run__is_a_time(client: GearmanClient, function: str, when: Any) -> None:
    with pytest.raises(TypeError, match="when_to_run"):
        client.submit_job(function, b"x", background=True, when_to_run=when)


@pytest.mark.parametrize("how", [{}, {"background": True, "priority": PRIORITY_HIGH}], ids=str)
def test_when_to_run__only_for_background_and_normal_priority(
    client: GearmanClient, function: str, how: dict[str, Any]
) -> None:
    with pytest.raises(LocalProtocolError, match="background job of normal priority"):
        client.submit_job(function, b"x", when_to_run=time.time(), **how)


# Reduce jobs


@pytest.mark.parametrize("aggregate", [False, True])
def test_reduce__worker_and_client_hear_of_it(
    client: GearmanClient, peer: Peer, function: str, aggregate: bool
) -> None:
    request = client.submit_reduce_job(
        function, b"a\0b", "sum", aggregate=aggregate, wait_until_complete=False
    )
    packet = peer.ask(C.GRAB_JOB_ALL)
    assert packet.command is C.JOB_ASSIGN_ALL
    assert packet.args[3:] == (b"sum", b"a\0b")
    peer.send(C.WORK_COMPLETE, packet.args[0], b"3")
    client.wait_until_jobs_completed([request], poll_timeout=20)
    assert request.result == b"3"


def test_reduce__in_the_background(client: GearmanClient, peer: Peer, function: str) -> None:
    assert client.submit_reduce_job(function, b"x", "sum", background=True).complete
    assert peer.ask(C.GRAB_JOB_ALL).command is C.JOB_ASSIGN_ALL


@pytest.mark.parametrize("reducer", ["", "two words", "r" * 64])
def test_reduce__a_bad_reducer_is_refused(
    client: GearmanClient, function: str, reducer: str
) -> None:
    with pytest.raises(LocalProtocolError):
        client.submit_reduce_job(function, b"x", reducer)


# Streams


def talk(worker: GearmanWorker, job: GearmanJob) -> bytes:
    for part in range(3):
        worker.send_job_status(job, part, 3)
        worker.send_job_data(job, b"%d" % part)
    worker.send_job_warning(job, b"careful")
    worker.send_job_data(job, b"last")
    if job.data == b"fail":
        raise ValueError("no more")
    return b"end"


PARTS = [event for part in range(3) for event in (JobProgress(part, 3), JobData(b"%d" % part))]
BEFORE_THE_END = [*PARTS, JobWarning(b"careful"), JobData(b"last")]


def test_stream__every_event_in_order(
    client: GearmanClient, job_server: JobServer, function: str
) -> None:
    worker = GearmanWorker([job_server.address])
    worker.register_task(function, talk)
    with running(worker):
        stream = client.stream(function, b"x", poll_timeout=20)
        assert list(stream) == [*BEFORE_THE_END, JobResult(b"end")]
        assert list(stream) == []
        assert stream.request.result == b"end"
        assert stream.request.status["numerator"] == 2


def test_stream__failure_raises_after_the_events(
    client: GearmanClient, job_server: JobServer, function: str
) -> None:
    worker = GearmanWorker([job_server.address])
    worker.register_task(function, talk)
    seen = []
    with running(worker), pytest.raises(JobFailed, match="ValueError: no more"):
        for event in client.stream(function, b"fail", poll_timeout=20):
            seen.append(event)
    assert seen == BEFORE_THE_END


def test_stream__events_come_while_the_job_runs(
    client: GearmanClient, job_server: JobServer, function: str
) -> None:
    go_on = threading.Event()

    def work(worker: GearmanWorker, job: GearmanJob) -> bytes:
        worker.send_job_data(job, b"first")
        assert go_on.wait(20)
        return b"end"

    worker = GearmanWorker([job_server.address])
    worker.register_task(function, work)
    with running(worker):
        stream = client.stream(function, b"x", poll_timeout=20)
        assert next(stream) == JobData(b"first")
        # The connection is free for others meanwhile.
        assert client.submit_job(f"{function}.other", b"x", background=True).complete
        go_on.set()
        assert list(stream) == [JobResult(b"end")]


def test_stream__time_limit_and_on(
    client: GearmanClient, job_server: JobServer, function: str
) -> None:
    stream = client.stream(function, b"x", poll_timeout=0.1)
    with pytest.raises(JobTimeout, match="may still run"):
        next(stream)
    worker = GearmanWorker([job_server.address])
    worker.register_task(function, lambda job: b"end")
    with running(worker):
        client.wait_until_jobs_completed([stream.request], poll_timeout=20)
        assert next(stream) == JobResult(b"end")


def test_stream__lost_connection_raises(own_job_server: JobServer, function: str) -> None:
    with GearmanClient([own_job_server.address]) as client:
        stream = client.stream(function, b"x", poll_timeout=20)
        own_job_server.stop()
        with pytest.raises(ConnectionError):
            next(stream)


def test_stream__its_unique_is_kept_apart_too(client: GearmanClient, function: str) -> None:
    stream = client.stream(function, b"x", unique="mine")
    with pytest.raises(LocalProtocolError, match="another unique"):
        client.submit_job(function, b"x", unique="mine", background=True)
    assert not stream.request.complete


# Status of any job


def test_status__from_queued_to_forgotten_in_another_client(
    client: GearmanClient, peer: Peer, job_server: JobServer, function: str
) -> None:
    unique = fresh().decode()
    with GearmanClient([job_server.address]) as other:
        assert not other.get_status(unique=unique).known
        handle = client.submit_job(function, b"x", unique=unique, background=True).job.handle
        by_unique, by_handle = other.get_status(unique=unique), other.get_status(handle=handle)
        assert (by_unique.known, by_unique.running, by_unique.waiting) == (True, False, 0)
        assert (by_handle.known, by_handle.running, by_handle.waiting) == (True, False, None)
        assert (by_unique.unique, by_handle.handle) == (unique, handle)
        assert str(by_unique.server) == job_server.address
        peer.grab_handle()
        assert handle is not None
        peer.send(C.WORK_STATUS, handle, "3", "7").sync()
        for status in (other.get_status(unique=unique), other.get_status(handle=handle)):
            assert (status.running, status.numerator, status.denominator) == (True, 3, 7)
        peer.send(C.WORK_COMPLETE, handle, b"").sync()
        assert not other.get_status(unique=unique).known
        assert not other.get_status(handle=handle, server=job_server.address).known


def test_status__counts_who_waits(client: GearmanClient, function: str) -> None:
    unique = fresh().decode()
    for _ in range(2):
        client.submit_job(function, b"x", unique=unique, wait_until_complete=False)
    assert client.get_status(unique=unique).waiting == 2


def test_status__wants_one_name_and_a_server_for_handles(job_server: JobServer) -> None:
    other = f"127.0.0.1:{free_port()}"
    with GearmanClient([job_server.address, other]) as client:
        asked: list[tuple[dict[str, Any], str]] = [
            ({}, "either the unique or the handle"),
            ({"unique": ""}, "either the unique or the handle"),
            ({"unique": "u", "handle": "h"}, "either the unique or the handle"),
            ({"handle": "H:x:1"}, "handles of its own"),
            ({"handle": "H:x:1", "server": "127.0.0.1:1"}, "none of this client's"),
        ]
        for names, reason in asked:
            with pytest.raises(LocalProtocolError, match=reason):
                client.get_status(**names)


def test_status__of_several_servers_the_one_that_knows(
    gearmand: JobServer, embedded: JobServer, function: str
) -> None:
    down = f"127.0.0.1:{free_port()}"
    for server in (gearmand, embedded):
        unique = fresh().decode()
        with GearmanClient([server.address]) as submitter:
            submitter.submit_job(function, b"x", unique=unique, background=True)
        with GearmanClient([down, gearmand.address, embedded.address]) as client:
            status = client.get_status(unique=unique)
            assert (status.known, str(status.server)) == (True, server.address)
            # Whether the one that is down has it, nobody can say.
            with pytest.raises(ServerUnavailable, match=f"{down}: Connection refused"):
                client.get_status(unique="no-such-unique")
            assert not client.get_status(unique="none", server=gearmand.address).known


# Where jobs go


def test_named_jobs__of_every_client_meet_at_one_server(
    gearmand: JobServer, embedded: JobServer, function: str
) -> None:
    both = [gearmand.address, embedded.address]
    used = set()
    with GearmanClient(both) as one, GearmanClient(both[::-1]) as two:
        for number in range(30):
            unique = f"{function}"[-40:] + f"-{number}"
            first = one.submit_job(function, b"x", unique=unique, background=True)
            (second,) = two.submit_multiple_jobs(
                [{"task": function, "data": b"x", "unique": unique}], background=True
            )
            assert first.job.connection == second.job.connection
            assert first.job.handle == second.job.handle
            used.add(str(first.job.connection))
    assert used == set(both)


def test_named_jobs__go_elsewhere_only_while_theirs_is_away(
    gearmand: JobServer, embedded: JobServer, function: str
) -> None:
    down = f"127.0.0.1:{free_port()}"
    servers = [down, gearmand.address, embedded.address]
    with GearmanClient(servers) as client, GearmanClient(servers[1:]) as without:
        for number in range(20):
            unique = f"{number}-{function}"[:60]
            ours = client.submit_job(function, b"x", unique=unique, background=True)
            theirs = without.submit_job(function, b"x", unique=unique, background=True)
            assert ours.job.handle == theirs.job.handle


def test_other_jobs__go_to_each_server_in_turn(
    gearmand: JobServer, embedded: JobServer, function: str
) -> None:
    both = {gearmand.address, embedded.address}
    with GearmanClient(sorted(both)) as client:
        singles = [client.submit_job(function, b"x", background=True) for _ in range(4)]
        jobs = [{"task": function, "data": b"x"}] * 40
        many = client.submit_multiple_jobs(jobs, background=True)
    for requests in (singles, many):
        assert all(request.complete for request in requests)
        counts = [
            sum(str(request.job.connection) == server for request in requests) for server in both
        ]
        assert counts == [len(requests) // 2] * 2


def test_bulk__the_share_of_a_server_that_is_down_goes_to_the_others(
    gearmand: JobServer, function: str
) -> None:
    down = f"127.0.0.1:{free_port()}"
    jobs = [{"task": function, "data": b"x", "unique": f"{function}{n}"[-60:]} for n in range(20)]
    with GearmanClient([down, gearmand.address]) as client:
        requests = client.submit_multiple_jobs(jobs, background=True)
        assert all(str(request.job.connection) == gearmand.address for request in requests)
    with GearmanClient([down]) as client, pytest.raises(ServerUnavailable, match="refused"):
        client.submit_multiple_jobs(jobs, background=True)
