"""Q18: Q_LOG_LEVEL, and the logger ``django-q`` that the LOGGING of Django Q's users knows."""

from __future__ import annotations

import logging
import re
import signal
from typing import TYPE_CHECKING

import pytest

from gearfleet import Client
from gearfleet.config import Settings
from tests.originals.projects import SECRET_KEY, Project, make_project, starting
from tests.support.processes import run
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.job_servers import JobServer

TASKS = """\
import logging
from gearfleet import task

@task(name="{prefix}.fail")
def fail():
    logging.getLogger("django-q").warning("about to fail")
    raise ValueError("on purpose")
"""

#: As a user of Django Q has it: our lines have a file, in a format and at a level of the user's.
LOGGING = """
Q_LOG_LEVEL = "ERROR"
LOGGING = {{
    "version": 1,
    "formatters": {{"theirs": {{"format": "%(name)s|%(levelname)s|%(message)s"}}}},
    "handlers": {{
        "file": {{"class": "logging.FileHandler", "filename": "{path}", "formatter": "theirs"}},
    }},
    "loggers": {{"django-q": {{"handlers": ["file"], "level": "{level}", "propagate": False}}}},
}}
"""


@pytest.fixture
def project(tmp_path: Path, gearmand: JobServer, function: str) -> Project:
    project = make_project(tmp_path / "project", gearmand.address, {})
    project.add_settings(
        f"Q_CLUSTER = {{'name': '{function}', 'workers': 1}}\n"
        f"GEARFLEET['SCHEDULE_STORE'] = 'sqlite:///{tmp_path}/schedules.sqlite3'\n"
    )
    (project.folder / "myapp" / "tasks.py").write_text(TASKS.format(prefix=function))
    return project


@pytest.fixture
def failing(gearmand: JobServer, function: str) -> None:
    """Submit a job that fails."""
    settings = Settings(
        servers=(gearmand.address,), signing_keys=(SECRET_KEY,), prefix=f"{function}."
    )
    client = Client(settings)
    client.delay(f"{function}.fail")
    client.close()


def run_once(project: Project) -> str:
    """Return what ``qcluster --run-once`` logs."""
    command = project.manage("qcluster", "--run-once")
    done = run(command, cwd=project.folder, env=project.environment)
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.usefixtures("failing")
def test_q18__logging_of_the_project(project: Project, tmp_path: Path) -> None:
    """Its level counts, not Q_LOG_LEVEL, and all processes of the cluster log there."""
    path = tmp_path / "django-q.log"
    project.add_settings(LOGGING.format(path=path, level="INFO"))
    with starting(project) as start:
        cluster = start("qcluster")
        told = ("about to fail", "on purpose", "All 1 workers serve", "Scheduler ready")
        wait_for(
            lambda: path.exists() and all(text in path.read_text() for text in told),
            "the lines of the pool, its worker and the scheduler",
        )
        cluster.signal(signal.SIGTERM)
        assert cluster.wait() == 0
    assert cluster.output() == ""
    lines = re.findall(r"^(\S+)\|([A-Z]+)\|", path.read_text(), re.MULTILINE)
    assert {name for name, _ in lines} == {"django-q"}
    assert {level for _, level in lines} >= {"INFO", "ERROR"}


@pytest.mark.usefixtures("failing")
def test_q18__logging_of_the_project__at_a_level_of_its_own(
    project: Project, tmp_path: Path
) -> None:
    path = tmp_path / "django-q.log"
    project.add_settings(LOGGING.format(path=path, level="WARNING"))
    assert run_once(project) == ""
    levels = re.findall(r"^\S+\|([A-Z]+)\|", path.read_text(), re.MULTILINE)
    assert {logging.WARNING, logging.ERROR} >= {getattr(logging, level) for level in levels}
    assert levels


@pytest.mark.usefixtures("failing")
@pytest.mark.parametrize(("level", "told"), [("INFO", True), ("ERROR", False)])
def test_q18__level_without_logging(project: Project, level: str, told: bool) -> None:
    project.add_settings(f"Q_LOG_LEVEL = '{level}'\n")
    log = run_once(project)
    assert re.search(r"ERROR .*django-q.*on purpose", log, re.DOTALL), log
    assert ("about to fail" in log, bool(re.search(r"INFO .*django-q", log))) == (told, told)
