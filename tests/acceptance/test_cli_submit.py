"""``gearfleet submit`` and ``manage.py gearman_submit_job``, with a real worker."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from tests.originals.projects import make_project
from tests.support.processes import GEARFLEET, Process, clean_environment, run
from tests.support.workers import WorkerProject

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from tests.originals.projects import Project
    from tests.support.job_servers import JobServer

TASKS = """
@task(queue="foo")
def given(*args, **kwargs):
    return {"args": list(args), "kwargs": kwargs}

@task(queue="foo")
def shout(text):
    return text.upper()

@task(queue="foo", codec="raw")
def reverse(data):
    return data[::-1]

@task(queue="foo")
def fail(text):
    raise LookupError(text)
"""


@pytest.fixture(scope="module")
def project(
    embedded: JobServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WorkerProject]:
    project = WorkerProject(tmp_path_factory.mktemp("shop"), embedded.address, more=TASKS)
    project.start_ready()
    yield project
    project.close()


def submit(project: WorkerProject, task: str, *words: str) -> subprocess.CompletedProcess[str]:
    return run(
        [*GEARFLEET, "submit", project.function(task), *words],
        cwd=project.folder,
        env=clean_environment(),
    )


def test_submit__prints_the_result(project: WorkerProject) -> None:
    done = submit(project, "given", "--arg", "7", "--arg", "seven", "--kwarg", "x=[1, null]")
    assert json.loads(done.stdout) == {"args": [7, "seven"], "kwargs": {"x": [1, None]}}
    assert submit(project, "shout", "--arg", "hello").stdout == "HELLO\n"


def test_submit__bytes_of_a_raw_task_as_they_are(project: WorkerProject) -> None:
    assert submit(project, "reverse", "--arg", "7 a").stdout == "a 7"


def test_submit__json(project: WorkerProject) -> None:
    done = submit(project, "given", "--json", "--data", '{"a": "7"}')
    assert json.loads(done.stdout)["result"]["args"] == [{"a": "7"}]


def test_submit__background(project: WorkerProject) -> None:
    done = submit(project, "given", "--background", "--unique", "u", "--priority", "high")
    assert len(done.stdout.strip()) == 32
    done = submit(project, "given", "--after", "60", "--json")
    assert json.loads(done.stdout)["function"] == f"{project.function('given')}+later"


def test_submit__a_failure(project: WorkerProject) -> None:
    done = submit(project, "fail", "--arg", "shelf")
    assert done.returncode == 1
    assert "LookupError: shelf" in done.stderr
    assert not done.stdout


def test_submit__in_time(project: WorkerProject) -> None:
    done = submit(project, "wait_for", "--arg", "never", "--wait", "0.2")
    project.allow("never")
    assert done.returncode == 1
    assert "within 0.2 s" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data", "text"], "--data is no JSON"),
        (["--data", "1", "--arg", "2"], "--data is the only argument"),
        (["--kwarg", "x"], "--kwarg takes NAME=VALUE, not 'x'"),
        (["--after", "-1"], "after must be 0 seconds or more"),
    ],
)
def test_submit__usage(project: WorkerProject, words: list[str], message: str) -> None:
    done = submit(project, "given", *words)
    assert done.returncode == 2
    assert message in done.stderr


def test_submit__an_unknown_task(project: WorkerProject) -> None:
    done = submit(project, "gven")
    assert done.returncode == 2
    assert f"Did you mean '{project.function('given')}'?" in done.stderr
    done = submit(project, "gven", "--foreign", "--background")
    assert done.returncode == 0, done.stderr


WORKER = """\
from gearfleet.compat import gearman_task

@gearman_task("foo")
def shout(text="nothing"):
    return text.upper()

@gearman_task("foo")
def fail(text):
    raise LookupError(text)
"""


@pytest.fixture(scope="module")
def django(embedded: JobServer, tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("project")
    project = make_project(folder, embedded.address, {"worker_foo": WORKER})
    project.add_settings(f"GEARMAN_CLIENT_NAMESPACE = 'ns{folder.parent.name}'\n")
    return project


def manage(project: Project, *words: str) -> subprocess.CompletedProcess[str]:
    return run(
        [sys.executable, "manage.py", "gearman_submit_job", *words],
        cwd=project.folder,
        env=project.environment,
    )


def test_gearman_submit_job__background_by_default(django: Project) -> None:
    done = manage(django, "myapp.worker_foo.shout", "hello")
    assert done.returncode == 0, done.stderr
    assert "Submitted, job H:" in done.stdout


def test_gearman_submit_job__foreground(django: Project) -> None:
    worker = Process(
        django.manage("gearman_worker", "-a", "myapp", "-n", "worker_foo"),
        log=django.folder / "worker.log",
        cwd=django.folder,
        env=django.environment,
    )
    try:
        done = manage(django, "myapp.worker_foo.shout", "hello", "--foreground")
        assert "Done, result: HELLO." in done.stdout, done.stderr
        done = manage(django, "myapp.worker_foo.shout", "--foreground")
        assert "Done, result: NOTHING." in done.stdout, done.stderr
        done = manage(django, "myapp.worker_foo.fail", "shelf", "--foreground")
        assert done.returncode == 1
        assert "LookupError" in done.stderr
    finally:
        worker.kill()


def test_gearman_submit_job__without_a_job_server(django: Project) -> None:
    environment = {**django.environment, "GEARFLEET_SERVERS": "127.0.0.1:1"}
    done = run(
        django.manage("gearman_submit_job", "myapp.worker_foo.shout"),
        cwd=django.folder,
        env=environment,
    )
    assert done.returncode == 4
    assert "127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr
