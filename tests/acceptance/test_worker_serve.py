"""A worker at work: hooks around its jobs, jobs that go wrong, job servers that come and go."""

from __future__ import annotations

import signal
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from gearfleet import fetch
from gearfleet.errors import JobFailed
from gearfleet.gearman import JOB_FAILED, GearmanClient
from gearfleet.tasks import SubmitOptions
from tests.support.job_servers import JobServer, require_gearman
from tests.support.processes import GEARFLEET, Process, clean_environment, run
from tests.support.waiting import wait_for
from tests.support.workers import WorkerProject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path, job_server: JobServer) -> Iterator[WorkerProject]:
    made = WorkerProject(tmp_path, job_server.address)
    yield made
    made.close()


def test_start__says_what_is_served_and_is_seen_at_the_job_server(
    project: WorkerProject, job_server: JobServer
) -> None:
    worker = project.start_ready("-q", "foo")
    echo, waiting = project.function("echo"), project.function("wait_for")
    assert (
        f"Worker worker_foo serves {echo}, {waiting} of queue foo at job server " in worker.output()
    )
    job_server.wait_for_workers(echo)
    assert job_server.workers_of(project.function("exit_process")) == 0
    (line,) = [line for line in job_server.text("workers") if echo in line]
    client_id = line.split()[2]
    assert client_id.startswith("gearfleet/")
    assert client_id.endswith(f"/worker_foo/{worker.pid}/-")


def test_wrong_queue__is_one_line_with_those_that_exist(project: WorkerProject) -> None:
    worker = project.start("-q", "baz")
    assert worker.wait() == 2
    (line,) = worker.output().splitlines()
    assert "Worker 'worker_foo' has no queue 'baz' (known: bar, foo)." in line


@pytest.mark.parametrize("payload", ['{"args": [1]}', "no JSON at all"])
def test_failure__ends_the_call_of_a_client_that_does_not_ask_for_exceptions(
    project: WorkerProject, job_server: JobServer, payload: str
) -> None:
    """Debian's `gearman` waits for ever for the WORK_FAIL that gearmand makes of an exception."""
    project.start_ready()
    port = str(job_server.port)
    words = ["-h", "127.0.0.1", "-p", port, "-f", project.function("exit_process")]
    done = run([require_gearman(), *words], stdin=payload, timeout=20)
    assert done.returncode != 0
    assert "Error" in done.stdout + done.stderr


def test_expired_job__is_dropped_and_on_record(project: WorkerProject) -> None:
    late, in_time = (
        project.client.enqueue(project.function("echo"), (text,), {}, SubmitOptions(expires=limit))
        for text, limit in (("late", 0.05), ("in time", 60))
    )
    too_late = time.time() + 0.1
    wait_for(lambda: time.time() > too_late, "the first to be too old")
    project.start_ready()
    records = [fetch(job, wait=30, settings=project.settings) for job in (late, in_time)]
    assert [record and record.state for record in records] == ["expired", "success"]
    assert project.diary == ["echo ('in time',)"]


def test_poison__fails_its_job_with_a_reason_and_the_next_one_is_served(
    project: WorkerProject, job_server: JobServer
) -> None:
    worker = project.start_ready()
    client = GearmanClient([job_server.address])
    poison = bytes(range(256))
    request = client.submit_job(project.function("echo"), poison, poll_timeout=30)
    (reason,) = request.warning_updates
    assert b"PayloadDecodeError" in reason
    assert b"cannot be read" in reason
    assert request.state == JOB_FAILED
    client.close()
    assert project.submit("echo", 1).result() == [1]
    assert worker.returncode is None
    assert f"of {project.function('echo')} failed: " in worker.output()


@pytest.mark.parametrize(
    ("task", "args", "message"),
    [
        ("exit_process", (), "3"),
        ("exit_process", (1,), r"exit_process\(\) does not take the arguments of this job"),
    ],
)
def test_task__that_fails_tells_its_caller_and_the_worker_goes_on(
    project: WorkerProject, task: str, args: tuple[int, ...], message: str
) -> None:
    worker = project.start_ready()
    with pytest.raises(JobFailed, match=message):
        project.submit(task, *args).result()
    assert project.submit("echo", 1).result() == [1]
    assert worker.returncode is None


HOOKS = """
@hooks.on_start
def start(worker): note(f"start {worker.program} {worker.queues}")

@hooks.before_job
def before(job): note(f"before {job.task.name.rpartition('.')[2]} {job.args}")

@hooks.after_job
def broken(): raise ValueError("this hook is broken")

@hooks.after_job
def after(job, outcome): note(f"after {type(outcome).__name__}")
"""

ELSEWHERE = """
from PACKAGE.gearman_workers.worker_foo import note
def early(): note("early")
def late(): note("late")
"""


def test_hooks__run_in_order_and_one_that_raises_stops_none(
    tmp_path: Path, job_server: JobServer
) -> None:
    with closing(WorkerProject(tmp_path, job_server.address, more=HOOKS)) as project:
        project.write("signals.py", ELSEWHERE.replace("PACKAGE", project.package))
        with (tmp_path / "gearfleet.toml").open("a") as toml:
            toml.write(f"[hooks]\nbefore_job = ['{project.package}.signals.early']\n")
            toml.write(f"on_shutdown = ['{project.package}.signals:late']\n")
        worker = project.start_ready()
        assert project.submit("echo", 1).result() == [1]
        worker.signal(signal.SIGTERM)
        assert worker.wait() == 0
        assert project.diary == [
            "start worker_foo ('bar', 'foo')",
            "early",
            "before echo (1,)",
            "echo (1,)",
            "after Completed",
            "goodbye SIGTERM",
            "late",
        ]
        assert "worker_foo.broken raised ValueError" in worker.output()


def test_hooks__named_wrongly_in_the_settings_are_a_configuration_error(
    tmp_path: Path, gearmand: JobServer
) -> None:
    with closing(
        WorkerProject(tmp_path, gearmand.address, toml="[hooks]\non_start = ['nowhere.at_all']\n")
    ) as project:
        worker = project.start()
        assert worker.wait() == 78
        assert "'hooks.on_start': 'nowhere.at_all' cannot be used" in worker.output()


@pytest.mark.parametrize("kind", ["gearmand", "embedded"])
def test_worker__may_be_started_before_the_job_server(tmp_path: Path, kind: str) -> None:
    server = JobServer(kind)
    project = WorkerProject(tmp_path, server.address)
    worker = project.start()
    worker.wait_for_output("cannot be reached")
    try:
        server.start()
        worker.wait_for_output("is back")
        assert project.submit("echo", 1).result() == [1]
        assert worker.output().count("cannot be reached") == 1
    finally:
        project.close()
        server.close()


def test_worker__serves_again_after_the_job_server_was_killed(
    tmp_path: Path, own_job_server: JobServer
) -> None:
    with closing(WorkerProject(tmp_path, own_job_server.address)) as project:
        worker = project.start_ready()
        assert own_job_server.process is not None
        own_job_server.process.signal(signal.SIGKILL)
        own_job_server.process.wait()
        worker.wait_for_output("Lost job server")
        own_job_server.start()
        worker.wait_for_output("is back")
        assert project.submit("echo", 1).result() == [1]


def test_worker__imports_no_more_than_it_needs(tmp_path: Path, gearmand: JobServer) -> None:
    more = "@hooks.on_start\ndef show(): note(' '.join(sorted({n.partition('.')[0] for n in sys.modules})))\n"
    with closing(WorkerProject(tmp_path, gearmand.address, more=more)) as project:
        project.fresh = True
        project.start_ready()
        imported = set(project.diary[0].split())
        assert "gearfleet" in imported
        assert not imported & {"supervisor", "jinja2", "rich", "psutil", "django", "cronsim"}


def test_all__modules_of_the_project_are_served_where_none_is_named(
    tmp_path: Path, gearmand: JobServer
) -> None:
    project = WorkerProject(tmp_path, gearmand.address)
    project.write("tasks.py", "from gearfleet import task\n@task\ndef two():\n    return 2\n")
    command = [*GEARFLEET, "worker"]
    environment = clean_environment(GEARFLEET_RUN_DIR=str(project.run_dir))
    worker = Process(command, log=tmp_path / "all.log", cwd=tmp_path, env=environment)
    try:
        worker.wait_for_output("Registered at job server")
        assert project.submit("echo", 1).result(30) == [1]
        assert project.client.submit(f"{project.package}.two") == 2
        worker.signal(signal.SIGTERM)
        assert worker.wait() == 0
        assert project.diary[-1] == "goodbye SIGTERM", "the hooks of each module run"
    finally:
        worker.kill()
        project.close()


def test_all__needs_an_app_to_search(tmp_path: Path) -> None:
    done = run([*GEARFLEET, "worker"], cwd=tmp_path, env=clean_environment())
    assert done.returncode == 2
    assert "No package to search for tasks: name one with --app" in done.stderr
