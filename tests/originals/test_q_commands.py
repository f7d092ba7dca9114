"""Q10, Q11, QX15, QX18, QX22: ``qcluster``, ``qmonitor``, ``qinfo`` and ``qmemory``."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from gearfleet import Client, config
from gearfleet.cli.builder import SUMMARIES
from gearfleet.config import Settings
from gearfleet.schedule import schedule
from tests.originals.projects import SECRET_KEY, Project, make_project, starting
from tests.support.processes import Process, living_in, run
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.job_servers import JobServer

    Start = Callable[..., Process]

TASKS = """\
import os
from pathlib import Path
from gearfleet import task

HERE = Path(__file__).parent

@task(name="{prefix}.pid", queue="front")
def pid():
    return os.getpid()

@task(name="{prefix}.note", queue="back")
def note(text):
    with (HERE / "diary").open("a") as diary:
        diary.write(text + "\\n")

task(name="{prefix}.note@front", queue="front")(note.func)
"""

#: The test projects have no database.
STORE = "sqlite:///{}/schedules.sqlite3"


@pytest.fixture
def project(tmp_path: Path, gearmand: JobServer, function: str) -> Project:
    project = make_project(tmp_path / "project", gearmand.address, {})
    project.add_settings(
        "Q_CLUSTER = {'name': 'shop', 'workers': 2, 'recycle': 500, 'cpu_affinity': 1}\n"
        f"GEARFLEET['SCHEDULE_STORE'] = '{STORE.format(tmp_path)}'\n"
    )
    (project.folder / "myapp" / "tasks.py").write_text(TASKS.format(prefix=function))
    return project


@pytest.fixture
def start(project: Project) -> Iterator[Start]:
    with starting(project) as start:
        yield start


@pytest.fixture
def client(gearmand: JobServer) -> Iterator[Client]:
    client = Client(
        Settings(servers=(gearmand.address,), signing_keys=(SECRET_KEY,), prefix="shop.")
    )
    yield client
    client.close()


def manage(project: Project, *words: str) -> subprocess.CompletedProcess[str]:
    return run(project.manage(*words), cwd=project.folder, env=project.environment)


def diary(project: Project) -> list[str]:
    path = project.folder / "myapp" / "diary"
    return path.read_text().splitlines() if path.exists() else []


def test_q10__a_pool_and_a_scheduler_that_leave_nobody_behind(
    project: Project, start: Start, client: Client, function: str, tmp_path: Path
) -> None:
    with config.using(Settings(schedule_store=STORE.format(tmp_path))):
        schedule(f"{function}.note", "from the schedule")
    cluster = start("qcluster")
    cluster.wait_for_output("All 2 workers serve")
    assert {client.submit(f"{function}.pid") for _ in range(3)}
    if hasattr(os, "sched_setaffinity"):
        assert cluster.output().count("Runs on CPU ") == 2
    wait_for(lambda: "from the schedule" in diary(project), "the schedule's job")
    everybody = living_in({cluster.pid})
    assert len(everybody) >= 4
    cluster.signal(signal.SIGTERM)
    assert cluster.wait() == 0, cluster.output()
    wait_for(lambda: not living_in({cluster.pid}), "nobody to be left")


def test_qx15__one_queue_only(
    project: Project, start: Start, gearmand: JobServer, function: str
) -> None:
    cluster = start("qcluster", "-n", "front")
    cluster.wait_for_output("All 2 workers serve")
    assert gearmand.workers_of(f"shop.{function}.pid") == 2
    assert gearmand.workers_of(f"shop.{function}.note") == 0


def test_qx15__a_schedule_is_run_by_the_cluster_that_it_names(
    project: Project, function: str, tmp_path: Path
) -> None:
    """Whichever cluster's scheduler submits it; by the first one's name its task's own queue."""
    with config.using(Settings(schedule_store=STORE.format(tmp_path))):
        for text, cluster in (("here", "front"), ("there", None), ("by name", "shop")):
            schedule(f"{function}.note", text, name=text, cluster=cluster)
    assert manage(project, "qcluster", "--run-once", "-n", "front").returncode == 0
    assert diary(project) == ["here"]
    assert manage(project, "qcluster", "--run-once", "-n", "back").returncode == 0
    assert sorted(diary(project)) == ["by name", "here", "there"]


def test_qx15__a_schedule_of_a_cluster_that_does_not_run_its_task(
    project: Project, function: str, tmp_path: Path
) -> None:
    with config.using(Settings(schedule_store=STORE.format(tmp_path))):
        schedule(f"{function}.pid", name="nowhere", cluster="back")
    done = manage(project, "gearfleet", "scheduler", "--once")
    assert f"Cluster 'back' does not run task '{function}.pid'" in done.stderr


def test_qx18__run_once_does_what_waits(project: Project, client: Client, function: str) -> None:
    for text in ("one", "two"):
        client.delay(f"{function}.note", text)
    assert manage(project, "qcluster", "--run-once").returncode == 0
    assert sorted(diary(project)) == ["one", "two"]


#: Runs management commands in one process, and prints what each of them has said.
ALL = """\
import io, json, os, sys
import django
from django.core.management import call_command

os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
django.setup()
said = []
for command in sys.argv[1:]:
    out = io.StringIO()
    call_command(*command.split(), stdout=out)
    said.append(out.getvalue())
print(json.dumps(said))
"""


def said_by(project: Project, *commands: str) -> list[str]:
    """Return what each of some management commands prints."""
    words = [sys.executable, "-c", ALL, *commands]
    done = run(words, cwd=project.folder, env=project.environment)
    assert done.returncode == 0, done.stderr
    said: list[str] = json.loads(done.stdout)
    return said


def test_qx18__the_commands_that_show(
    project: Project, start: Start, client: Client, function: str, gearmand: JobServer
) -> None:
    worker = start("gearfleet", "worker")
    gearmand.wait_for_workers(f"shop.{function}.pid")
    assert client.submit(f"{function}.pid") == worker.pid
    monitor, memory, of_workers, info, settings, ids, page = said_by(
        project,
        *("qmonitor --run-once", "qmemory --run-once", "qmemory --run-once --workers"),
        *("qinfo --json", "qinfo --config --json", "qinfo --ids", "gearfleet info --json"),
    )
    for text in (gearmand.address, f"{function}.pid", str(worker.pid), "idle"):
        assert text in monitor
    assert "by memory - programs" in memory
    assert str(worker.pid) not in memory
    assert "by memory - processes" in of_workers
    assert str(worker.pid) in of_workers
    for said in (info, page):
        rows = json.loads(said)["queues"]
        (front,) = [row for row in rows if row["function"] == f"shop.{function}.pid"]
        assert (front["queue"], front["workers"]) == ("front", 1)
    values = {row["setting"]: row["value"] for row in json.loads(settings)}
    assert values["servers"] == [gearmand.address]
    (name,) = ids.split()
    assert str(worker.pid) in name.split(".")


def test_verbs__are_all_there_under_manage(project: Project) -> None:
    page = manage(project, "gearfleet", "--help").stdout
    assert [verb for verb in SUMMARIES if f"\n    {verb} " not in page] == []
