"""Workers that run several jobs at a time: threads for functions, an event loop for coroutines."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from gearfleet.errors import JobFailed
from gearfleet.results import open_store
from gearfleet.tasks import SubmitOptions
from tests.support.waiting import wait_for
from tests.support.workers import WorkerProject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.job_servers import JobServer
    from tests.support.processes import Process

TASKS = """
import threading
from gearfleet import Retry, current_job
from gearfleet.errors import SoftTimeLimitExceeded

@task(queue="foo")
async def wait_in_loop(name):
    note(f"begin {name} {threading.current_thread().name}")
    try:
        while not (FOLDER / name).exists():
            await asyncio.sleep(0.01)
        return current_job().id
    finally:
        note(f"finally {name}")

@task(queue="foo")
def sleep_long(name):
    note(f"begin {name}")
    for _ in range(1000):
        time.sleep(0.01)

@task(queue="foo")
def hold_gil_free(name, seconds):
    note(f"begin {name}")
    time.sleep(seconds)
    note(f"end {name}")

@task(queue="foo")
def go_away(how):
    if how == "exit":
        sys.exit(3)
    if how == "base":
        raise KeyboardInterrupt
    if how == "recursion":
        return go_away.func(how)
    return object()

@task(queue="foo")
async def exit_loop():
    sys.exit(3)

@task(queue="foo", soft_time_limit=0.2)
def slow(name):
    try:
        for _ in range(1000):
            time.sleep(0.01)
    except SoftTimeLimitExceeded:
        note(f"limit {name}")
        raise

@task(queue="foo", soft_time_limit=0.2)
async def slow_in_loop(name):
    try:
        await asyncio.sleep(1000)
    except SoftTimeLimitExceeded:
        note(f"limit {name}")
        raise

@task(queue="foo", retries=1, backoff=0)
def second_time(name):
    job = current_job()
    note(f"attempt {job.attempt} {name}")
    if job.attempt == 1:
        raise Retry

@task(queue="foo")
def report(name):
    job = current_job()
    for done in range(1, 101):
        job.set_progress(done, 100)
    job.send_warning("nearly there")
    while not (FOLDER / name).exists():
        time.sleep(0.01)
    return job.id
"""

SIZE = 8


@pytest.fixture
def project(tmp_path: Path, job_server: JobServer) -> Iterator[WorkerProject]:
    project = WorkerProject(tmp_path, job_server.address, more=TASKS)
    yield project
    project.close()


@pytest.fixture
def worker(project: WorkerProject) -> Process:
    return project.start_ready("--concurrency", str(SIZE))


def begun(project: WorkerProject) -> int:
    return sum(note.startswith("begin ") for note in project.diary)


@pytest.mark.parametrize("task", ["wait_for", "wait_in_loop"])
def test_crew__runs_as_many_jobs_as_it_has_room_for(
    project: WorkerProject, worker: Process, task: str
) -> None:
    for number in range(SIZE + 3):
        project.delay(task, f"n{number}")
    wait_for(lambda: begun(project) == SIZE, f"{SIZE} jobs at a time")
    for number in range(SIZE + 3):
        project.allow(f"n{number}")
    wait_for(lambda: begun(project) == SIZE + 3, "the rest")
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    assert sum(note.startswith("finally ") for note in project.diary) == SIZE + 3


def test_coroutines__share_one_loop_and_know_their_jobs(
    project: WorkerProject, worker: Process
) -> None:
    handles = [project.submit("wait_in_loop", f"c{n}") for n in range(4)]
    wait_for(lambda: begun(project) == 4, "four at a time")
    threads = {note.split(" ", 2)[2] for note in project.diary}
    assert threads == {"event loop"}
    for number in range(4):
        project.allow(f"c{number}")
    assert len({handle.result(20) for handle in handles}) == 4


@pytest.mark.parametrize("task", ["wait_for", "wait_in_loop"])
def test_term__lets_every_job_finish(project: WorkerProject, worker: Process, task: str) -> None:
    waiting = [project.submit(task, f"t{n}") for n in range(3)]
    wait_for(lambda: begun(project) == 3, "three jobs in hand")
    worker.signal(signal.SIGTERM)
    worker.wait_for_output("Draining: 3 jobs in hand")
    for number in range(3):
        project.allow(f"t{number}")
    assert len([each.result(20) for each in waiting]) == 3
    assert worker.wait() == 0
    assert "3 jobs completed, 0 failed, 0 given back" in worker.output()


@pytest.mark.parametrize("task", ["sleep_long", "wait_in_loop"])
def test_second_signal__gives_every_job_to_another_worker(
    project: WorkerProject, worker: Process, task: str
) -> None:
    for number in range(3):
        project.delay(task, f"s{number}")
    wait_for(lambda: begun(project) == 3, "three jobs in hand")
    worker.signal(signal.SIGTERM)
    worker.wait_for_output("Draining")
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    assert "0 jobs completed, 0 failed, 3 given back" in worker.output()
    assert "goodbye SIGTERM" in project.diary
    project.start_ready("--concurrency", str(SIZE))
    wait_for(lambda: begun(project) == 6, "all of them again")


def test_drain_timeout__interrupts_threads_and_coroutines(project: WorkerProject) -> None:
    worker = project.start_ready("--concurrency", "2", "--drain-timeout", "0.2")
    for task in ("sleep_long", "wait_in_loop"):
        project.delay(task, task)
    wait_for(lambda: begun(project) == 2, "two jobs in hand")
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    assert "0 jobs completed, 0 failed, 2 given back" in worker.output()
    assert "goodbye SIGTERM" in project.diary
    project.start_ready("--concurrency", "2")
    wait_for(lambda: begun(project) == 4, "both again")


def test_drain_timeout__ends_what_no_exception_reaches(
    project: WorkerProject, job_server: JobServer
) -> None:
    worker = project.start_ready(
        "--concurrency", "2", "--drain-timeout", "0.2", "--interrupt-grace", "0.2"
    )
    project.delay("hold_gil_free", "deaf", 1000)
    project.wait_for_note("begin deaf")
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 1  # hard, with the stacks of all threads
    assert "hold_gil_free" in worker.output()
    project.start_ready()
    wait_for(lambda: begun(project) == 2, "the job elsewhere")


@pytest.mark.parametrize("how", ["exit", "base", "recursion", "unsendable"])
def test_bad_task__fails_its_own_job_only(
    project: WorkerProject, worker: Process, how: str
) -> None:
    good = project.submit("wait_for", "good")
    project.wait_for_note("begin good")
    with pytest.raises(JobFailed):
        project.submit("go_away", how).result(20)
    with pytest.raises(JobFailed, match="SystemExit"):
        project.submit("exit_loop").result(20)
    project.allow("good")
    project.allow("again")
    assert good.result(20) == "good"
    assert project.submit("wait_in_loop", "again").result(20)
    assert worker.returncode is None


@pytest.mark.parametrize("task", ["slow", "slow_in_loop"])
def test_soft_time_limit(project: WorkerProject, worker: Process, task: str) -> None:
    good = project.submit("wait_for", "good")
    with pytest.raises(JobFailed, match="SoftTimeLimitExceeded"):
        project.submit(task, "x").result(20)
    assert "limit x" in project.diary
    project.allow("good")
    assert good.result(20) == "good"


def test_retry__and_progress(project: WorkerProject, worker: Process) -> None:
    project.delay("second_time", "r")
    project.wait_for_note("attempt 2 r")
    handle = project.client.enqueue(project.function("report"), ["p"], {}, SubmitOptions())
    wait_for(lambda: str(project.client.status(handle)) == "running 100/100", "the progress")
    project.allow("p")


def test_store_down__runs_the_job_again_and_leaves_the_others_alone(
    project: WorkerProject, worker: Process
) -> None:
    """Only the end of the connection gives a job back, and it would take the others with it."""
    good = project.submit("wait_for", "good")
    project.wait_for_note("begin good")
    path = project.run_dir / "results.sqlite3"
    path.mkdir(parents=True)
    project.delay("go_away", "exit")
    wait_for(lambda: "go_away" in worker.output(), "the failure")
    project.allow("good")
    assert good.result(30) == "good"
    worker.wait_for_output("runs again, because what became of it cannot be kept")
    path.rmdir()
    wait_for(lambda: _failures(project) == 1, "the failure in the store")
    assert project.diary.count("begin good") == 1


def _failures(project: WorkerProject) -> int:
    store = open_store(project.settings)
    assert store is not None
    try:
        return len(store.failures())
    finally:
        store.close()


def test_killed__all_jobs_run_elsewhere(project: WorkerProject, worker: Process) -> None:
    for number in range(SIZE):
        project.delay("wait_for", f"k{number}")
    wait_for(lambda: begun(project) == SIZE, "all in hand")
    worker.kill()
    project.start_ready("--threads", "3")
    for number in range(SIZE):
        project.allow(f"k{number}")
    for number in range(SIZE):
        project.wait_for_note(f"done k{number}")


def test_option__must_be_a_count(project: WorkerProject) -> None:
    process = project.start("--concurrency", "0")
    assert process.wait() == 2
    assert "--concurrency or GEARFLEET_CONCURRENCY is '0'" in process.output()
