"""Workers and job servers come and go while jobs flow; every accepted job is done."""

from __future__ import annotations

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

from gearfleet.errors import GearfleetError
from tests.chaos.storms import Storm
from tests.support.job_servers import JobServer

if TYPE_CHECKING:
    from pathlib import Path

STORM = 5.0


def test_drained_workers__do_every_job_once(tmp_path: Path, job_server: JobServer) -> None:
    with closing(Storm(tmp_path, job_server.address)) as storm:
        storm.rage(STORM, storm.drain_one)
        storm.wait_until_done()
        assert set(storm.done.values()) == {1}, "a drained worker answers for what it has done"
        assert all(code in {0, -signal.SIGTERM} for code in storm.stop())


def test_killed_and_frozen_workers__lose_no_job(tmp_path: Path, job_server: JobServer) -> None:
    with closing(Storm(tmp_path, job_server.address)) as storm:
        storm.rage(STORM, storm.drain_one, storm.interrupt_one, storm.kill_one, storm.freeze_one)
        storm.wait_until_done()


def test_frozen_job_server__loses_no_job(tmp_path: Path, own_job_server: JobServer) -> None:
    process = own_job_server.process
    assert process is not None

    def freeze() -> None:
        # Longer than workers wait for the answer to a GRAB, so they leave and come back.
        process.pause()
        time.sleep(storm.random.choice([0.1, 1.2]))
        process.go_on()

    with closing(Storm(tmp_path, own_job_server.address)) as storm:
        storm.rage(STORM, freeze, storm.drain_one)
        storm.wait_until_done()


def test_killed_job_server__with_a_persistent_queue_loses_no_job(tmp_path: Path) -> None:
    database = tmp_path / "queue.sqlite3"
    options = ["-q", "libsqlite3", "--libsqlite3-db", str(database)]
    server = JobServer("gearmand", options=options).start()

    def kill() -> None:
        server.kill()
        server.start()

    with closing(server), closing(Storm(tmp_path, server.address)) as storm:
        storm.rage(STORM, kill, storm.drain_one, storm.kill_one)
        storm.wait_until_done()


def test_one_of_two_job_servers__comes_and_goes_and_every_caller_has_its_result(
    tmp_path: Path, job_server: JobServer, own_job_server: JobServer
) -> None:
    def call(number: int) -> int:
        while True:
            try:
                return int(storm.project.client.submit(work, number, 0.01))
            except GearfleetError:
                time.sleep(0.02)  # a caller who hears of it can try again

    def kill() -> None:
        own_job_server.kill()
        time.sleep(0.3)
        own_job_server.start()

    servers = (own_job_server.address, job_server.address)
    with closing(Storm(tmp_path, *servers)) as storm, ThreadPoolExecutor(4) as callers:
        work = storm.project.function("work")
        results = callers.map(call, range(10**6, 10**6 + 200))
        for _ in range(3):
            kill()
            storm.drain_one()
        assert list(results) == list(range(10**6, 10**6 + 200))
        assert set(storm.done) == set(range(10**6, 10**6 + 200))
