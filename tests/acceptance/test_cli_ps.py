"""``gearfleet ps``, with real workers."""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from gearfleet.cli.ps import COLUMNS, duration
from tests.support.processes import GEARFLEET, clean_environment, run
from tests.support.waiting import wait_for
from tests.support.workers import WorkerProject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.job_servers import JobServer


@pytest.fixture
def project(tmp_path: Path, job_server: JobServer) -> Iterator[WorkerProject]:
    made = WorkerProject(tmp_path, job_server.address, toml="prefix = 'v1.'\nrelease = 'r7'\n")
    yield made
    made.allow("go")
    made.close()


def ps(project: WorkerProject, *words: str) -> tuple[str, str]:
    done = run(
        [*GEARFLEET, "ps", *words],
        cwd=project.folder,
        env=clean_environment(GEARFLEET_RUN_DIR=str(project.run_dir)),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def workers(project: WorkerProject) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(ps(project, "--json")[0])
    return found


def the_worker(project: WorkerProject) -> dict[str, Any]:
    (found,) = workers(project)
    return found


def submit(project: WorkerProject, task: str, *args: Any) -> None:
    """Submit a job under the name that the prefix makes of its task's."""
    project.client.delay(f"v1.{project.function(task)}", *args)


def pair(project: WorkerProject) -> list[dict[str, Any]]:
    found = workers(project)
    return found if len(found) == 2 else []


def test_none__is_no_failure(project: WorkerProject) -> None:
    assert workers(project) == []
    stdout, stderr = ps(project)
    assert (stdout, stderr) == ("", f"No worker runs here (run directory: {project.run_dir}).\n")


def test_worker__with_a_job_in_hand(project: WorkerProject) -> None:
    before = time.time()
    worker = project.start_ready("--prefetch", "2")
    wait_for(lambda: the_worker(project)["state"] == "idle", "an idle worker")
    submit(project, "echo", 1)
    submit(project, "wait_for", "go")
    project.wait_for_note("begin go")
    shown = the_worker(project)
    (job,) = shown.pop("jobs")
    assert before < shown.pop("began") < time.time()
    assert 1e6 < shown.pop("rss_bytes") < 1e9
    assert shown.pop("host")
    assert shown == {
        "program": "worker_foo",
        "process": "worker_foo",
        "pid": worker.pid,
        "state": "busy",
        "module": f"{project.package}.gearman_workers.worker_foo",
        "queues": ["bar", "foo"],
        "release": "r7",
        "prefetch": 2,
        "done": 1,
        "failed": 0,
        "given_back": 0,
        "previous_end": "",
    }
    assert job["task"] == project.function("wait_for")
    assert job["function"] == "v1." + project.function("wait_for")
    assert job["handle"].startswith("H:")
    assert job["unique"] == f"{job['id']}.1"
    assert 0 <= job["seconds"] < 60
    table, _ = ps(project)
    for text in (*COLUMNS, "worker_foo", str(worker.pid), "busy", job["handle"], "r7"):
        assert text in table


def test_worker__of_which_the_one_before_ended(project: WorkerProject) -> None:
    first = project.start_ready()
    first.signal(signal.SIGTERM)
    first.wait()
    assert workers(project) == []
    second = project.start_ready()
    assert the_worker(project)["previous_end"] == "SIGTERM"
    submit(project, "wait_for", "go")
    project.wait_for_note("begin go")
    second.kill()
    project.start_ready()
    assert the_worker(project)["previous_end"].startswith(
        f"died in v1.{project.function('wait_for')} (H:"
    )


def test_worker__while_it_drains(project: WorkerProject) -> None:
    worker = project.start_ready()
    submit(project, "wait_for", "go")
    project.wait_for_note("begin go")
    worker.signal(signal.SIGTERM)
    worker.wait_for_output("Draining")
    shown = the_worker(project)
    assert (shown["state"], len(shown["jobs"])) == ("draining", 1)


def test_worker__with_several_jobs(project: WorkerProject) -> None:
    project.start_ready("--concurrency", "3")
    for name in ("a", "b", "c"):
        submit(project, "wait_for", name)
        project.wait_for_note(f"begin {name}")
    assert len(the_worker(project)["jobs"]) == 3
    for name in ("a", "b", "c"):
        project.allow(name)
    wait_for(lambda: the_worker(project)["done"] == 3, "three jobs to be done")
    assert the_worker(project)["jobs"] == []


def test_workers__of_a_pool(project: WorkerProject) -> None:
    project.start("--processes", "2")
    found = wait_for(lambda: pair(project), "two workers")
    assert sorted(each["process"] for each in found) == ["worker_foo/0", "worker_foo/1"]


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.4, "0s"), (59.9, "59s"), (75, "1m15s"), (7385, "2h03m"), (100_000, "1d03h")],
)
def test_duration__at_a_glance(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown
