"""G8: production as django-gearman-jbox's neighbour describes it: a program for each queue, in a group.

Its page includes one file into supervisord's configuration, with a program for
each queue and a group of priority 999. To release, one stops the workers, brings
the code, and starts them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gearfleet import Client
from gearfleet.config import Settings
from tests.originals.projects import SECRET_KEY, Project, make_project
from tests.support.processes import run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.job_servers import JobServer
    from tests.support.supervisord import Supervisord

WORKER = """\
from gearfleet import task

@task(queue="{queue}", name="{name}")
def run():
    return "{release}"
"""

#: What the page says by hand.
SETTINGS = """
GEARFLEET |= {
    "FLEET": {"layout": "queue", "autorestart": True, "startsecs": 0},
    "QUEUES": {"bar": {"processes": 2}},
    "GROUPS": {"site": {"programs": ["foo", "bar"], "priority": 999}},
}
"""


@pytest.fixture
def project(tmp_path: Path, gearmand: JobServer, function: str) -> Project:
    workers = {
        f"worker_{queue}": WORKER.format(queue=queue, name=f"{function}.{queue}", release="one")
        for queue in ("foo", "bar")
    }
    project = make_project(tmp_path / "project", gearmand.address, workers)
    project.add_settings(SETTINGS)
    return project


def test_g08__a_program_for_each_queue_in_one_group_and_a_release(
    project: Project, supervisord: Supervisord, gearmand: JobServer, function: str
) -> None:
    done = run(
        project.gearfleet("render", "-o", str(supervisord.conf_d)),
        cwd=project.folder,
        env=project.environment,
    )
    assert done.returncode == 0, done.stderr
    assert (
        "[group:site]\nprograms=bar,foo\npriority=999\n"
        in (supervisord.conf_d / "groups.conf").read_text()
    )
    supervisord.start()
    supervisord.wait_until_running("site")
    assert set(supervisord.processes("site")) == {"foo_00", "bar_00", "bar_01"}

    client = Client(Settings(servers=(gearmand.address,), signing_keys=(SECRET_KEY,)))
    with client:
        assert client.submit(f"{function}.bar") == "one"
        assert supervisord.ctl("restart", "site:*").returncode == 0
        assert client.submit(f"{function}.foo") == "one"

        assert supervisord.ctl("stop", "site:*").returncode == 0
        for path in project.folder.rglob("worker_*.py"):
            path.write_text(path.read_text().replace('"one"', '"release two"'))
        assert supervisord.ctl("start", "site:*").returncode == 0
        assert client.submit(f"{function}.bar") == "release two"
