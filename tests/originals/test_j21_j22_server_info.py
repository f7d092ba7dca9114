"""J21, J22, G7: ``gearman_server_info``, its class, and ``gearman_list_tasks``."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from gearfleet import config
from gearfleet.compat.server_info import GearmanServerInfo, table
from gearfleet.config import Settings
from gearfleet.errors import ServerUnavailable
from gearfleet.gearman import GearmanWorker
from tests.originals.projects import Project, make_project
from tests.support.processes import run
from tests.support.running import running
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from tests.support.job_servers import JobServer

TASKS = """\
from gearfleet.compat import gearman_task

@gearman_task(name="info.data_import", queue="data")
def data_import(): ...

@gearman_task(name="info.cache_cleanup")
def cache_cleanup(): ...
"""

#: The tables of jbox's README.
README_SERVER = """\
+---------------------+------------------------+--------------------+
| Gearman Server Host | Gearman Server Version | Ping Response Time |
+---------------------+------------------------+--------------------+
|    127.0.0.1:4730   |        OK 1.1.3        | 0.0006871223449707 |
+---------------------+------------------------+--------------------+"""
README_TASKS = """\
+---------------+---------------+--------------+-------------+
|   Task Name   | Total Workers | Running Jobs | Queued Jobs |
+---------------+---------------+--------------+-------------+
| data_unlock   |       1       |      0       |      0      |
| cache_cleanup |       1       |      0       |      0      |
+---------------+---------------+--------------+-------------+"""
README_WORKERS = """\
+-----------+------------------+-----------+-----------------+
| Worker IP | Registered Tasks | Client ID | File Descriptor |
+-----------+------------------+-----------+-----------------+
| 127.0.0.1 |   data_unlock    |     -     |        35       |
| 127.0.0.1 |  cache_cleanup   |     -     |        37       |
+-----------+------------------+-----------+-----------------+"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, gearmand: JobServer) -> Project:
    folder = tmp_path_factory.mktemp("info") / "project"
    return make_project(folder, gearmand.address, {"worker_foo": TASKS})


@pytest.fixture(scope="module", autouse=True)
def workers(gearmand: JobServer) -> Iterator[None]:
    """Two workers that serve one task each."""
    made = [GearmanWorker([gearmand.address]) for _ in range(2)]
    for worker, task in zip(made, ("info.data_import", "info.cache_cleanup"), strict=True):
        worker.register_task(task, lambda _worker, _job: b"")
    with running(*made):
        for task in ("info.data_import", "info.cache_cleanup"):
            wait_for(lambda task=task: gearmand.workers_of(task), "the workers")
        yield


def manage(project: Project, *words: str) -> subprocess.CompletedProcess[str]:
    return run(project.manage(*words), cwd=project.folder, env=project.environment)


def rows(text: str) -> list[list[str]]:
    """Return the cells of the lines of a table, its titles first."""
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]


def test_tables__are_drawn_as_in_the_readme() -> None:
    for drawn, is_left in ((README_SERVER, False), (README_TASKS, True), (README_WORKERS, False)):
        titles, *cells = rows(drawn)
        assert table(titles, cells, left=is_left) == drawn


def test_j22__three_tables_each_with_a_dot_and_a_blank_line(
    project: Project, gearmand: JobServer
) -> None:
    done = manage(project, "gearman_server_info", "info.")
    assert done.returncode == 0
    server, tasks, workers, rest = done.stdout.split(".\n\n")
    assert rest == ""
    titles, (host, version, ping) = rows(server)
    assert titles == ["Gearman Server Host", "Gearman Server Version", "Ping Response Time"]
    assert host == gearmand.address
    assert version.startswith("OK 1.1.")
    assert re.fullmatch(r"\d\.\d{16}", ping)
    assert rows(tasks) == [
        ["Task Name", "Total Workers", "Running Jobs", "Queued Jobs"],
        ["info.cache_cleanup", "1", "0", "0"],
        ["info.data_import", "1", "0", "0"],
    ]
    titles, *shown = rows(workers)
    assert titles == ["Worker IP", "Registered Tasks", "Client ID", "File Descriptor"]
    assert [row[:2] for row in shown] == [
        ["127.0.0.1", "info.cache_cleanup"],
        ["127.0.0.1", "info.data_import"],
    ]


def test_j22__filter__is_a_part_of_the_name_of_tasks_and_workers(project: Project) -> None:
    done = manage(project, "gearman_server_info", "cleanup")
    assert "info.cache_cleanup" in done.stdout
    assert "data_import" not in done.stdout
    assert done.stdout.count("info.cache_cleanup") == 2
    assert "cleanup" not in manage(project, "gearman_server_info", "CLEANUP").stdout


def test_j22__a_server_that_is_down_has_its_block_and_the_others_show(
    project: Project, gearmand: JobServer
) -> None:
    both = f"127.0.0.1:1,{gearmand.address}"
    done = manage(project, "gearman_server_info", "--servers", both)
    assert done.returncode == 1
    assert "Server '127.0.0.1:1' is Down ! " in done.stdout
    assert done.stdout.startswith("####")
    assert "info.data_import" in done.stdout
    assert "Traceback" not in done.stderr
    assert manage(project, "gearman_server_info", "--servers", "127.0.0.1:1").returncode == 4


def test_j22__json(project: Project, gearmand: JobServer) -> None:
    both = f"127.0.0.1:1,{gearmand.address}"
    done = manage(project, "gearman_server_info", "data", "--servers", both, "--json")
    down, up = json.loads(done.stdout)
    assert (down["server"], down["is_up"]) == ("127.0.0.1:1", False)
    assert "Connection refused" in down["silence"]
    assert (up["server"], up["is_up"]) == (gearmand.address, True)
    assert up["ping_seconds"] > 0
    assert {"task": "info.data_import", "workers": 1, "running": 0, "queued": 0} in up["tasks"]
    assert ["info.data_import"] in [row["tasks"] for row in up["workers"]]
    assert done.returncode == 1


def test_j21__class(gearmand: JobServer) -> None:
    info = GearmanServerInfo(gearmand.address)
    assert info.host == gearmand.address
    assert info.server_version.startswith("OK ")
    assert "info.data_import" in [row["task"] for row in info.tasks]
    assert all(row["tasks"] for row in info.workers)
    assert float(info.ping_time_str) == pytest.approx(info.ping_time)
    assert "data_import" not in info.get_server_info("cleanup")
    assert "data_import" in info.get_server_info()


def test_j21__class_of_the_settings_server(gearmand: JobServer) -> None:
    with config.using(Settings(servers=(gearmand.address,))):
        assert GearmanServerInfo().host == gearmand.address
    with pytest.raises(ServerUnavailable):
        GearmanServerInfo("127.0.0.1:1")


def test_g7__queues_with_their_tasks_each_once(project: Project) -> None:
    done = manage(project, "gearman_list_tasks")
    assert done.returncode == 0
    assert done.stdout == (
        "Queue: data\n* info.data_import\nQueue: default\n* info.cache_cleanup\n"
    )
    modern = json.loads(manage(project, "gearman_list_tasks", "--json").stdout)
    assert [row["function"] for row in modern] == ["info.cache_cleanup", "info.data_import"]
