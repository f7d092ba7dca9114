"""``gearfleet failed``, with real workers whose jobs fail."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from gearfleet.config import using
from gearfleet.errors import JobFailed
from gearfleet.gearman import GearmanClient
from gearfleet.results import open_store
from gearfleet.tasks import SubmitOptions, bind
from gearfleet.tasks.plans import Plan, Share
from tests.originals.projects import make_project
from tests.support.processes import GEARFLEET, Process, clean_environment, run
from tests.support.waiting import wait_for
from tests.support.workers import WorkerProject

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.job_servers import JobServer

TASKS = """
@task(queue="foo", priority="low", unique=True)
def fail_until(name, items):
    note(f"given {items}")
    items.append("spoilt")
    if not (FOLDER / name).exists():
        raise LookupError(f"no {name}\\n(second line)")
    return items

@task(queue="foo")
def fail_otherwise(*, why):
    raise ValueError(why)

@task(queue="foo", retries=1, backoff=0)
def fail_twice():
    raise OSError("twice")
"""


@pytest.fixture
def project(tmp_path: Path, job_server: JobServer) -> Iterator[WorkerProject]:
    made = WorkerProject(tmp_path, job_server.address, more=TASKS)
    with using(made.settings), bind(made.client):
        made.start_ready()
        yield made
    made.close()


def failed(
    project: WorkerProject, *words: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    return run(
        [*GEARFLEET, "failed", *words],
        cwd=project.folder,
        env=clean_environment(GEARFLEET_RUN_DIR=str(project.run_dir), **environment),
    )


def fail(project: WorkerProject, task: str, *args: Any, **options: Any) -> str:
    """Run a job that fails; return its id."""
    named = {"why": options.pop("why")} if "why" in options else {}
    name = project.function(task)
    handle = project.client.enqueue(name, args, named, SubmitOptions(**options))
    with pytest.raises(JobFailed):
        handle.result(20)
    return handle.id


def listed(project: WorkerProject, *words: str) -> list[str]:
    """Return the ids of the list."""
    done = failed(project, "list", "--json", *words)
    assert done.returncode == 0, done.stderr
    return [each["id"] for each in json.loads(done.stdout)]


def test_failed__of_nothing(project: WorkerProject) -> None:
    done = failed(project)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "No failed jobs.\n")
    assert listed(project) == []


def test_list__the_newest_first_and_only_failures(project: WorkerProject) -> None:
    first = fail(project, "fail_until", "never", [])
    second = fail(project, "fail_twice")
    project.client.enqueue(project.function("echo"), (1,), {}, SubmitOptions()).result(20)
    assert listed(project) == [second, first]
    done = failed(project)
    rows = done.stdout.splitlines()
    found = next(row for row in rows if first in row)
    assert project.function("fail_until") in found
    assert "LookupError: no never" in found
    assert "second line" not in done.stdout
    assert next(row for row in rows if second in row).split("│")[4].strip() == "2"
    assert "there are more" in failed(project, "--limit", "1").stderr


def test_list__filters(project: WorkerProject) -> None:
    in_group = fail(project, "fail_otherwise", why="x", group="g")
    alone = fail(project, "fail_twice", group="g")
    other = fail(project, "fail_twice")
    assert listed(project, "--task", project.function("fail_twice")) == [other, alone]
    assert listed(project, "--group", "g") == [alone, in_group]
    assert listed(project, "--group", "g", "--task", project.function("fail_twice")) == [alone]


def test_show__everything(project: WorkerProject) -> None:
    job = fail(project, "fail_until", "never", [1, (2,)], name="printed")
    done = failed(project, "show", job)
    assert done.returncode == 0, done.stderr
    for text in (job, "printed", "LookupError: no never", "Traceback (most recent", "raise Lookup"):
        assert text in done.stdout
    (found,) = json.loads(failed(project, "show", "--json", "printed").stdout)
    assert found["args"] == ["never", [1, {"$t": "tuple", "v": [2]}]]
    assert (found["state"], found["attempts"], found["queue"]) == ("failure", 1, "foo")
    assert found["failure"]["type"] == "LookupError"
    assert found["ended"].count(":") >= 2


def test_retry__with_the_arguments_of_the_caller(project: WorkerProject) -> None:
    job = fail(project, "fail_until", "now", [1], group="g")
    project.allow("now")
    done = failed(project, "retry", job)
    assert done.returncode == 0, done.stderr
    old, arrow, new = done.stdout.split()
    assert (old, arrow) == (job, "->")
    store = open_store(project.settings)
    assert store is not None
    record = wait_for(lambda: store.get(new), "the result of the new job")
    assert record is not None
    assert (record.result, record.group, record.attempt) == ([1, "spoilt"], "g", 1)
    assert listed(project) == []


def test_retry__that_fails_again_is_a_new_failure(project: WorkerProject) -> None:
    job = fail(project, "fail_twice")
    (again,) = json.loads(failed(project, "retry", "--json", job).stdout)
    assert again["id"] == job
    wait_for(lambda: listed(project) == [again["new_id"]], "the new failure")


def test_retry__all_of_a_task(project: WorkerProject) -> None:
    jobs = {fail(project, "fail_until", "now", [number]) for number in range(3)}
    other = fail(project, "fail_twice")
    project.allow("now")
    done = failed(project, "retry", "--all", "--task", project.function("fail_until"))
    assert {line.split()[0] for line in done.stdout.splitlines()} == jobs
    assert listed(project) == [other]


def test_retry__of_a_task_that_is_gone(project: WorkerProject) -> None:
    job = fail(project, "fail_until", "never", [])
    source = project.folder / project.package / "gearman_workers" / "worker_foo.py"
    source.write_text(source.read_text().replace("fail_until", "fail_till"))
    done = failed(project, "retry", job)
    assert done.returncode == 2
    assert f"Job {job} cannot be submitted again: Unknown task" in done.stderr
    assert "fail_till" in done.stderr
    assert listed(project) == [job]


def test_retry__keeps_the_record_while_no_job_server_accepts(project: WorkerProject) -> None:
    job = fail(project, "fail_twice")
    done = failed(project, "retry", job, GEARFLEET_SERVERS="127.0.0.1:1")
    assert done.returncode == 4
    assert listed(project) == [job]


def test_retry__of_what_was_never_read(project: WorkerProject) -> None:
    with GearmanClient(list(project.settings.servers)) as client:
        client.submit_job(project.function("echo"), b"{", poll_timeout=30)
    wait_for(lambda: listed(project), "the failure")
    done = failed(project, "retry", "--all")
    assert done.returncode == 1
    assert "its arguments are not kept" in done.stderr
    assert len(listed(project)) == 1


def test_retry__of_a_list_of_jobs(project: WorkerProject) -> None:
    chain = Plan(share=Share(whole="w" * 32, index=0, count=1)).told()
    fail(project, "fail_twice", chain=chain)
    wait_for(lambda: "w" * 32 in listed(project), "the failure of the list")
    assert "it is a list of jobs" in failed(project, "retry", "w" * 32).stderr


def test_delete(project: WorkerProject) -> None:
    jobs = [fail(project, "fail_twice") for _ in range(3)]
    assert failed(project, "delete", jobs[0]).stderr == "Deleted 1 record.\n"
    assert listed(project) == [jobs[2], jobs[1]]
    done = failed(project, "delete", "--all", "--json")
    assert json.loads(done.stdout) == {"deleted": 2}
    assert listed(project) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["lst"], "Unknown action 'lst'"),
        (["list", "x"], "gearfleet failed show x"),
        (["--limit", "0"], "--limit is 0"),
        (["retry"], "takes the IDs of jobs, or --all"),
        (["delete", "x", "--all"], "takes the IDs of jobs, or --all"),
        (["show", "nobody"], "no record of a job 'nobody'"),
    ],
)
def test_failed__mistakes(project: WorkerProject, words: list[str], said: str) -> None:
    done = failed(project, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_failed__of_a_job_that_did_not_fail(project: WorkerProject) -> None:
    handle = project.client.delay(project.function("echo"), 1)
    handle.result(20)
    done = failed(project, "delete", handle.id)
    assert done.returncode == 2
    assert "its state is success" in done.stderr
    assert handle.result(1) == [1]


@pytest.mark.parametrize(("results", "said"), [("none", "not kept"), ("memory", "each worker")])
def test_failed__without_a_store_that_can_be_read(
    project: WorkerProject, results: str, said: str
) -> None:
    toml = project.folder / "gearfleet.toml"
    toml.write_text(f"results = '{results}'\n" + toml.read_text())
    done = failed(project)
    assert done.returncode == 4
    assert said in done.stderr
    assert "the setting 'results' is" in done.stderr


DJANGO_TASKS = """
from gearfleet import task

@task
def fail(order):
    raise LookupError(f"no order {order}")
"""


def test_manage__has_the_verb(job_server: JobServer, tmp_path: Path) -> None:
    django = make_project(tmp_path, job_server.address, {"worker_foo": DJANGO_TASKS})
    worker = Process(
        django.manage("gearman_worker", "-a", "myapp", "-n", "worker_foo"),
        log=tmp_path / "worker.log",
        cwd=tmp_path,
        env=django.environment,
    )

    def manage(*words: str) -> str:
        command = django.manage("gearfleet", *words)
        return run(command, cwd=tmp_path, env=django.environment).stdout

    try:
        job = manage("submit", "myapp.worker_foo.fail", "--arg", "7", "--background").strip()
        wait_for(lambda: job in manage("failed"), "the failure")
        new = manage("failed", "retry", job).split()[-1]
        wait_for(lambda: new in manage("failed", "list"), "the new failure")
        assert "LookupError: no order 7" in manage("failed", "show", new)
    finally:
        worker.kill()
