"""Workers are killed while jobs fail, are tried again and follow each other; each leaves its trace.

A success may be lost with the worker that had it in memory (it is written within
0.2 s, docs/explanation/delivery.md); then the diary of the task tells of it.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from gearfleet import chain, config
from gearfleet.client import close_default_client
from gearfleet.results import open_store
from gearfleet.tasks import TaskCall
from tests.chaos.storms import SEED, Storm
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from gearfleet.flows import Chain
    from gearfleet.tasks import JobHandle
    from tests.support.job_servers import JobServer

STORM = 5.0

TASKS = """
from gearfleet import current_job

@task(queue="foo", retries=3, backoff=0)
def try_hard(number, fails):
    time.sleep(0.002)
    if current_job().attempt <= fails:
        raise ValueError(f"{number} fails")
    note(f"job {number}")

@task(queue="foo")
def step(number, place, breaks):
    time.sleep(0.002)
    if breaks:
        raise ValueError(f"{number} breaks")
    note(f"step {number} {place}")
    if place == 2:
        note(f"job {number}")
"""


class Ledger(Storm):
    """A storm of jobs that are tried again, and of chains of three; it knows how each must end."""

    tasks = TASKS

    def __init__(self, folder: Path, server: JobServer) -> None:
        super().__init__(folder, server.address)
        self.failing: dict[int, JobHandle] = {}
        self.breaking: dict[int, Chain] = {}

    def submit(self) -> None:
        number = next(self._numbers)
        if number % 4 == 0:
            self._submit_chain(number, breaks_at=self.random.choice([1, 2, 3, 3, 3]))
        else:
            self._submit_job(number, fails=self.random.randrange(6))

    def _submit_job(self, number: int, *, fails: int) -> None:
        job = self.project.client.delay(self.project.function("try_hard"), number, fails)
        if fails > 3:
            self.failing[number] = job
        else:
            self.accepted.append(number)

    def _submit_chain(self, number: int, *, breaks_at: int) -> None:
        step = self.project.function("step")
        calls = [TaskCall(step, (number, place, place == breaks_at), {}) for place in range(3)]
        made = chain(calls)
        if breaks_at < 3:
            self.breaking[number] = made
        else:
            self.accepted.append(number)


def test_killed_workers__every_job_ends_once_and_leaves_its_trace(
    tmp_path: Path, own_job_server: JobServer
) -> None:
    with closing(Ledger(tmp_path, own_job_server)) as storm, config.using(storm.project.settings):
        storm.rage(STORM, storm.kill_one, storm.kill_one, storm.drain_one, storm.freeze_one)
        close_default_client()
        store = open_store(storm.project.settings)
        assert store is not None
        wait_for(
            lambda: all(row.split("\t")[1] == "0" for row in own_job_server.text("status")),
            f"the end of all jobs, seed {SEED}",
        )
        assert not set(storm.accepted) - set(storm.done)
        for job in storm.failing.values():
            record = store.get(job.id)
            assert record is not None
            assert (record.state, record.attempt) == ("failure", 4), f"seed {SEED}: {record}"
        for number, broken in storm.breaking.items():
            states = [record.state for record in broken.records()]
            assert states[-1:] == ["failure"], f"seed {SEED}: {states} of {number}"
            assert number not in storm.done, "nothing follows a step that failed"
        assert storm.failing
        assert storm.breaking
