"""Jobs that run longer than they may: their worker ends, they fail once, the others go on."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gearfleet.errors import JobFailed
from tests.support.waiting import wait_for
from tests.support.workers import WorkerProject

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.job_servers import JobServer

TASKS = """
import ctypes, signal
from gearfleet import TimeLimitExceeded, current_job

@task(queue="foo", time_limit=0.5)
def sleep(name="a"):
    note(f"sleep {name}")
    time.sleep(1000)

@task(queue="foo", time_limit=0.5)
def hold_the_lock(name="a"):
    note(f"hold {name}")
    ctypes.PyDLL(None).sleep(1000)  # with the GIL

@task(queue="foo", time_limit=0.5)
def mask_signals(name="a"):
    note(f"mask {name}")
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    while True:
        try:
            time.sleep(1000)
        except BaseException:
            pass

@task(queue="foo", time_limit=0.5)
async def sleep_async(name="a"):
    note(f"async {name}")
    await asyncio.sleep(1000)

@task(queue="foo", time_limit=0.5, retries=1, backoff=0)
def sleep_once(name="a"):
    note(f"attempt {current_job().attempt}")
    if current_job().attempt == 1:
        time.sleep(1000)
    return "done"

@task(queue="foo", time_limit=30)
def quick():
    return "quick"

@task(queue="foo")
def hold_the_lock_for_a_while(seconds):
    note("holds")
    ctypes.PyDLL(None).usleep(int(seconds * 1e6))
    return "held"

@task(queue="foo", time_limit=0.5)
def brief():
    return "brief"
"""
LIMIT = "gearfleet.errors.TimeLimitExceeded"
TOO_LONG = ["sleep", "hold_the_lock", "mask_signals", "sleep_async"]


@pytest.fixture
def project(tmp_path: Path, job_server: JobServer) -> Iterator[WorkerProject]:
    toml = "results = 'sqlite'\nsave_limit = 0\nquarantine_after = 0\n"
    made = WorkerProject(tmp_path, job_server.address, more=TASKS, toml=toml)
    yield made
    made.close()


def failure(project: WorkerProject, task: str) -> JobFailed:
    """Return what the caller of a job hears, which one worker after the other is given."""
    with pytest.raises(JobFailed) as caught:
        project.submit(task).result(60)
    assert caught.value.failure is not None
    return caught.value


@pytest.mark.parametrize("task", TOO_LONG)
def test_limit__ends_the_worker_and_the_next_one_fails_the_job(
    project: WorkerProject, task: str
) -> None:
    first, second = project.start_ready(), project.start_ready()
    error = failure(project, task)
    assert error.failure is not None
    assert error.failure.type == LIMIT
    assert "has not ended within its time limit of 0.5 s" in error.failure.message
    assert f"in {task}\n" in error.failure.traceback, "where it was"
    assert len(project.diary) == 1, "it ran once"
    codes = {first.returncode, second.returncode}
    assert codes == {None, 1}, "the one that ran it has ended, the other one has not"
    assert project.submit("quick").result(30) == "quick"


def test_limit__is_noticed_by_a_worker_that_starts_later(project: WorkerProject) -> None:
    worker = project.start_ready()
    result = project.submit("sleep")
    assert worker.wait() == 1
    assert "Job H:" in worker.output()
    assert "has reached its time limit of 0.5 s: the process ends now" in worker.output()
    assert "in sleep\n" in worker.output()
    project.start_ready()
    with pytest.raises(JobFailed, match=r"within its time limit of 0\.5 s"):
        result.result(60)
    assert project.diary == ["sleep a"]


def test_limit__of_one_attempt_is_followed_by_the_next(project: WorkerProject) -> None:
    project.start_ready(), project.start_ready()
    handle = project.client.delay(project.function("sleep_once"))
    project.wait_for_note("attempt 2")
    assert project.diary == ["attempt 1", "attempt 2"]
    assert handle.function == project.function("sleep_once")


def test_limit__of_all_tasks_that_have_none(project: WorkerProject) -> None:
    for _ in range(2):
        project.start_ready("--time-limit", "0.5")
    result = project.submit("wait_for", "never")
    with pytest.raises(JobFailed, match=r"within its time limit of 0\.5 s"):
        result.result(60)
    assert project.submit("quick").result(30) == "quick"


def test_limit__of_earlier_jobs_does_not_hit_one_without(project: WorkerProject) -> None:
    worker = project.start_ready()
    for _ in range(3):
        assert project.submit("quick").result(30) == "quick"
    with pytest.raises(TimeoutError):
        project.submit("wait_for", "go").result(2)  # longer than the limit and its slack
    project.allow("go")
    project.wait_for_note("done go")
    assert project.submit("hold_the_lock_for_a_while", 2).result(30) == "held"
    assert worker.returncode is None
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    assert list((project.run_dir / "time-limits").iterdir()) == []


def test_limit__does_not_hit_a_worker_that_was_paused_after_a_job(project: WorkerProject) -> None:
    def threads() -> int:
        return len(list(Path(f"/proc/{worker.pid}/task").iterdir()))

    worker = project.start_ready()
    idle = threads()
    assert project.submit("brief").result(30) == "brief"
    wait_for(lambda: threads() == idle, "the timer to be taken back")
    worker.pause()
    time.sleep(2)  # longer than the limit and the slack
    worker.go_on()
    assert project.submit("quick").result(30) == "quick"


def test_stop__while_a_limited_job_runs(project: WorkerProject) -> None:
    worker = project.start_ready("--time-limit", "30")
    result = project.submit("wait_for", "go")
    project.wait_for_note("begin go")
    worker.signal(signal.SIGTERM)
    worker.wait_for_output("Draining: 1 job in hand")
    project.allow("go")
    assert result.result(30) == "go"
    assert worker.wait() == 0


def test_limit__of_one_of_several_jobs_at_a_time_blames_no_other(project: WorkerProject) -> None:
    worker = project.start_ready("--concurrency", "2")
    innocent = project.submit("wait_for", "go")
    project.wait_for_note("begin go")
    guilty = project.submit("sleep")
    assert worker.wait() == 1
    project.start_ready("--concurrency", "2")
    with pytest.raises(JobFailed, match=r"within its time limit of 0\.5 s"):
        guilty.result(60)
    project.allow("go")
    assert innocent.result(60) == "go"
    assert project.diary.count("begin go") == 2
    assert project.diary.count("sleep a") == 1


def test_limit__of_a_job_in_a_pool(project: WorkerProject) -> None:
    pool = project.start("--processes", "2")
    error = failure(project, "hold_the_lock")
    assert error.failure is not None
    assert error.failure.type == LIMIT
    assert project.submit("quick").result(30) == "quick"
    pool.signal(signal.SIGTERM)
    assert pool.wait() == 0
    assert project.diary.count("hold a") == 1
