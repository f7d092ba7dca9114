"""Background jobs that fail and are tried again, by real workers over real job servers."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

from gearfleet.errors import JobFailed
from gearfleet.gearman import GearmanClient
from gearfleet.results import open_store
from gearfleet.tasks import SubmitOptions
from tests.support.waiting import wait_for
from tests.support.workers import WorkerProject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gearfleet.results import TaskRecord
    from tests.support.job_servers import JobServer

pytestmark = pytest.mark.parametrize("job_server", ["gearmand", "embedded"], indirect=True)

TASKS = """
from gearfleet import Backoff, Retry

def tries(name):
    note(f"try {name} {time.time()}")
    return (FOLDER / "diary").read_text().count(f"try {name} ")

@task(queue="foo", retries=2, backoff=0)
def succeed_at(name, number):
    tried = tries(name)
    if tried < number:
        raise ValueError(f"{tried} is not {number}")
    note(f"done {name}")
    return tried

@task(queue="foo", retries=5, backoff=0, no_retry_for=LookupError)
def look_up(name):
    tries(name)
    raise KeyError("nowhere")

@task(queue="foo", retries=1, backoff=1)
def later(name):
    if tries(name) == 1:
        raise Retry("too early")
    note(f"done {name}")

@task(queue="foo")
def ask_for_more():
    raise Retry("too early")

@task(queue="foo", retries=3, backoff=lambda attempt: 1 / 0)
def bad_backoff(name):
    tries(name)
    raise ValueError("no")

@task(queue="foo", retries=1, backoff=0)
def spoil(items, more):
    note(f"given {items}")
    items.append(more)
    if more == "object":
        items.append(object())
    raise ValueError("no")
"""


@pytest.fixture
def project(tmp_path: Path, job_server: JobServer) -> Iterator[WorkerProject]:
    made = WorkerProject(tmp_path, job_server.address, more=TASKS)
    yield made
    made.close()


def tries(project: WorkerProject, name: str) -> list[float]:
    """Return when the attempts began."""
    lines = (line.split() for line in project.diary)
    return [float(words[2]) for words in lines if words[:2] == ["try", name]]


def final(project: WorkerProject, job: str) -> TaskRecord:
    """Return what became of the job, once no further attempt of it comes."""
    store = open_store(project.settings)
    assert store is not None

    def found() -> TaskRecord | None:
        record = store.get(job)
        return record if record is not None and record.is_final else None

    try:
        record = wait_for(found, f"the end of job {job}")
        assert record is not None
        return record
    finally:
        store.close()


def test_retry__until_it_succeeds(project: WorkerProject) -> None:
    process = project.start_ready()
    job = project.client.delay(project.function("succeed_at"), "a", 3)
    record = final(project, job.id)
    assert (record.state, record.result, record.attempt) == ("success", 3, 3)
    assert len(tries(project, "a")) == 3
    assert "ValueError: 1 is not 3; attempt 2 of 3 follows in 0 s" in process.output()


def test_retry__fails_for_good_after_the_last_attempt(project: WorkerProject) -> None:
    process = project.start_ready()
    job = project.client.delay(project.function("succeed_at"), "b", 99)
    record = final(project, job.id)
    assert (record.state, record.attempt, len(tries(project, "b"))) == ("failure", 3, 3)
    assert record.failure is not None
    assert "ValueError: 3 is not 99" in record.failure.traceback
    assert "failed: ValueError: 3 is not 99" in process.output()


def test_retry__not_for_what_the_task_excludes(project: WorkerProject) -> None:
    project.start_ready()
    job = project.client.delay(project.function("look_up"), "c")
    assert (final(project, job.id).attempt, len(tries(project, "c"))) == (1, 1)


def test_retry__not_in_the_foreground(project: WorkerProject) -> None:
    project.start_ready()
    with pytest.raises(JobFailed, match="1 is not 3"):
        project.submit("succeed_at", "d", 3).result(30)
    project.submit("echo", "after").result(30)
    assert len(tries(project, "d")) == 1


def test_retry__a_backoff_that_raises_is_the_end_and_is_said(project: WorkerProject) -> None:
    process = project.start_ready()
    job = project.client.delay(project.function("bad_backoff"), "e")
    assert final(project, job.id).attempt == 1
    assert "is not tried again" in process.output()
    assert "ZeroDivisionError" in process.output()


@pytest.mark.parametrize("more", ["text", "object"])
def test_retry__has_the_arguments_of_the_caller_whatever_the_task_did_to_them(
    project: WorkerProject, more: str
) -> None:
    project.start_ready()
    job = project.client.delay(project.function("spoil"), [1], more)
    assert final(project, job.id).attempt == 2
    assert [line for line in project.diary if line.startswith("given")] == ["given [1]"] * 2


def test_retry__that_nothing_is_left_for_says_so(project: WorkerProject) -> None:
    worker = project.start_ready()
    project.delay("ask_for_more")
    worker.wait_for_output("asks to be tried again, and this was attempt 1 of 1: give its task")


def test_retry__waits_its_time_while_the_worker_that_failed_is_killed(
    project: WorkerProject,
) -> None:
    first = project.start_ready()
    project.delay("later", "f")
    first.wait_for_output("attempt 2 of 2 follows in 1 s")
    first.signal(signal.SIGKILL)
    first.wait()
    project.start_ready()
    project.wait_for_note("done f")
    began, again = tries(project, "f")
    assert again - began >= 1


def test_retry__by_the_settings(tmp_path: Path, job_server: JobServer) -> None:
    more = "\n@task(queue='foo')\ndef fail(name):\n    note(f'try {name} 0')\n    raise OSError('no')\n"
    project = WorkerProject(
        tmp_path, job_server.address, more=more, toml="retries = 2\nretry_after = 0.1\n"
    )
    try:
        project.start_ready()
        job = project.client.delay(project.function("fail"), "g")
        assert (final(project, job.id).attempt, len(tries(project, "g"))) == (3, 3)
    finally:
        project.close()


def test_retry__whose_success_is_not_kept_leaves_no_record(project: WorkerProject) -> None:
    """The record of the failed attempt says that another comes, which is over now."""
    project.start_ready()
    options = SubmitOptions(save=False)
    job = project.client.enqueue(project.function("succeed_at"), ["u", 2], {}, options)
    project.wait_for_note("done u")
    store = open_store(project.settings)
    assert store is not None
    wait_for(lambda: store.get(job.id) is None, "the record to go")
    store.close()


@pytest.mark.parametrize("id_", ["x" * 62, "a\0b"])
def test_retry__of_an_id_that_fits_no_unique_fails_for_good(
    project: WorkerProject, job_server: JobServer, id_: str
) -> None:
    process = project.start_ready()
    payload = json.dumps({"args": ["h", 99], "meta": {"id": id_}}).encode()
    with GearmanClient([job_server.address]) as client:
        client.submit_job(project.function("succeed_at"), payload, unique="h", background=True)
    assert (final(project, id_).state, len(tries(project, "h"))) == ("failure", 1)
    assert project.submit("echo", 1).result(30) == [1]
    assert "cannot be sent: it is not tried again" in process.output()
