"""G5, G6: ``gearman_worker [-w N] [-q QUEUE]`` without a name serves the jobs of all apps."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from gearfleet import Client
from gearfleet.config import Settings
from tests.originals.projects import SECRET_KEY, Project, make_project, starting
from tests.support.processes import run
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.job_servers import JobServer
    from tests.support.processes import Process

    Start = Callable[..., Process]

#: As django-gearman's users have it; and a hook of each module, which must run.
JOBS = """\
import os
from pathlib import Path
from gearfleet import hooks
from gearfleet.compat import gearman_job

@gearman_job(queue="{queue}", name="{prefix}.{name}")
def run():
    return os.getpid()

@gearman_job(queue="{queue}", name="{prefix}.{name}.segfault")
def segfault():
    os.kill(os.getpid(), 11)

@hooks.on_start
def begin():
    with (Path(__file__).parents[1] / "diary").open("a") as diary:
        diary.write("start {name}\\n")
"""


@pytest.fixture
def project(tmp_path: Path, gearmand: JobServer, function: str) -> Project:
    project = make_project(tmp_path / "project", gearmand.address, {})
    for app, queue in (("one", "foo"), ("two", "bar")):
        (project.folder / app).mkdir()
        (project.folder / app / "__init__.py").touch()
        code = JOBS.format(prefix=function, name=app, queue=queue)
        (project.folder / app / "gearman_jobs.py").write_text(code)
    project.add_settings('INSTALLED_APPS += ["one", "two"]\n')
    return project


@pytest.fixture
def start(project: Project) -> Iterator[Start]:
    """Start a command of the project; it and whatever it has begun are ended with the test."""
    with starting(project) as start:
        yield start


@pytest.fixture
def client(gearmand: JobServer) -> Iterator[Client]:
    client = Client(Settings(servers=(gearmand.address,), signing_keys=(SECRET_KEY,)))
    yield client
    client.close()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_g5__serves_all_apps_in_this_process(
    project: Project, start: Start, client: Client, gearmand: JobServer, function: str
) -> None:
    worker = start("gearman_worker")
    gearmand.wait_for_workers(f"{function}.two")
    assert client.submit(f"{function}.one") == client.submit(f"{function}.two") == worker.pid
    worker.signal(signal.SIGINT)
    assert worker.wait() == 0
    listed = [f"* {function}.{name}" for name in ("one", "one.segfault", "two", "two.segfault")]
    assert "\n".join(["Available jobs:", *listed]) in worker.output()
    assert "Spawning" not in worker.output()
    diary = (project.folder / "diary").read_text().splitlines()
    assert diary == ["start one", "start two"]


@pytest.mark.parametrize("flag", ["-q", "--queue"])
def test_g5__serves_one_queue_of_all_apps(
    start: Start, client: Client, gearmand: JobServer, function: str, flag: str
) -> None:
    worker = start("gearman_worker", flag, "bar")
    gearmand.wait_for_workers(f"{function}.two")
    assert client.submit(f"{function}.two") == worker.pid
    assert gearmand.workers_of(f"{function}.one") == 0
    assert f"Available jobs:\n* {function}.two\n* {function}.two.segfault\n2" in worker.output()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["-q", "baz"], 2, "no queue 'baz' (known: bar, foo)"),
        (["-n", "gearman_jobs"], 2, "required: -a/--app-name; or leave out -n/--worker-name too"),
    ],
    ids=["queue", "name"],
)
def test_g5__what_does_not_exist_is_wrong_usage(
    project: Project, words: list[str], code: int, said: str
) -> None:
    done = run(
        project.manage("gearman_worker", *words), cwd=project.folder, env=project.environment
    )
    assert done.returncode == code
    assert said in done.stderr
    assert not done.stdout


def test_g5__no_jobs_at_all(tmp_path: Path) -> None:
    project = make_project(tmp_path, "127.0.0.1:1", {})
    done = run(project.manage("gearman_worker"), cwd=project.folder, env=project.environment)
    assert done.returncode == 3
    assert "No app declares a task (searched: gearfleet.contrib.django, myapp)" in done.stderr


def test_g6__starts_so_many_and_restarts_the_dead_and_leaves_no_orphan(
    start: Start, client: Client, gearmand: JobServer, function: str
) -> None:
    pool = start("gearman_worker", "-w", "2")
    pool.wait_for_output("All 2 workers serve")
    assert "Spawning 2 worker(s)\nStarting to work... (press ^C to exit)\n" in pool.output()
    assert pool.output().count("Available jobs:") == 1
    pids = {client.submit(f"{function}.one") for _ in range(3)}
    assert pool.pid not in pids
    victim = pids.pop()
    os.kill(victim, signal.SIGKILL)
    pool.wait_for_output(f"Worker {victim} of slot")
    gearmand.wait_for_workers(f"{function}.one", 2)
    pids |= {client.submit(f"{function}.two") for _ in range(10)}
    pool.signal(signal.SIGTERM)  # which left django-gearman's workers behind
    assert pool.wait() == 0
    wait_for(lambda: not any(map(is_alive, pids)), "every worker to be gone")


def test_g6__a_parent_that_is_killed_leaves_no_orphan(
    start: Start, client: Client, gearmand: JobServer, function: str
) -> None:
    pool = start("gearman_worker", "--workers", "2")
    pool.wait_for_output("All 2 workers serve")
    pids = {client.submit(f"{function}.one") for _ in range(5)}
    pool.signal(signal.SIGKILL)
    wait_for(lambda: not any(map(is_alive, pids)), "every worker to be gone")
    assert pool.output().count("The parent of the pool is gone") == 2


@pytest.mark.parametrize(
    ("words", "warned"),
    [(["-w", "1"], False), (["-w", "-5"], True), (["--workers", "x"], True)],
    ids=["1", "-5", "x"],
)
def test_g6__one_and_what_is_no_number_is_this_process(
    start: Start,
    client: Client,
    gearmand: JobServer,
    function: str,
    words: list[str],
    warned: bool,
) -> None:
    worker = start("gearman_worker", *words)
    gearmand.wait_for_workers(f"{function}.one")
    assert client.submit(f"{function}.one") == worker.pid
    assert (f"-w is '{words[1]}', which is no positive number" in worker.output()) is warned


def test_g6__is_gearfleet_worker_with_processes(
    start: Start, client: Client, function: str
) -> None:
    """The modern form: ``gearfleet worker`` serves all tasks too where no module is named."""
    pool = start("gearfleet", "worker", "--processes", "2")
    pool.wait_for_output("All 2 workers serve")
    assert client.submit(f"{function}.one") != pool.pid
    assert client.submit(f"{function}.two") != pool.pid
