"""What follows a job is submitted to the job server that gave the job out, so that no chain forks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gearfleet import Client
from gearfleet.config import Settings
from gearfleet.gearman import GearmanAdminClient
from gearfleet.outgoing import new_id
from gearfleet.tasks import SubmitOptions, bind
from gearfleet.worker.followers import Followers
from tests.support.certificates import Authority
from tests.support.tls_proxy import TLSProxy

if TYPE_CHECKING:
    from pathlib import Path

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


def test_submitted__over_tls_with_the_files_of_the_settings(
    job_server: JobServer, tmp_path: Path, function: str
) -> None:
    """A worker knows the job server that gave a job out by its name, which says nothing of files."""
    authority = Authority(tmp_path)
    with TLSProxy(job_server.address, authority.good) as proxy:
        name = f"tls://localhost:{proxy.port}"
        settings = Settings(servers=(f"{name}?ca_certs={authority.ca_certs}",), client_timeout=10.0)
        submit = Followers(settings)
        handle = submit(function, (), {}, SubmitOptions(), server=name)
        assert queued(job_server, function) == 1
        with Client(settings) as client, bind(client):
            assert handle.status().state == "queued"
        submit.close()
