"""What follows a job is submitted to the job server that gave the job out, so that no chain forks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gearfleet.config import Settings
from gearfleet.gearman import GearmanAdminClient
from gearfleet.outgoing import new_id
from gearfleet.tasks import SubmitOptions
from gearfleet.worker.followers import Followers

if TYPE_CHECKING:
    from tests.support.job_servers import JobServer


def queued(server: JobServer, function: str) -> int:
    with GearmanAdminClient([server.address]) as admin:
        return next((row["queued"] for row in admin.get_status() if row["task"] == function), 0)


def test_submitted_twice__pending_once(
    gearmand: JobServer, embedded: JobServer, function: str
) -> None:
    servers = (gearmand.address, embedded.address)
    submit = Followers(Settings(servers=servers, client_timeout=10.0))
    for server in (gearmand, embedded):
        again = SubmitOptions(id=new_id())
        for _ in range(8):
            submit(function, (), {}, again, server=server.address)
        assert queued(server, function) == 1
    submit.close()
