"""A Django project whose results are in its database."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.originals.projects import Project, make_project
from tests.support.processes import Process, run
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.job_servers import JobServer

WORKER = """\
from decimal import Decimal
from pathlib import Path

from gearfleet import task

HEARD = Path(__file__).parents[2] / "heard"

def tell(record):
    from gearfleet.contrib.django.models import Success
    HEARD.write_text(f"{record.result} after {Success.objects.count()}")

@task
def price(copies: int) -> Decimal:
    return Decimal("0.35") * copies

@task
def break_down():
    raise LookupError("no such photo")

@task
async def ask(job: str):
    from gearfleet import result
    return result(job)
"""

SETTINGS = """\
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}}
GEARFLEET["RESULTS"] = "django"
"""

CALLS = """\
import django
django.setup()
from gearfleet import count_group, fetch, gather, result_group
from gearfleet.contrib.django.models import Failure, Record, Success
from myapp.gearman_workers.worker_foo import ask, break_down, price, tell

first = price.options(name="a dozen", group="prices", hook=tell).delay(12)
assert str(first.result(timeout=30)) == "4.20"
price.options(group="prices").delay(1)
assert len(result_group("prices", wait=30, count=2)) == 2
assert str(ask.delay("a dozen").result(timeout=30)) == "4.20"
assert [str(each) for each in gather(price.call(n) for n in range(3)).result(timeout=30)] == [
    "0.00", "0.35", "0.70"
]
failed = fetch(break_down.delay(), wait=30)
assert failed.failure.message == "no such photo"
assert Failure.objects.get(task="myapp.worker_foo.break_down").record() == failed
assert Success.objects.filter(group="prices").count() == count_group("prices") == 2
assert Record.objects.get(job=first.id).stopped_at.timestamp() - failed.stopped < 60
print("told")
"""


@pytest.fixture
def project(tmp_path: Path, gearmand: JobServer) -> Iterator[Project]:
    project = make_project(tmp_path, gearmand.address, {"worker_foo": WORKER})
    project.add_settings(SETTINGS + f'GEARFLEET["PREFIX"] = "{tmp_path.name}."\n')
    yield project


def start(project: Project, *options: str) -> Process:
    command = project.manage("gearman_worker", "-a", "myapp", "-n", "worker_foo", *options)
    log = project.folder / "log"
    worker = Process(command, log=log, cwd=project.folder, env=project.environment)
    worker.wait_for_output("Registered at job server")
    return worker


def manage(project: Project, *words: str) -> str:
    done = run(project.manage(*words), cwd=project.folder, env=project.environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("options", [("--processes", "2"), ("--threads", "2")])
def test_results_are_in_the_database(project: Project, options: tuple[str, ...]) -> None:
    manage(project, "migrate")
    worker = start(project, *options)
    try:
        script = "import sys; exec(sys.stdin.read())"
        environment = {**project.environment, "DJANGO_SETTINGS_MODULE": "settings"}
        done = run(
            [project.manage()[0], "-W", "error", "-c", script],
            cwd=project.folder,
            env=environment,
            stdin=CALLS,
        )
        assert done.stdout == "told\n", f"{done.stderr}\n{worker.output()}"
        assert (project.folder / "heard").read_text().startswith("4.20 after ")
        listed = json.loads(manage(project, "gearfleet", "failed", "list", "--json"))
        assert [each["task"] for each in listed] == ["myapp.worker_foo.break_down"]
    finally:
        worker.terminate()


def test_without_migrate__the_worker_says_so(project: Project) -> None:
    worker = start(project)
    try:
        manage(project, "gearman_submit_job", "myapp.worker_foo.break_down")
        wait_for(lambda: 'run "manage.py migrate gearfleet"' in worker.output(), "what to do")
        assert "no such table" in worker.output()
        manage(project, "migrate")
        wait_for(lambda: "break_down" in manage(project, "gearfleet", "failed"), "the failure")
    finally:
        worker.terminate()
