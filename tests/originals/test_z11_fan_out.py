"""Z11: jobs go to several nodes, each job to one of them, and descriptors do not grow."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from gearfleet.gearman import GearmanClient, GearmanJob, GearmanWorker
from tests.support.running import running

if TYPE_CHECKING:
    from tests.support.job_servers import JobServer


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_z11__each_job_to_one_node_and_no_descriptor_leaks(
    gearmand: JobServer, embedded: JobServer, function: str
) -> None:
    """django-ztask pushed round-robin to its nodes; one socket for each call ran out of them."""
    ran: Counter[bytes] = Counter()
    places: Counter[str] = Counter()

    def node(server: JobServer) -> GearmanWorker:
        def run(job: GearmanJob) -> None:
            ran[job.data] += 1
            places[server.address] += 1

        worker = GearmanWorker([server.address])
        worker.register_task(function, run)
        return worker

    servers = gearmand, embedded
    nodes = [node(server) for server in servers]
    with running(*nodes), GearmanClient([server.address for server in servers]) as client:
        client.submit_job(function, b"first")
        client.submit_job(function, b"second")
        before = descriptors()
        for index in range(200):
            client.submit_job(function, b"%d" % index)
        assert descriptors() == before
    assert len(ran) == 202
    assert set(ran.values()) == {1}
    assert places == {server.address: 101 for server in servers}
