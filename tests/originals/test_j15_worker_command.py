"""J15: ``gearman_worker -a APP -n WORKER [-q QUEUE]``, and ``gearfleet worker`` with the same words."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from gearfleet import Client
from gearfleet.config import Settings
from tests.originals.projects import SECRET_KEY, Project, make_project
from tests.support.processes import Process, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.job_servers import JobServer

    Start = Callable[..., Process]

WORKER = """\
from gearfleet import task

@task(queue="foo", name="{prefix}.one")
def one(text):
    return text.upper()

@task(queue="bar", name="{prefix}.two")
def two(text):
    return text.lower()
"""

DOORS = {
    "gearman_worker": lambda project: project.manage("gearman_worker"),
    "manage.py_gearfleet": lambda project: project.manage("gearfleet", "worker"),
    "gearfleet": lambda project: project.gearfleet("worker"),
}


@pytest.fixture(params=["gearman_worker", "gearfleet"])
def door(request: pytest.FixtureRequest) -> Callable[[Project], list[str]]:
    """Each way to start a worker: they must be the same code."""
    return DOORS[request.param]


@pytest.fixture
def project(tmp_path: Path, embedded: JobServer, function: str) -> Project:
    workers = {"worker_foo": WORKER.format(prefix=function), "broken": "import no_such_module\n"}
    return make_project(tmp_path / "project", embedded.address, workers)


@pytest.fixture
def start(project: Project, tmp_path: Path) -> Iterator[Start]:
    """Start a process of the project; it is ended with the test."""
    started: list[Process] = []

    def start(command: list[str]) -> Process:
        log = tmp_path / f"{len(started)}.log"
        process = Process(command, log=log, cwd=project.folder, env=project.environment)
        started.append(process)
        return process

    yield start
    for process in started:
        process.terminate()


@pytest.fixture
def client(embedded: JobServer) -> Iterator[Client]:
    client = Client(Settings(servers=(embedded.address,), signing_keys=(SECRET_KEY,)))
    yield client
    client.close()


def test_worker__serves_its_module_and_ends_with_0(
    door: Callable[[Project], list[str]],
    project: Project,
    start: Start,
    embedded: JobServer,
    client: Client,
    function: str,
) -> None:
    worker = start([*door(project), "-a", "myapp", "-n", "worker_foo"])
    embedded.wait_for_workers(f"{function}.one")
    embedded.wait_for_workers(f"{function}.two")
    assert client.submit(f"{function}.one", "Ada") == "ADA"
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0


@pytest.mark.parametrize("door", DOORS, indirect=True)
def test_worker__serves_only_the_queue(
    door: Callable[[Project], list[str]],
    project: Project,
    start: Start,
    embedded: JobServer,
    client: Client,
    function: str,
) -> None:
    worker = start([*door(project), "-a", "myapp", "-n", "worker_foo", "-q", "bar"])
    embedded.wait_for_workers(f"{function}.two")
    assert client.submit(f"{function}.two", "Ada") == "ada"
    assert embedded.workers_of(f"{function}.one") == 0
    worker.signal(signal.SIGINT)
    assert worker.wait() == 0


def test_worker__takes_the_long_options(
    door: Callable[[Project], list[str]],
    project: Project,
    start: Start,
    embedded: JobServer,
    function: str,
) -> None:
    words = ["--app-name", "myapp", "--worker-name", "worker_foo", "--queue-name", "bar"]
    start([*door(project), *words])
    embedded.wait_for_workers(f"{function}.two")


def test_gearman_worker__says_what_the_original_said(
    project: Project, start: Start, embedded: JobServer, function: str
) -> None:
    worker = start(project.manage("gearman_worker", "-a", "myapp", "-n", "worker_foo", "-q", "bar"))
    embedded.wait_for_workers(f"{function}.two")
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    said = worker.output()
    for text in (
        "Available Queues and Tasks : ",
        f"Queue: foo\nTasks:\n * {function}.one\n",
        f"Queue 'bar' launched with tasks : \n * {function}.two\n",
        "worker_foo get interrupted, exiting...",
    ):
        assert text in said


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["-n", "worker_foo", "-a", "nowhere"], "myapp"),
        (["-a", "myapp", "-n", "worker_fo"], "worker_foo"),
        (["-a", "myapp", "-n", "worker_foo", "-q", "baz"], "bar"),
    ],
    ids=["app", "worker", "queue"],
)
def test_wrong_name__is_one_line_with_the_names_that_exist(
    door: Callable[[Project], list[str]], project: Project, words: list[str], named: str
) -> None:
    done = run([*door(project), *words], cwd=project.folder, env=project.environment)
    assert done.returncode == 2, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if "error" in line]
    assert line.startswith("gearfleet: error: ")
    assert f"'{words[-1]}'" in line
    assert named in line
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [["-n", "worker_foo"], ["-a", "myapp"]], ids=["app", "worker"])
def test_missing_name__is_wrong_usage(
    door: Callable[[Project], list[str]], project: Project, words: list[str]
) -> None:
    done = run([*door(project), *words], cwd=project.folder, env=project.environment)
    assert done.returncode == 2
    assert "required" in done.stderr


def test_broken_module__shows_its_traceback_and_is_never_called_missing(
    door: Callable[[Project], list[str]], project: Project
) -> None:
    command = [*door(project), "-a", "myapp", "-n", "broken"]
    done = run(command, cwd=project.folder, env=project.environment)
    assert done.returncode == 3, done.stderr
    assert "Traceback" in done.stderr
    assert "No module named 'no_such_module'" in done.stderr
    assert "not found" not in done.stderr.lower()
    assert "Unknown worker" not in done.stderr


def test_wrong_settings__end_with_78(
    door: Callable[[Project], list[str]], project: Project
) -> None:
    project.add_settings('GEARFLEET["SERVRES"] = []\n')
    command = [*door(project), "-a", "myapp", "-n", "worker_foo"]
    done = run(command, cwd=project.folder, env=project.environment)
    assert done.returncode == 78, done.stderr
    assert "SERVERS" in done.stderr.upper()
    assert "Did you mean" in done.stderr
