"""``gearfleet info``, with jobs that a real worker has run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.processes import GEARFLEET, clean_environment, run
from tests.support.waiting import wait_for
from tests.support.workers import WorkerProject

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from tests.support.job_servers import JobServer

FAILS = """
@task(queue="foo")
def fail():
    raise LookupError("shelf")
"""


@pytest.fixture(scope="module")
def project(
    gearmand: JobServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WorkerProject]:
    """Six jobs have ended, two of them badly; the newest three successes are kept."""
    made = WorkerProject(
        tmp_path_factory.mktemp("info"), gearmand.address, more=FAILS, toml="save_limit = 3\n"
    )
    made.start_ready()
    for _ in range(2):
        made.delay("fail")
    for number in range(4):
        made.delay("echo", number)
    wait_for(lambda: ended(made) == {"echo": (3, 0), "fail": (0, 2)}, "their records")
    yield made
    made.close()


def info(project: WorkerProject, *words: str) -> subprocess.CompletedProcess[str]:
    environment = clean_environment(GEARFLEET_RUN_DIR=str(project.run_dir))
    return run([*GEARFLEET, "info", *words], cwd=project.folder, env=environment)


def told(project: WorkerProject, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(info(project, "--json", *words).stdout)
    return found


def ended(project: WorkerProject) -> dict[str, tuple[int, int]]:
    """Return how many jobs of each task succeeded and failed in the last hour."""
    spans = told(project)["spans"]
    rows = spans[0]["tasks"] if spans else []
    return {r["task"].rpartition(".")[2]: (r["successes"], r["failures"]) for r in rows}


def test_json__what_is_there_and_what_ended(project: WorkerProject, gearmand: JobServer) -> None:
    shown = told(project)
    assert [row["address"] for row in shown["servers"]] == [gearmand.address]
    queues = {row["function"]: row for row in shown["queues"]}
    assert queues[project.function("echo")]["workers"] == 1
    (program,) = [row for row in shown["programs"] if row["program"] == "worker_foo"]
    assert (program["done"], program["failed"]) == (4, 2)
    hour, day = shown["spans"]
    assert (hour["name"], day["name"]) == ("hour", "day")
    assert (hour["all"]["successes"], hour["all"]["failures"]) == (3, 2)
    assert not hour["is_complete"]
    assert 0 < hour["covers"] < 600
    assert 0 < hour["all"]["mean_seconds"] < 10
    assert 0 <= hour["all"]["mean_wait"] < 60
    assert hour["all"]["per_second"] > 3 / hour["covers"]


def test_text__says_what_the_records_do_not_reach_back_to(project: WorkerProject) -> None:
    done = info(project)
    assert done.returncode == 0
    for text in (project.function("fail"), ">= 3", "in the last", "worker_foo"):
        assert text in done.stdout
    assert "The newest 3 successes are kept (the setting 'save_limit')" in done.stderr


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("results = 'none'", "Results are not kept (the setting 'results')"),
        ("results = 'memory'", "kept in the memory of each worker"),
        ("", "No job has ended yet: there is no "),
        ("results = 'sqlite:////dev/null/x'", "No job has ended yet"),
    ],
)
def test_results__that_cannot_be_counted(
    project: WorkerProject, toml: str, said: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "gearfleet.toml").write_text(f"servers = {list(project.settings.servers)}\n{toml}\n")
    environment = clean_environment(GEARFLEET_RUN_DIR=str(other / "run"))
    done = run([*GEARFLEET, "info"], cwd=other, env=environment)
    assert done.returncode == 0
    assert said in done.stderr
    assert not (other / "run" / "results.sqlite3").exists()


def test_servers__that_are_down(project: WorkerProject) -> None:
    done = info(project, "--servers", "127.0.0.1:1")
    assert done.returncode == 4
    assert "down" in done.stdout
    assert project.function("echo") in done.stdout
