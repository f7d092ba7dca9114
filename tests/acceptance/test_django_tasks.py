"""Django's own tasks, run by a fleet: what a project has to write, and what it then can do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.django_tasks import make_site, manage, need_framework, tell
from tests.support.processes import Process
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.originals.projects import Project
    from tests.support.job_servers import JobServer

TASKS = """\
import asyncio
import time
from pathlib import Path

from FRAMEWORK import task
from FRAMEWORK.signals import task_finished, task_started

FOLDER = Path(__file__).parents[1]

def note(signal, sender, task_result, **_):
    word = "started" if signal is task_started else "finished"
    with (FOLDER / "diary").open("a") as diary:
        name = task_result.task.name
        diary.write(f"{word} {name} {sender.__name__} {task_result.status} {task_result.attempts}\\n")

task_started.connect(note)
task_finished.connect(note)

@task
def price(copies, each=35):
    return {"cents": copies * each, "parts": (copies, each)}

@task(queue_name="mail")
def write(text):
    with (FOLDER / "letters").open("a") as letters:
        letters.write(text + "\\n")

@task
def break_down():
    raise LookupError("no such photo")

@task
def unspeakable():
    return object()

@task
async def nap(seconds):
    await asyncio.sleep(seconds)
    return "slept"

@task(takes_context=True)
def who(context, name):
    result = context.task_result
    return [name, result.id, context.attempt, result.task.priority, result.status]

@task
def hold():
    while not (FOLDER / "enough").exists():
        time.sleep(0.01)
"""

HELPERS = """\
import asyncio, time
from datetime import datetime, timedelta, timezone as zones
from pathlib import Path
from django.utils import timezone
from FRAMEWORK import TaskResultStatus, default_task_backend
from FRAMEWORK.exceptions import TaskResultDoesNotExist, TaskResultMismatch
from FRAMEWORK.signals import task_enqueued
from myapp.tasks import *

def until(result, condition=lambda result: result.is_finished):
    deadline = time.monotonic() + 30
    while not condition(result):
        assert time.monotonic() < deadline, result
        time.sleep(0.01)
        result.refresh()
    return result

def raises(error, action):
    try:
        action()
    except error as raised:
        return raised
    raise AssertionError(f"{error} was not raised")
"""

CALLS = (
    HELPERS
    + """
heard = []
task_enqueued.connect(lambda task_result, **_: heard.append(task_result), weak=False)

before = timezone.now()
result = price.enqueue(12, each=2)
assert heard == [result] and len(result.id) <= 64
assert result.status == "READY" and before <= result.enqueued_at <= timezone.now()
assert until(result).return_value == {"cents": 24, "parts": [12, 2]}
assert result.status == "SUCCESSFUL" and result.errors == [] and result.attempts == 1
assert before <= result.enqueued_at <= result.started_at <= result.finished_at <= timezone.now()
assert result.last_attempted_at == result.started_at
assert result.worker_ids[0].startswith("gearfleet/")

found = price.get_result(result.id)
assert (found.args, found.kwargs, found.task) == ([12], {"each": 2}, price)
assert found.return_value == result.return_value and found.backend == "default"
raises(TaskResultMismatch, lambda: write.get_result(result.id))
raises(TaskResultDoesNotExist, lambda: default_task_backend.get_result("0" * 32))

failed = until(break_down.enqueue())
assert failed.status == "FAILED" and failed.errors[0].exception_class is LookupError
trace = failed.errors[0].traceback
assert "no such photo" in trace and "break_down" in trace and "gearfleet" not in trace, trace
raises(ValueError, lambda: failed.return_value)
assert until(unspeakable.enqueue()).errors[0].exception_class is TypeError
assert until(price.enqueue()).errors[0].exception_class is TypeError
raises(TypeError, lambda: price.enqueue(object()))

assert until(nap.enqueue(0.01)).return_value == "slept"
called = who.using(priority=7).enqueue("Ada")
assert until(called).return_value == ["Ada", called.id, 1, 7, "RUNNING"]
assert who.get_result(called.id).task.priority == 7

async def await_one():
    result = await price.aenqueue(1)
    while not result.is_finished:
        await asyncio.sleep(0.01)
        await result.arefresh()
    return (await price.aget_result(result.id)).return_value
assert asyncio.run(await_one())["cents"] == 35

due = timezone.now() + timedelta(seconds=2)
later = price.using(run_after=due).enqueue(3)
later.refresh()
is_due = timezone.now() > due  # on a machine that is this busy
assert is_due or (later.status == "READY" and later.started_at is None)
assert price.get_result(later.id).task.run_after == due
assert until(later).return_value["cents"] == 105
assert later.started_at >= due - timedelta(seconds=1)  # gearmand counts whole seconds

held = hold.enqueue()
running = until(held, lambda result: result.status == "RUNNING")
assert running.attempts == 1 and running.started_at and not running.finished_at
(FOLDER / "enough").touch()
assert until(held).status == "SUCCESSFUL" and held.return_value is None
print("told")
"""
)


#: For what has nothing to do with where results are kept.
one_store = pytest.mark.parametrize("site", ["sqlite"], indirect=True)


@pytest.fixture(scope="module", params=["sqlite", "django"])
def site(
    request: pytest.FixtureRequest, gearmand: JobServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Project]:
    need_framework()
    folder = tmp_path_factory.mktemp(f"tasks_{request.param}_")
    more = f'GEARFLEET["RESULTS"] = "{request.param}"\n'
    yield make_site(folder, gearmand.address, TASKS, more)


@pytest.fixture(scope="module")
def worker(site: Project) -> Iterator[Process]:
    manage(site, "migrate")
    command = site.gearfleet("worker", "-a", "myapp", "-n", "tasks", "-q", "default")
    process = Process(command, log=site.folder / "log", cwd=site.folder, env=site.environment)
    process.wait_for_output("Registered at job server")
    yield process
    process.terminate()


@one_store
def test_tasks__are_planned_and_rendered_like_ours(site: Project) -> None:
    listed = json.loads(manage(site, "gearfleet", "tasks", "--json"))
    by_name = {each["task"]: each for each in listed}
    assert by_name["myapp.tasks.write"]["queue"] == "mail"
    assert {"myapp.tasks.price", "myapp.tasks.nap", "myapp.tasks.who"} <= by_name.keys()
    rendered = manage(site, "gearfleet", "render")
    assert "[program:myapp_tasks_mail]" in rendered and "[group:default]" in rendered
    assert manage(site, "check").startswith("System check identified no issues")


def test_a_project_calls_its_tasks_and_looks_their_results_up(
    site: Project, worker: Process
) -> None:
    assert tell(site, CALLS, worker) == "told\n"
    diary = (site.folder / "diary").read_text().splitlines()
    assert [line for line in diary if " price " in line][:2] == [
        "started price GearmanBackend RUNNING 1",
        "finished price GearmanBackend SUCCESSFUL 1",
    ]
    assert "finished break_down GearmanBackend FAILED 1" in diary
    assert "finished nap GearmanBackend SUCCESSFUL 1" in diary


@one_store
def test_command_line__submits_jobs_of_djangos_tasks_too(site: Project, worker: Process) -> None:
    said = manage(site, "gearfleet", "submit", "myapp.tasks.price", "--arg", "2")
    assert json.loads(said) == {"cents": 70, "parts": [2, 35]}


@one_store
def test_queue__has_workers_of_its_own(site: Project, worker: Process) -> None:
    story = HELPERS + "assert write.enqueue('dear Ada').status == 'READY'\nprint('told')"
    assert tell(site, story, worker) == "told\n"
    command = site.gearfleet("worker", "-a", "myapp", "-n", "tasks", "-q", "mail")
    log = site.folder / "mail.log"
    other = Process(command, log=log, cwd=site.folder, env=site.environment)
    try:
        wait_for((site.folder / "letters").exists, "the letter")
    finally:
        other.terminate()


RETRIED = """\
from pathlib import Path
from FRAMEWORK import task
from FRAMEWORK.signals import task_finished

FOLDER = Path(__file__).parents[1]

@task(takes_context=True)
def flaky(context):
    if context.attempt < 3:
        raise OSError(f"attempt {context.attempt}")
    return context.attempt

def note(task_result, **_):
    with (FOLDER / "diary").open("a") as diary:
        diary.write(task_result.status + "\\n")

task_finished.connect(note)
"""

COMMITS = (
    HELPERS
    + """
from django.db import transaction
with transaction.atomic():
    result = flaky.enqueue()
    assert result.enqueued_at is None
    raises(TaskResultDoesNotExist, result.refresh)
assert result.enqueued_at is not None
assert until(result).return_value == 3
assert [error.exception_class for error in result.errors] == [OSError, OSError]
assert len(result.worker_ids) == 3 and result.started_at < result.last_attempted_at
elsewhere = until(flaky.using(queue_name="mail").enqueue())
assert (elsewhere.return_value, elsewhere.attempts, elsewhere.task.queue_name) == (3, 3, "mail")
assert flaky.get_result(elsewhere.id).task == flaky.using(queue_name="mail")
try:
    with transaction.atomic():
        dropped = flaky.enqueue()
        raise LookupError
except LookupError:
    pass
raises(TaskResultDoesNotExist, dropped.refresh)
print("told")
"""
)


def test_attempts_and_transactions__are_gearfleets(tmp_path: Path, gearmand: JobServer) -> None:
    need_framework()
    options = (
        '{"RETRIES": 2, "BACKOFF": 0, "ENQUEUE_ON_COMMIT": True, "KEEP_RESULTS": 600, '
        '"ANY_QUEUE": True}'
    )
    more = f'TASKS["default"]["OPTIONS"] = {options}\nGEARFLEET["SAVE_LIMIT"] = -1\n'
    site = make_site(tmp_path, gearmand.address, RETRIED, more)
    command = site.gearfleet("worker", "-a", "myapp", "-n", "tasks", "--threads", "2")
    worker = Process(command, log=tmp_path / "log", cwd=tmp_path, env=site.environment)
    try:
        worker.wait_for_output("Registered at job server")
        assert tell(site, COMMITS, worker) == "told\n"
        assert (tmp_path / "diary").read_text() == "SUCCESSFUL\n" * 2
    finally:
        worker.terminate()
