"""The waves of `gearfleet apply`: who goes first, and when the next one goes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from gearfleet.worker.boards import read_boards
from gearfleet.worker.glances import glance
from tests.support.job_servers import JobServer
from tests.support.processes import Process
from tests.support.sites import Site
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, gearmand: JobServer) -> Iterator[Site]:
    """A site with two workers that run, shared."""
    folder = tmp_path_factory.mktemp("waves")
    with Site(folder, gearmand.address, python=sys.executable) as made:
        yield made


def test_apply__replaces_those_first_that_have_no_job(site: Site) -> None:
    site.reset()
    site.submit(0, seconds=60)
    wait_for(lambda: site.lines() == ["begin 0"], "a worker to be busy")
    run_dir = site.folder / "run"
    (busy,) = (board.about.slot for board in read_boards(run_dir) if board.is_alive and board.jobs)
    (idle,) = site.pids().keys() - {busy}
    site.settings(2, "umask = '027'")
    client = start_apply(site, "idle.log")
    client.wait_for_output(f"bar:{idle}: replaced")
    assert site.lines() == ["begin 0"], "nobody waited for the busy one"
    site.enough()
    assert client.wait() == 0, client.output()
    assert f"bar:{busy}: replaced" in client.output()
    assert site.lines() == ["begin 0", "end 0"]


def test_apply__takes_the_next_when_a_job_server_knows_the_one_before(site: Site) -> None:
    site.reset()
    before = site.pids()
    wait_for(lambda: all(is_known(site, *worker) for worker in before.items()), "both to serve")
    old, later = site.server, JobServer("embedded")
    site.server = later.address
    try:
        site.settings(2, "umask = '027'")  # the job server is read when a worker starts
        client = start_apply(site, "registered.log")
        wait_for(
            lambda: has_run_for(site, "worker_bar_00", unlike=before, seconds=3),
            "the first to run again",
        )
        assert site.pids()["worker_bar_01"] == before["worker_bar_01"]
        assert ": replaced (" not in client.output()
        later.start()
        assert client.wait() == 0, client.output()
        assert not {*site.pids().values()} & {*before.values()}
    finally:
        site.server = old
        later.close()


def start_apply(site: Site, log: str) -> Process:
    return Process(site.words("--max-unavailable=1"), log=site.folder / log, cwd=site.folder)


def is_known(site: Site, name: str, pid: int) -> bool:
    """Return whether a job server knows a worker, and the worker says so."""
    seen = glance(site.folder / "run", name, pid)
    return seen is not None and seen.is_registered


def has_run_for(site: Site, name: str, *, unlike: dict[str, int], seconds: float) -> bool:
    """Return whether a new process has been RUNNING while supervisord came round a few times."""
    info = site.daemon.processes()[name]
    is_new = info["statename"] == "RUNNING" and info["pid"] != unlike[name]
    return bool(is_new and info["now"] - info["start"] >= seconds)
