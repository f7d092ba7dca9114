"""J5 to J13: the calls of django-gearman-jbox and django-gearman, form by form.

Each is made with `gearfleet.Client`, which returns results, and with
`GearmanClient` of `gearfleet.compat`, which returns requests as the originals do.
"""

from __future__ import annotations

import inspect
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from gearfleet import Client, JobHandle, config
from gearfleet.compat import GearmanClient, GearmanWorker
from gearfleet.errors import JobFailed
from gearfleet.gearman import JOB_COMPLETE, JOB_CREATED, JOB_FAILED, GearmanAdminClient
from gearfleet.gearman import GearmanClient as BytesClient
from tests.support.running import running
from tests.support.workers import WorkerProject

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.job_servers import JobServer

TASKS = """
from gearfleet.compat import gearman_task

@gearman_task()
def given(*args, **kwargs):
    return [args, kwargs]

@gearman_task()
def my_task_function(one, two, three):
    return ["one", one, "two", two, "three", three]

@gearman_task()
def reserved(background, unique):
    return {"background": background, "unique": unique}

@gearman_task()
def takes_names(self, task, name, data, options, args, kwargs):
    return [self, task, name, data, options, args, kwargs]

@gearman_task()
def fail(text):
    raise LookupError(text)
"""


@pytest.fixture(params=["gearmand", "embedded"], scope="module")
def project(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WorkerProject]:
    """A worker that serves `TASKS`, in a process of its own."""
    server: JobServer = request.getfixturevalue(request.param)
    project = WorkerProject(tmp_path_factory.mktemp("shop"), server.address, more=TASKS)
    project.start_ready()
    yield project
    project.close()


class Submit(Protocol):
    def __call__(self, task: str, /, *args: Any, **kwargs: Any) -> Any:
        """Submit a job of the project's `task`, and return its result."""


@pytest.fixture
def modern(project: WorkerProject) -> Submit:
    def submit(task: str, /, *args: Any, **kwargs: Any) -> Any:
        return project.client.submit_job(project.function(task), *args, **kwargs)

    return submit


@pytest.fixture
def compat(project: WorkerProject) -> Iterator[GearmanClient]:
    config.use(project.settings)
    client = GearmanClient()
    yield client
    client.close()
    config.use(None)


@pytest.fixture(params=["modern", "compat"])
def submit(request: pytest.FixtureRequest, project: WorkerProject) -> Submit:
    """`submit_job` of the one client and of the other."""
    if request.param == "modern":
        either: Submit = request.getfixturevalue("modern")
        return either
    client: GearmanClient = request.getfixturevalue("compat")

    def submit(task: str, /, *args: Any, **kwargs: Any) -> Any:
        done = client.submit_job(project.function(task), *args, **kwargs)
        assert done.state == JOB_COMPLETE, done.exception
        return done.result

    return submit


def test_j05__any_signature(submit: Submit) -> None:
    assert submit("my_task_function", one=1, two=2, three=3) == ["one", 1, "two", 2, "three", 3]


def test_j05__a_mismatch_fails_the_job_and_says_why(
    modern: Submit, project: WorkerProject, compat: GearmanClient
) -> None:
    with pytest.raises(JobFailed, match=r"my_task_function\(one, two, three\) does not take"):
        modern("my_task_function", 1)
    request = compat.submit_job(project.function("my_task_function"), one=1)
    assert request.state == JOB_FAILED
    assert b"does not take the arguments" in request.exception


def test_j06__one_datum(submit: Submit) -> None:
    data = {"foo": "becomes", "this": "dict"}
    assert submit("given", data) == [(data,), {}]
    assert submit("given", Decimal(1.0))  # noqa: RUF032 - as the README has it == [(Decimal(1),), {}]


def test_j06__by_keyword(submit: Submit) -> None:
    assert submit("given", one=1, two=2, three=3) == [(), {"one": 1, "two": 2, "three": 3}]


def test_j06__as_args_and_kwargs(submit: Submit) -> None:
    assert submit("given", args=[1, 2, 3]) == [(1, 2, 3), {}]
    assert submit("given", args=(1,), kwargs={"two": 2}) == [(1,), {"two": 2}]
    assert submit("given", kwargs={"two": 2}, two=3, four=4) == [(), {"two": 2, "four": 4}]


def test_j06__nothing(submit: Submit) -> None:
    assert submit("given") == [(), {}]
    assert submit("given", None) == [(), {}]
    assert submit("given", args=[None]) == [(None,), {}]


@pytest.mark.parametrize("falsy", [0, 0.0, "", {}, [], False, b"", ()], ids=repr)
def test_j06__falsy_data_is_data(submit: Submit, falsy: Any) -> None:
    args, _ = submit("given", falsy)
    assert args == (falsy,)
    assert type(args[0]) is type(falsy)


def test_j07__the_refused_form_names_args(submit: Submit) -> None:
    with pytest.raises(TypeError, match=r"args=\[1, 2, 3\]"):
        submit("my_task_function", 1, 2, 3)


def test_j08__seven_nones(submit: Submit) -> None:
    result = submit("my_task_function", None, None, None, None, None, None, None, 1, 2, 3)
    assert result == ["one", 1, "two", 2, "three", 3]


def test_j09__reserved_names_by_kwargs_and_args(submit: Submit) -> None:
    asked = {"background": True, "unique": False}
    assert submit("reserved", kwargs=asked) == asked
    assert submit("reserved", args=[True, False]) == asked


def test_j09__both_at_once(project: WorkerProject, compat: GearmanClient) -> None:
    """The README's "don't panic": the submission hears True, the task hears False."""
    name = project.function("reserved")
    kwargs = {"background": False, "unique": False}
    handle = project.client.submit_job(name, background=True, unique=True, kwargs=kwargs)
    assert isinstance(handle, JobHandle)
    request = compat.submit_job(name, background=True, unique=True, kwargs=kwargs)
    assert (request.state, request.background) == (JOB_CREATED, True)
    waited = project.client.submit_job(name, unique=True, kwargs=kwargs)
    assert waited == kwargs


def test_j09__every_reserved_keyword_goes_to_the_submission(submit: Submit) -> None:
    result = submit(
        "given",
        data=5,
        unique="j09",
        priority="HIGH",
        background=False,
        wait_until_complete=True,
        max_retries=1,
        poll_timeout=20,
        own=6,
    )
    assert result == [(5,), {"own": 6}]


def test_j09__data_and_orig_data_are_the_datum(submit: Submit) -> None:
    assert (
        submit("given", data={"a": 1}) == submit("given", orig_data={"a": 1}) == [({"a": 1},), {}]
    )


def test_j09__no_name_is_out_of_reach(submit: Submit) -> None:
    kwargs = {name: name for name in ("self", "task", "name", "data", "options", "args", "kwargs")}
    assert submit("takes_names", kwargs=kwargs) == list(kwargs)


def test_j10__true_coalesces_on_the_arguments(
    function: str, project: WorkerProject, compat: GearmanClient
) -> None:
    def queued() -> int:
        with GearmanAdminClient(list(project.settings.servers)) as admin:
            return next((row["queued"] for row in admin.get_status() if row["task"] == function), 0)

    for client in (project.client, compat):
        for value in (1, 2, 1):
            client.submit_job(function, value, unique=True, background=True)
    assert queued() == 2
    for unique in (None, False, None):
        project.client.submit_job(function, 1, unique=unique, background=True)
        compat.submit_job(function, 1, unique=unique, background=True)
    assert queued() == 8
    for unique in ("text", b"text", "text"):
        project.client.submit_job(function, 1, unique=unique, background=True)
    assert queued() == 9
    compat.submit_job(function, 5, unique="-", background=True)
    compat.submit_job(function, 5, unique=True, background=True)
    assert queued() == 10


def test_j10__a_client_is_not_poisoned(project: WorkerProject, compat: GearmanClient) -> None:
    """In python-gearman 2.x `unique=True` broke the client for what came after."""
    given = project.function("given")
    assert compat.submit_job(given, 1, unique=True).result == [(1,), {}]
    with pytest.raises(TypeError):
        compat.submit_job(given, 1, unique=3)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        compat.submit_job(given, object())
    assert compat.submit_job(given, 2).result == [(2,), {}]


def test_j11__signature_and_defaults() -> None:
    parameters = inspect.signature(GearmanClient.submit_job).parameters
    assert [*parameters][:9] == [
        "self", "task", "orig_data", "unique", "priority", "background", "wait_until_complete",
        "max_retries", "poll_timeout",
    ]  # fmt: skip
    assert parameters["wait_until_complete"].default is True


def test_j11__readme_example(
    compat: GearmanClient, project: WorkerProject, capsys: pytest.CaptureFixture[str]
) -> None:
    sentence = "The quick brown fox jumps over the lazy dog."
    res = compat.submit_job(project.function("echo"), args=[sentence])
    print(f"Result: '{res}'")
    assert capsys.readouterr().out == f"Result: '['{sentence}']'\n"
    assert res.result == [sentence]


def test_j11__a_request_as_text(compat: GearmanClient, project: WorkerProject) -> None:
    accepted = compat.submit_job(project.function("given"), background=True)
    assert str(accepted) == repr(accepted)
    assert accepted.job.handle in str(accepted)
    failed = compat.submit_job(project.function("fail"), "shelf")
    assert "FAILED" in str(failed)
    assert b"LookupError" in failed.exception
    left = compat.submit_job(project.function("given"), wait_until_complete=False)
    compat.wait_until_jobs_completed([left])
    assert left.result == [(), {}]


def test_j11__worker(compat: GearmanClient, function: str, project: WorkerProject) -> None:
    config.use(replace(project.settings, prefix="old."))
    worker = GearmanWorker()

    def count(worker: Any, job: Any) -> int:
        return len(job.data["args"]) + len(job.data["kwargs"])

    assert worker.register_task(function, count) == function
    client = GearmanClient()
    with running(worker), client:
        assert client.submit_job(function, args=[1, 2], three=3).result == 3
    worker.unregister_task(function)


def test_j11__worker_outlives_what_it_cannot_read(
    compat: GearmanClient, function: str, project: WorkerProject
) -> None:
    worker = GearmanWorker()
    worker.register_task(function, lambda worker, job: object() if job.data["args"] else "fine")
    with running(worker), BytesClient(project.settings.servers) as client:
        assert client.submit_job(function, b"cposix\nsystem\n", poll_timeout=20).state == JOB_FAILED
        assert compat.submit_job(function, 1, poll_timeout=20).state == JOB_FAILED
        assert compat.submit_job(function, poll_timeout=20).result == "fine"


def test_j12__background_returns_when_accepted_and_outlives_the_client(
    function: str, project: WorkerProject
) -> None:
    client = Client(project.settings)
    handle = client.submit_job(function, background=True, kwargs={"sentence": "abc"})
    client.close()
    ran: list[Any] = []
    config.use(project.settings)
    worker = GearmanWorker()
    worker.register_task(function, lambda worker, job: ran.append(job.data))
    with running(worker):
        assert project.client.submit_job(function, 2) is None
    assert ran[0] == {"args": [], "kwargs": {"sentence": "abc"}}
    assert handle.function == function
    config.use(None)


def test_j12__wait_until_complete_false_is_background(project: WorkerProject) -> None:
    handle = project.client.submit_job(project.function("given"), wait_until_complete=False)
    assert isinstance(handle, JobHandle)


def test_j13__dispatch_is_really_background(
    function: str, project: WorkerProject, compat: GearmanClient
) -> None:
    """The originals submitted a foreground job, which is dropped when its client exits."""
    request = compat.dispatch_background_task(function, 5, None, True)
    assert (request.background, request.priority) == (True, "HIGH")
    compat.dispatch_background_task(function, args=[6], kwargs={"x": 1}, uniq="u")
    compat.dispatch_background_task(function, y=7)
    compat.close()
    ran: list[Any] = []
    worker = GearmanWorker()
    worker.register_task(function, lambda worker, job: ran.append(job.data))
    with running(worker):
        project.client.submit_job(function, priority="LOW")
    assert ran[:3] == [
        {"args": [5], "kwargs": {}},
        {"args": [6], "kwargs": {"x": 1}},
        {"args": [], "kwargs": {"y": 7}},
    ]


def test_j13__calling_the_client_names_what_took_its_place(compat: GearmanClient) -> None:
    with pytest.raises(NotImplementedError, match=r"submit_job\(\).*dispatch_background_task\(\)"):
        compat("reverse", "abc")


def test_j23__a_failing_task_is_logged_and_its_client_sees_failed(
    project: WorkerProject, compat: GearmanClient, modern: Submit
) -> None:
    assert compat.submit_job(project.function("fail"), "a shelf").state == JOB_FAILED
    with pytest.raises(JobFailed, match="LookupError: a shelf"):
        modern("fail", "a shelf")
    log = (project.folder / "worker.0.log").read_text()
    assert "Traceback" in log
    assert "LookupError: a shelf" in log


def test_submit_multiple_jobs__takes_data_or_parsed_data(
    project: WorkerProject, compat: GearmanClient
) -> None:
    name = project.function("given")
    jobs = [
        {"task": name, "data": 5},
        {"task": name, "data": compat.parse_data(None, [1], {"x": 2}), "priority": "HIGH"},
    ]
    done = compat.submit_multiple_jobs(jobs)
    assert [request.result for request in done] == [[(5,), {}], [(1,), {"x": 2}]]
    with pytest.raises(TypeError, match="list of dicts"):
        compat.submit_multiple_jobs(5)
