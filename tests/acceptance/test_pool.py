"""A pool: what becomes of its workers and their jobs when it is told something, or killed."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.pools import PoolProject, kill
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.job_servers import JobServer


@pytest.fixture
def project(tmp_path: Path, job_server: JobServer) -> Iterator[PoolProject]:
    made = PoolProject(tmp_path, job_server)
    yield made
    made.close()


def test_pool__runs_jobs_in_processes_of_their_own(project: PoolProject) -> None:
    pool = project.start_pool(3)
    workers = project.wait_for_workers(3)
    assert pool.pid not in workers
    assert project.hold(3) == workers
    project.allow("go")
    pool.signal(signal.SIGTERM)
    assert pool.wait() == 0
    assert not project.living
    assert "Pool stopped (SIGTERM): every worker has ended, 0 of them by SIGKILL" in pool.output()


def test_short_option__is_that_of_django_gearman(project: PoolProject) -> None:
    project.start("-w", "2").wait_for_output("All 2 workers serve")
    assert len(project.registered) == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal__lets_the_jobs_in_hand_finish(project: PoolProject, number: signal.Signals) -> None:
    pool = project.start_pool(3)
    result = project.submit("wait_for", "go")
    project.wait_for_note("begin go")
    pool.signal(number)
    pool.wait_for_output("Draining: 3 workers finish their jobs, up to 60 s.")
    pool.wait_for_output("Draining: 1 job in hand")
    project.allow("go")
    assert result.result() == "go"
    assert pool.wait() == 0
    assert project.diary.count(f"goodbye {signal.SIGTERM.name}") == 3
    assert not project.living


def test_second_signal__interrupts_the_jobs_which_run_elsewhere(project: PoolProject) -> None:
    pool = project.start_pool(2)
    held = project.hold(2)
    pool.signal(signal.SIGTERM)
    pool.wait_for_output("Draining: 2 workers")
    pool.signal(signal.SIGTERM)
    assert pool.wait() == 0
    assert set(project.noted("let go")) == held
    assert pool.output().count("1 given back") == 2
    assert not project.living
    project.start_pool(1)
    wait_for(lambda: len(project.noted("hold")) == 3, "a job to run again")


def test_worker__that_does_not_end_is_killed_by_the_parent(project: PoolProject) -> None:
    limits = ("--drain-timeout", "0", "--interrupt-grace", "0", "--hook-timeout", "0")
    pool = project.start_pool(2, *limits)
    stuck = min(project.registered)
    os.kill(stuck, signal.SIGSTOP)
    pool.signal(signal.SIGTERM)
    assert pool.wait() == 0
    assert f"Process {stuck} has not ended in its time: SIGKILL" in pool.output()
    assert "1 of them by SIGKILL" in pool.output()
    assert not project.living


def test_killed_worker__is_replaced_and_its_job_runs_elsewhere(project: PoolProject) -> None:
    pool = project.start_pool(2)
    before = project.registered
    (held,) = project.hold(1)
    kill(held, signal.SIGKILL)
    wait_for(lambda: len(project.noted("hold")) == 2, "the job to run elsewhere")
    wait_for(lambda: held not in project.registered, "the dead to be gone")
    after = project.wait_for_workers(2)
    assert len(before & after) == 1
    assert f"Worker {held} of slot" in pool.output()
    assert "SIGKILL (perhaps it was out of memory); another one starts" in pool.output()


def test_killed_parent__has_its_workers_drain(project: PoolProject) -> None:
    pool = project.start_pool(3)
    (held,) = project.hold(1)
    pool.signal(signal.SIGKILL)
    wait_for(lambda: project.living == {held}, "the idle ones and the nursery to end")
    project.allow("go")
    project.wait_until_all_gone()
    assert pool.output().count("The parent of the pool is gone: this worker stops") == 3
    assert "1 jobs completed, 0 failed, 0 given back" in pool.output()


def test_killed_nursery__is_replaced_and_the_workers_go_on(project: PoolProject) -> None:
    pool = project.start_pool(2)
    workers = project.registered
    nursery = project.nursery(pool)
    (held,) = project.hold(1)
    kill(nursery, signal.SIGKILL)
    pool.wait_for_output("The nursery is gone (SIGKILL")
    wait_for(lambda: pool.output().count("Imported the code") == 2, "another nursery")
    assert project.registered == workers
    kill(held, signal.SIGKILL)  # the new nursery forks, the parent has heard of the death
    wait_for(lambda: len(project.registered - workers) == 1, "a worker of the new nursery")
    project.allow("go")
    pool.signal(signal.SIGTERM)
    assert pool.wait() == 0
    assert not project.living


@pytest.mark.parametrize("moment", ["Pool of 2 workers", "half imported"])
def test_parent_killed_before_the_pool_is_up__leaves_nothing(
    project: PoolProject, moment: str
) -> None:
    project.rewrite("import asyncio", "print('half imported')\nimport time; time.sleep(60)")
    pool = project.start("--processes", "2")
    pool.wait_for_output(moment)
    pool.signal(signal.SIGKILL)
    project.wait_until_all_gone()
