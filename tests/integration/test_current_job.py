"""What tasks say of their jobs while they run, by real workers over real job servers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from gearfleet import result
from gearfleet.config import using
from gearfleet.errors import JobFailed, JobTimeout
from gearfleet.gearman import GearmanClient
from gearfleet.gearman.streams import JobData, JobProgress, JobResult, JobWarning
from gearfleet.tasks import SubmitOptions, bind
from gearfleet.tasks.meta import Meta
from gearfleet.tasks.payload import decode_value, encode_call
from tests.support.waiting import wait_for
from tests.support.workers import WorkerProject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.job_servers import JobServer

TASKS = """
import multiprocessing, threading
from gearfleet import current_job

def told():
    job = current_job()
    return [job.id, job.attempt, job.task, job.function]

@task
def tell():
    return told()

@task
async def tell_later():
    return [told(), await asyncio.to_thread(told)]

@task(retries=1, backoff=0)
def tell_twice():
    if current_job().attempt == 1:
        raise ValueError("once more")
    return told()

@task
def progress(name, *steps):
    for step in steps:
        current_job().set_progress(*step)
    wait_for.func(name)

@task
async def progress_in_threads(name):
    await asyncio.to_thread(current_job().set_progress, 1, 3)
    thread = threading.Thread(target=current_job().set_progress, args=(2, 3))
    thread.start()
    thread.join()
    while not (FOLDER / name).exists():
        await asyncio.sleep(0.01)

@task
def speak():
    job = current_job()
    for part in (1, {2}, None):
        job.send_data(part)
    job.send_warning("paper is low \\u2603")
    job.set_progress(1, 2)
    return "done"

@task(codec="raw")
def speak_in_bytes(data):
    current_job().send_data(data[::-1])

@task
def speak_much(count, size):
    for number in range(count):
        current_job().send_data("x" * size)
        current_job().set_progress(number, count)
    return count

kept = []

@task
def keep():
    kept.append(current_job())

@task
def speak_for_another():
    kept[0].send_data("from beyond")
    kept[0].set_progress(1, 1)
    current_job().send_data("mine")
    return kept[0].id == current_job().id

@task
def bad(kind):
    job = current_job()
    {"object": lambda: job.send_data(object()), "negative": lambda: job.set_progress(-1, 2),
     "float": lambda: job.set_progress(0.5, 1)}[kind]()

def speak_as(job, answers):
    try:
        job.send_data("two voices")
    except RuntimeError as error:
        answers.put(str(error))

@task
def fork():
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    child = context.Process(target=speak_as, args=(current_job(), answers))
    child.start()
    answer = answers.get(timeout=20)
    child.join()
    return answer

@hooks.before_job
def note_before(job):
    note(f"before {current_job().id}")

@hooks.after_job
def note_after(job):
    note(f"after {current_job().id}")
"""


@pytest.fixture
def project(tmp_path: Path, job_server: JobServer) -> Iterator[WorkerProject]:
    made = WorkerProject(tmp_path, job_server.address, more=TASKS)
    with using(made.settings), bind(made.client):
        made.start_ready()
        yield made
    made.close()


def events(project: WorkerProject, task: str, *args: Any) -> list[Any]:
    """Return all that a caller hears of a job."""
    data = encode_call(args, meta=Meta(id="a" * 32, waits=True))
    with GearmanClient(list(project.settings.servers)) as client:
        return list(client.stream(project.function(task), data, poll_timeout=30))


def test_current__is_the_job(project: WorkerProject) -> None:
    function = project.function("tell")
    handle = project.client.delay(function)
    assert handle.result() == [handle.id, 1, function, function]
    assert project.diary[:2] == [f"before {handle.id}", f"after {handle.id}"]


def test_current__in_coroutines_and_their_threads(project: WorkerProject) -> None:
    function = project.function("tell_later")
    for handle in [project.client.delay(function) for _ in range(3)]:
        assert handle.result() == [[handle.id, 1, function, function]] * 2


def test_current__counts_the_attempts(project: WorkerProject) -> None:
    function = project.function("tell_twice")
    handle = project.client.delay(function)
    assert handle.result() == [handle.id, 2, function, f"{function}+later"]


def test_current__of_a_client_in_another_language(project: WorkerProject) -> None:
    with GearmanClient(list(project.settings.servers)) as client:
        request = client.submit_job(project.function("tell"), b"", poll_timeout=30)
    job, attempt, *_ = decode_value(request.result)
    given = request.job
    assert (job, attempt) == (f"{project.settings.servers[0]}/{given.handle}/{given.unique}", 1)


@pytest.mark.parametrize(
    ("steps", "shown"),
    [
        ([(1, 10), (3, 10)], "running 3/10"),
        ([(number, 5_000) for number in range(5_000)], "running 4999/5000"),
        ([(2**40, 2**41)], f"running {2**29}/{2**30}"),
    ],
)
def test_progress__is_seen_while_the_task_runs(
    project: WorkerProject, steps: list[tuple[int, int]], shown: str
) -> None:
    handle = project.client.delay(project.function("progress"), "end", *steps)
    wait_for(lambda: str(handle.status()) == shown, f"the status {shown}")
    project.allow("end")
    assert handle.wait()


def test_progress__from_other_threads(project: WorkerProject) -> None:
    handle = project.client.delay(project.function("progress_in_threads"), "end")
    wait_for(lambda: str(handle.status()) == "running 2/3", "the second thread's progress")
    project.allow("end")
    assert handle.wait()


def test_said__reaches_a_caller_that_waits(project: WorkerProject) -> None:
    *said, progress, ended = events(project, "speak")
    assert [decode_value(each.data) for each in said if isinstance(each, JobData)] == [1, {2}, None]
    assert said[3] == JobWarning("paper is low \N{SNOWMAN}".encode())
    assert progress == JobProgress(1, 2)
    assert ended == JobResult(b'"done"')


def test_said__in_the_codec_of_the_task(project: WorkerProject) -> None:
    with GearmanClient(list(project.settings.servers)) as client:
        said = list(client.stream(project.function("speak_in_bytes"), b"abc", poll_timeout=30))
    assert said == [JobData(b"cba"), JobResult(b"")]


def test_said__much_of_it_arrives_in_order_before_the_result(project: WorkerProject) -> None:
    *said, ended = events(project, "speak_much", 300, 20_000)
    assert sum(isinstance(each, JobData) for each in said) == 300
    assert ended == JobResult(b"300")


def heard(project: WorkerProject, task: str, *args: Any, waits_in: str = "run") -> list[Any]:
    """Return what the callbacks of a call hear, and its result."""
    said: list[Any] = []
    options = SubmitOptions(
        on_data=lambda value: said.append(("data", value)),
        on_warning=lambda text: said.append(("warning", text)),
        on_progress=lambda n, total: said.append(("progress", n, total)),
    )
    call: Any = (project.function(task), args, {}, options)
    if waits_in == "run":
        result = project.client.run(*call)
    else:
        result = asyncio.run(project.client.arun(*call))
    return [*said, result]


@pytest.mark.parametrize("waits_in", ["run", "arun"])
def test_heard__by_the_callbacks_of_the_call(project: WorkerProject, waits_in: str) -> None:
    assert heard(project, "speak", waits_in=waits_in) == [
        ("data", 1),
        ("data", {2}),
        ("data", None),
        ("warning", "paper is low \N{SNOWMAN}"),
        ("progress", 1, 2),
        "done",
    ]


@pytest.mark.parametrize("waits_in", ["run", "arun"])
def test_heard__a_failure_is_the_same(project: WorkerProject, waits_in: str) -> None:
    with pytest.raises(JobFailed, match="ValueError: Progress is 0 or more") as caught:
        heard(project, "bad", "negative", waits_in=waits_in)
    assert caught.value.failure is not None
    assert caught.value.failure.type == "ValueError"


@pytest.mark.parametrize("waits_in", ["run", "arun"])
def test_heard__for_as_long_as_the_caller_waits(project: WorkerProject, waits_in: str) -> None:
    said: list[Any] = []
    options = SubmitOptions(timeout=1.0, on_progress=lambda *progress: said.append(progress))
    call: Any = (project.function("progress"), ("never", (1, 3)), {}, options)
    client = project.client
    with pytest.raises(JobTimeout, match=r"No result of .* within 1 s"):
        client.run(*call) if waits_in == "run" else asyncio.run(client.arun(*call))
    assert said == [(1, 3)]
    project.allow("never")


def test_heard__only_by_callers_that_wait(project: WorkerProject) -> None:
    options = SubmitOptions(on_data=print)
    with pytest.raises(ValueError, match=r"Nobody listens to a job of .* in the background"):
        project.client.enqueue(project.function("speak"), (), {}, options)


def test_said__after_the_end_of_the_job_is_dropped(project: WorkerProject) -> None:
    project.client.submit(project.function("keep"))
    assert events(project, "speak_for_another") == [JobData(b'"mine"'), JobResult(b"false")]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("object", "PayloadEncodeError: result is of type object"),
        ("negative", "ValueError: Progress is 0 or more"),
        ("float", "TypeError: 'float' object cannot be interpreted as an integer"),
    ],
)
def test_said__what_cannot_be_is_an_error_of_the_task(
    project: WorkerProject, kind: str, message: str
) -> None:
    with pytest.raises(JobFailed, match=message):
        project.client.submit(project.function("bad"), kind)


def test_said__by_a_forked_process_is_refused(project: WorkerProject) -> None:
    assert "only that process may speak for it" in project.client.submit(project.function("fork"))
    assert result(project.client.delay(project.function("echo"), 1), wait=20) == [1]
