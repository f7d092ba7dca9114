"""A worker closes Django's connections around each job, as Django does around each request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.workers import WorkerProject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.job_servers import JobServer

SETTINGS = """
SECRET_KEY = "a secret of sixteen characters"
DATABASES = {{"default": {{
    "ENGINE": "django.db.backends.sqlite3", "NAME": "site.db", "CONN_MAX_AGE": {age}
}}}}
GEARFLEET = {{"APPS": ["{package}"], "SERVERS": ["{server}"], "SIGNING_KEYS": []}}
"""

TASKS = """
from django.db import connection

@task(queue="foo")
def is_connected():
    before = connection.connection is not None
    connection.ensure_connection()
    return before

@task(queue="foo")
def spoil(how):
    connection.ensure_connection()
    if how == "old":
        connection.close_at = 0
    else:
        connection.set_autocommit(False)
"""


@pytest.fixture
def project(tmp_path: Path, gearmand: JobServer) -> Iterator[WorkerProject]:
    made = WorkerProject(tmp_path, gearmand.address, more=TASKS)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("options", "age"), [((), 0), ((), 600), (("--threads", "2"), 0), (("-w", "1"), 0)]
)
def test_connection__is_closed_after_a_job_unless_it_may_grow_older(
    project: WorkerProject, gearmand: JobServer, options: tuple[str, ...], age: int
) -> None:
    text = SETTINGS.format(age=age, package=project.package, server=gearmand.address)
    (project.folder / "site_settings.py").write_text(text)
    project.start_ready("--settings", "site_settings", *options)
    found = [project.submit("is_connected").result(30) for _ in range(6)]
    assert found[0] is False
    assert any(found) is (age > 0)


def test_connection__that_is_not_as_it_was_is_closed_between_jobs(
    project: WorkerProject, gearmand: JobServer
) -> None:
    text = SETTINGS.format(age=600, package=project.package, server=gearmand.address)
    (project.folder / "site_settings.py").write_text(text)
    project.start_ready("--settings", "site_settings")
    project.submit("is_connected").result(30)
    for how in ("old", "without autocommit"):
        assert project.submit("is_connected").result(30) is True
        project.submit("spoil", how).result(30)
        assert project.submit("is_connected").result(30) is False, how
