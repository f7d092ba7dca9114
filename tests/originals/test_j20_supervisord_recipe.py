"""J20: the Supervisor files of django-gearman-jbox's README work unchanged.

They are its recipe letter by letter; only what the README itself leaves open
(paths, the account, the name of the app) is filled in.
"""

from __future__ import annotations

import os
import pwd
import re
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from gearfleet import Client
from gearfleet.config import Settings
from tests.originals.projects import SECRET_KEY, Project, make_project
from tests.support.processes import run
from tests.support.supervisord import Supervisord
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.job_servers import JobServer

WORKER_FOO = """\
[program:worker_foo]
command         = /path-to-your-virtualenv/bin/python /path-to-your-project/manage.py gearman_worker -a <django_app_name> -n %(program_name)s
process_name    = %(program_name)s_%(process_num)02d
numprocs        = 1
autostart       = true
autorestart     = true
user            = myapp
directory       = /home/myapp/
environment     = HOME='/home/myapp',USER='myapp',LOGNAME='myapp',
"""

WORKER_BAR = """\
[program:worker_bar]
command         = /path-to-your-virtualenv/bin/python /path-to-your-project/manage.py gearman_worker -a <django_app_name> -n %(program_name)s -q bar
process_name    = %(program_name)s_%(process_num)02d
numprocs        = 2
autostart       = true
autorestart     = true
user            = myapp
directory       = /home/myapp/
environment     = HOME='/home/myapp',USER='myapp',LOGNAME='myapp',
"""

GROUPS = """\
[group:foo]
programs=worker_foo, worker_foo2

[group:bar]
programs=worker_bar, worker_bar2
"""

ALL = {
    "worker_foo_00",
    "worker_foo2_00",
    "worker_bar_00",
    "worker_bar_01",
    "worker_bar2_00",
    "worker_bar2_01",
}

COUNTS = {"worker_foo": 1, "worker_foo2": 1, "worker_bar": 2, "worker_bar2": 2}

WORKER = """\
from gearfleet import task

@task(queue="{queue}", name="{prefix}.{name}")
def run(number):
    return number + 1
"""


#: Of the functions; nobody else's.
PREFIX = f"test.{os.getpid()}.j20"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, gearmand: JobServer) -> Project:
    workers = {
        name: WORKER.format(queue=queue, prefix=PREFIX, name=name)
        for queue in ("foo", "bar")
        for name in (f"worker_{queue}", f"worker_{queue}2")
    }
    return make_project(tmp_path_factory.mktemp("j20") / "project", gearmand.address, workers)


def filled_in(recipe: str, project: Project) -> str:
    """Return the recipe with the places that the README leaves to its reader."""
    account = pwd.getpwuid(os.getuid()).pw_name
    places = {
        "/path-to-your-virtualenv/bin/python": sys.executable,
        "/path-to-your-project": str(project.folder),
        "<django_app_name>": "myapp",
        "/home/myapp/": f"{project.folder}/",
        "= myapp": f"= {account}",
        "'myapp'": f"'{account}'",
    }
    for place, value in places.items():
        recipe = recipe.replace(place, value)
    return recipe


@pytest.fixture(scope="module")
def fleet(project: Project, gearmand: JobServer) -> Iterator[Supervisord]:
    """The README's fleet at work. "One config file by worker": so the second ones are copies."""
    supervisord = Supervisord()
    for recipe, name in ((WORKER_FOO, "worker_foo"), (WORKER_BAR, "worker_bar")):
        text = filled_in(recipe, project)
        (supervisord.conf_d / f"{name}.conf").write_text(text)
        second = text.replace(f"[program:{name}]", f"[program:{name}2]")
        (supervisord.conf_d / f"{name}2.conf").write_text(second)
    (supervisord.conf_d / "groups.conf").write_text(GROUPS)
    try:
        supervisord.start()
        assert set(supervisord.processes()) == ALL
        supervisord.wait_until_running()
        # Six of them import Django at the same time, which takes a busy machine a while.
        wait_for(lambda: served(gearmand) == COUNTS, "every worker to serve", timeout=90)
        yield supervisord
    finally:
        supervisord.close()


def served(gearmand: JobServer) -> dict[str, int]:
    """Return how many workers there are of each kind."""
    return {name: gearmand.workers_of(f"{PREFIX}.{name}") for name in COUNTS}


def pids(fleet: Supervisord, group: str) -> dict[str, int]:
    return {name: row["pid"] for name, row in fleet.processes(group).items()}


def test_recipe__runs_the_fleet_and_its_groups(fleet: Supervisord, gearmand: JobServer) -> None:
    settings = Settings(servers=(gearmand.address,), signing_keys=(SECRET_KEY,))
    with Client(settings) as client:
        assert client.submit(f"{PREFIX}.worker_bar2", 41) == 42
        for group in ("foo", "bar"):
            before = pids(fleet, group)
            done = fleet.ctl("restart", f"{group}:*")
            assert done.returncode == 0, done.stdout
            fleet.wait_until_running(group)
            after = pids(fleet, group)
            assert before.keys() == after.keys()
            assert not set(before.values()) & set(after.values())
        assert client.submit(f"{PREFIX}.worker_bar2", 41) == 42


def test_recipe__a_changed_number_is_taken_up(
    fleet: Supervisord, project: Project, gearmand: JobServer
) -> None:
    changed = filled_in(WORKER_FOO, project).replace("= 1", "= 3", 1)
    (fleet.conf_d / "worker_foo.conf").write_text(changed)
    assert "foo: changed" in fleet.ctl("reread").stdout
    assert fleet.ctl("update").returncode == 0
    wait_for(lambda: served(gearmand)["worker_foo"] == 3, "three of them to serve", timeout=90)
    fleet.wait_until_running("foo")


def test_recipe__a_worker_that_somebody_ended_comes_back(fleet: Supervisord) -> None:
    (before,) = [pid for name, pid in pids(fleet, "foo").items() if name == "worker_foo_00"]
    os.kill(before, signal.SIGTERM)
    wait_for(
        lambda: pids(fleet, "foo")["worker_foo_00"] not in (0, before), "the worker to come back"
    )
    fleet.wait_until_running("foo")


def test_rendered_programs__leave_a_draining_worker_its_time(project: Project) -> None:
    done = run(project.gearfleet("render"), cwd=project.folder, env=project.environment)
    assert done.returncode == 0, done.stderr
    stop_waits = re.findall(r"^stopwaitsecs=(\d+)$", done.stdout, re.MULTILINE)
    assert len(stop_waits) == 4
    assert min(map(int, stop_waits)) > 60  # the drain_timeout
    assert done.stdout.count("autorestart=unexpected\nexitcodes=2,3,78\n") == 4
