"""Tasks that run longer than they should are told, and nothing else is hit."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

from gearfleet.config import using
from gearfleet.errors import JobFailed
from gearfleet.tasks import bind
from tests.support.workers import WorkerProject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.job_servers import JobServer
    from tests.support.processes import Process

TASKS = """
from datetime import timedelta
from gearfleet import SoftTimeLimitExceeded, current_job

@task(queue="foo", soft_time_limit=0.2)
def sleep(seconds):
    time.sleep(seconds)
    return "slept"

@task(queue="foo", soft_time_limit=timedelta(seconds=0.2))
def spin():
    while True:
        pass

@task(queue="foo", soft_time_limit=0.2)
def clean_up():
    try:
        time.sleep(100)
    except SoftTimeLimitExceeded as error:
        return f"cleaned up: {error}"

@task(queue="foo", soft_time_limit=0.1, retries=1, backoff=0)
def try_again(name):
    note(f"try {current_job().attempt}")
    time.sleep(100)

@task(queue="foo", soft_time_limit=0.2)
def go_on(name):
    note("began")
    try:
        hold_on_to(name)
    except SoftTimeLimitExceeded:
        note("told")
    try:
        hold_on_to(name)
    finally:
        note("finally")

def hold_on_to(name):
    while not (FOLDER / name).exists():
        time.sleep(0.01)

@task(queue="foo", soft_time_limit=0.01)
def end_in_time(seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        current_job().set_progress(1, 2)
    return seconds

@task(queue="bar", soft_time_limit=0.2)
async def wait():
    await asyncio.sleep(100)

@task(queue="bar", soft_time_limit=0.2)
async def wait_and_clean_up():
    try:
        await asyncio.sleep(100)
    except SoftTimeLimitExceeded:
        await asyncio.sleep(0)
        return "cleaned up"

@task(queue="bar", soft_time_limit=0.2)
async def spin_in_a_coroutine():
    while True:
        pass

async def child(name):
    try:
        await asyncio.sleep(100)
    finally:
        note(f"{name} ended")

async def in_a_group():
    async with asyncio.TaskGroup() as group:
        group.create_task(child("first"))
        group.create_task(child("second"))

async def gathered():
    await asyncio.gather(child("first"), child("second"))

async def with_a_limit():
    await asyncio.wait_for(asyncio.gather(child("first"), child("second")), 100)

@task(queue="bar", soft_time_limit=0.2)
async def wait_for_children(how):
    try:
        await globals()[how]()
    except SoftTimeLimitExceeded:
        return "told"

@task(queue="bar", soft_time_limit=0.01)
async def end_in_time_in_a_coroutine(seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        await asyncio.sleep(0.001)
    return seconds

@hooks.after_job
def look_around(job):
    until = time.monotonic() + 0.02
    while time.monotonic() < until:
        pass
    note("looked around")
"""
SOFT = "gearfleet.errors.SoftTimeLimitExceeded"


@pytest.fixture
def project(tmp_path: Path, job_server: JobServer) -> Iterator[WorkerProject]:
    made = WorkerProject(tmp_path, job_server.address, more=TASKS)
    with using(made.settings), bind(made.client):
        yield made
    made.close()


@pytest.fixture
def worker(project: WorkerProject) -> Process:
    return project.start_ready()


def run(project: WorkerProject, task: str, *args: Any) -> Any:
    """Return the result of a job, or the type of what it failed with."""
    try:
        return project.client.submit(project.function(task), *args)
    except JobFailed as error:
        assert error.failure is not None
        return error.failure.type


@pytest.mark.parametrize("task", ["sleep", "spin", "wait", "spin_in_a_coroutine"])
def test_limit__ends_the_task_and_the_worker_goes_on(
    project: WorkerProject, worker: Process, task: str
) -> None:
    args = (100,) if task == "sleep" else ()
    with pytest.raises(JobFailed, match=r"within its soft time limit of 0\.2 s") as caught:
        project.client.submit(project.function(task), *args)
    assert caught.value.failure is not None
    assert caught.value.failure.type == SOFT
    assert f"in {task}\n" in caught.value.failure.traceback
    assert run(project, "echo", 1) == [1]
    assert run(project, "sleep", 0) == "slept"
    assert worker.output().count("has reached its soft time limit of 0.2 s") == 1


@pytest.mark.parametrize("task", ["clean_up", "wait_and_clean_up"])
def test_limit__may_be_caught(project: WorkerProject, worker: Process, task: str) -> None:
    for _ in range(2):
        assert "cleaned up" in run(project, task)


@pytest.mark.parametrize("how", ["in_a_group", "gathered", "with_a_limit"])
def test_limit__of_a_coroutine_ends_what_it_began(
    project: WorkerProject, worker: Process, how: str
) -> None:
    assert run(project, "wait_for_children", how) == "told"
    assert sorted(note for note in project.diary if note.endswith("ended")) == [
        "first ended",
        "second ended",
    ]


def test_limit__is_tried_again_as_the_task_says(project: WorkerProject, worker: Process) -> None:
    handle = project.client.delay(project.function("try_again"), "a")
    with pytest.raises(JobFailed, match="soft time limit"):
        handle.result(20)
    assert [note for note in project.diary if note.startswith("try")] == ["try 1", "try 2"]


@pytest.mark.parametrize("task", ["end_in_time", "end_in_time_in_a_coroutine"])
def test_limit__hits_nothing_but_its_task(
    project: WorkerProject, worker: Process, task: str
) -> None:
    """Jobs that end just when their time is over, and hooks that run just then."""
    lasts = [0.008 + 0.00005 * number for number in range(80)]
    ended = [run(project, task, seconds) for seconds in lasts]
    pairs = zip(ended, lasts, strict=True)
    assert [end for end, seconds in pairs if end not in (SOFT, seconds)] == []
    assert "Hook" not in worker.output()
    # More often where a stalled job server gave a job out again.
    assert project.diary.count("looked around") >= len(lasts), worker.output()
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    assert "goodbye SIGTERM" in project.diary


def test_limit__loses_no_interruption(project: WorkerProject, worker: Process) -> None:
    project.client.delay(project.function("go_on"), "never")
    project.wait_for_note("told")
    worker.signal(signal.SIGTERM)
    worker.wait_for_output("Draining: 1 job in hand")
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    assert project.diary[-2:] == ["finally", "goodbye SIGTERM"]
    assert "1 given back" in worker.output()


def test_limit__of_a_worker_that_drains(project: WorkerProject, worker: Process) -> None:
    future = project.submit("go_on", "end")
    project.wait_for_note("began")
    worker.signal(signal.SIGTERM)
    project.wait_for_note("told")
    project.allow("end")
    assert future.result(20) is None
    assert worker.wait() == 0
