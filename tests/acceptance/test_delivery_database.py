"""Delivery, when the database of the results is killed: the cells of docs/explanation/delivery.md."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from gearfleet.errors import JobFailed
from gearfleet.tasks import SubmitOptions
from tests.support.deliveries import Delivery, wait_for_jobs
from tests.support.postgresql import PostgreSQL
from tests.support.processes import clean_environment, run
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gearfleet.tasks import JobHandle
    from tests.support.job_servers import JobServer

SETTINGS = """
SECRET_KEY = "a secret of the tests"
INSTALLED_APPS = ["gearfleet.contrib.django"]
DATABASES = {{"default": {database}}}
GEARFLEET = {{
    "APPS": ["{package}"], "SERVERS": ["{server}"], "SIGNING_KEYS": [], "RESULTS": "django",
}}
"""
ROW = "SELECT state, attempt, result FROM gearfleet_record WHERE job = %s"


class Site(Delivery):
    """A Django project with a worker that keeps results in PostgreSQL."""

    def __init__(self, folder: Path, server: JobServer, database: PostgreSQL) -> None:
        super().__init__(folder, server.address)
        self.database = database
        text = SETTINGS.format(
            database=database.django, package=self.package, server=server.address
        )
        (folder / "site_settings.py").write_text(text)
        command = [sys.executable, "-m", "django", "migrate", "--settings", "site_settings"]
        done = run(command, cwd=folder, env=clean_environment(PYTHONPATH=str(folder)))
        assert done.returncode == 0, done.stderr
        self.worker = self.start_ready("--settings", "site_settings")

    def row(self, job: JobHandle) -> tuple[Any, ...] | None:
        """Return what the database knows of a job."""
        import psycopg

        with psycopg.connect(host=str(self.database.folder), user="postgres") as connection:
            return connection.execute(ROW, [job.id]).fetchone()

    def kill_database(self) -> None:
        """Kill the database under a worker that is connected to it."""
        self.allow("warm")
        job = self.enqueue("background", "warm")
        wait_for(lambda: self.row(job), "a result")
        self.database.kill()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, gearmand: JobServer) -> Iterator[Site]:
    database = PostgreSQL().start()
    try:
        made = Site(tmp_path_factory.mktemp("site"), gearmand, database)
        yield made
        made.close()
    finally:
        database.close()


@pytest.fixture
def site(project: Site) -> Iterator[Site]:
    """The project, whose database has been killed, and is back after the test."""
    project.kill_database()
    yield project
    if not project.database.is_running:
        project.database.start()


def test_database_killed__success__is_written_when_it_is_back(
    site: Site, gearmand: JobServer
) -> None:
    site.allow("a")
    job = site.enqueue("background", "a")
    site.worker.wait_for_output("results wait until the store is back")
    wait_for_jobs(gearmand, site.function("work"), 0)
    site.database.start()
    assert wait_for(lambda: site.row(job), "the result") == ("success", 1, '"a"')
    assert site.attempts("a") == [1]


@pytest.mark.parametrize("task", ["fail", "work_again"])
def test_database_killed__failure__runs_again_until_it_can_be_kept(
    site: Site, gearmand: JobServer, task: str
) -> None:
    job = site.client.enqueue(site.function(task), (task,), {}, SubmitOptions())
    site.wait_for_marks(task, 2)
    assert "runs again, because what became of it cannot be kept" in site.worker.output()
    assert set(site.attempts(task)) == {1}, "and has no next attempt until then"
    site.allow(task)
    site.database.start()
    wait_for_jobs(gearmand, site.function(task), 0, site.wake)
    state, attempt, _ = wait_for(lambda: site.row(job), "the record")
    assert (state, attempt) == (("success", 2) if task == "work_again" else ("failure", 1))


def test_database_killed__foreground_job__the_caller_is_unaffected(site: Site) -> None:
    site.allow("b")
    assert site.submit("work", "b").result(30) == "b"
    with pytest.raises(JobFailed, match="ValueError: always"):
        site.submit("fail", "c").result(30)
    assert site.attempts("c") == [1]
