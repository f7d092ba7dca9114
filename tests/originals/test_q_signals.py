"""QX16, QX17: Django Q's signals around jobs, and the error reporters that packages bring."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.originals.projects import Project, make_project, starting
from tests.support.processes import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.job_servers import JobServer

WORKER = """\
import json
from pathlib import Path

from django.dispatch import receiver

from gearfleet import task
from gearfleet.contrib.django.signals import (
    post_execute, post_execute_in_worker, post_spawn, pre_execute,
)

DIARY = Path(__file__).parents[2] / "diary"

def note(*words):
    with DIARY.open("a") as diary:
        diary.write(json.dumps(words) + "\\n")

@receiver(post_spawn)
def spawned(sender, proc_name, **kwargs):
    note("spawned", proc_name)

@receiver(pre_execute)
def begun(sender, func, task, **kwargs):
    note("begun", func.__name__, task["id"], task["name"], task["func"], task["args"])
    raise RuntimeError("a receiver's own")

@receiver(post_execute_in_worker)
def ended_here(sender, func, task, **kwargs):
    note("ended here", func.__name__, task["success"])

@receiver(post_execute)
def ended(sender, task, **kwargs):
    note("ended", task["id"], task["success"], task["result"], task["attempt_count"], task["group"])

@task
def double(number: int) -> int:
    note("runs")
    return 2 * number

@task(retries=1)
def break_down():
    raise LookupError("no such photo")
"""

CALLS = """\
import django
django.setup()
from django.dispatch import receiver
from gearfleet import fetch
from gearfleet.contrib.django.signals import pre_enqueue
from myapp.gearman_workers.worker_foo import break_down, double

told = []

@receiver(pre_enqueue)
def refuse(sender, task, **kwargs):
    told.append((task["func"], task["args"], task["id"]))
    if task["args"] == (13,):
        raise ValueError("not that one")

job = double.options(name="a pair", group="twos").delay(2)
assert told == [("myapp.worker_foo.double", (2,), job.id)], told
assert fetch(job, wait=30).result == 4
for refused in (double.delay, double.submit):
    try:
        refused(13)
    except ValueError as error:
        assert str(error) == "not that one"
    else:
        raise AssertionError("it was submitted")
assert len(told) == 3
failed = fetch(break_down.delay(), wait=30)
print(job.id, failed.id)
"""

#: A package as pip installs it, which brings one reporter of each kind.
REPORTER = """\
import json, sys, traceback
from pathlib import Path

FILE = Path(__file__).with_name("reported")

def say(*words):
    with FILE.open("a") as file:
        file.write(json.dumps(words) + "\\n")

class Reporter:
    def __init__(self, token):
        self.token = token

    def report(self):
        kind, error, trace = sys.exc_info()
        last = traceback.extract_tb(trace)[-1].name
        say("django_q", self.token, kind.__name__, str(error), last)

def report(job, outcome):
    say("gearfleet", job.task.name, job.meta.attempt, str(outcome.failure))
    raise RuntimeError("a reporter's own")
"""

ENTRIES = """\
[djangoq.errorreporters]
paper = reporters:Reporter

[gearfleet.error_reporters]
paper = reporters:report
"""

METADATA = "Metadata-Version: 2.1\nName: reporters\nVersion: 1.0\n"


@pytest.fixture
def project(tmp_path: Path, gearmand: JobServer) -> Iterator[Project]:
    project = make_project(tmp_path, gearmand.address, {"worker_foo": WORKER})
    project.add_settings(
        f'GEARFLEET["PREFIX"] = "{tmp_path.name}."\nGEARFLEET["RETRY_AFTER"] = 0\n'
        'Q_CLUSTER = {"error_reporter": {"paper": {"token": "t0ken"}}}\n'
    )
    (tmp_path / "reporters.py").write_text(REPORTER)
    info = tmp_path / "reporters-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(METADATA)
    (info / "entry_points.txt").write_text(ENTRIES)
    yield project


def lines(path: Path) -> list[list[object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_qx16_qx17__signals_are_sent_and_failures_reported(project: Project) -> None:
    with starting(project) as start:
        worker = start("gearman_worker", "-a", "myapp", "-n", "worker_foo")
        worker.wait_for_output("Registered at job server")
        script = [project.manage()[0], "-W", "error", "-c", "import sys; exec(sys.stdin.read())"]
        environment = {**project.environment, "DJANGO_SETTINGS_MODULE": "settings"}
        done = run(script, cwd=project.folder, env=environment, stdin=CALLS)
        assert done.returncode == 0, f"{done.stderr}\n{worker.output()}"
        job, failed = done.stdout.split()
        worker.terminate()
        assert worker.wait() == 0
    double = "myapp.worker_foo.double"
    reason = "LookupError: no such photo"
    diary = lines(project.folder / "diary")
    assert diary[:5] == [
        ["spawned", "worker_foo"],
        ["begun", "double", job, "a pair", double, [2]],
        ["runs"],
        ["ended here", "double", True],
        ["ended", job, True, 4, 1, "twos"],
    ]
    attempts = [line[2:5] for line in diary if line[:2] == ["ended", failed]]
    assert attempts == [[False, reason, 1], [False, reason, 2]]
    assert len(diary) == 5 + 2 * 3, "what was refused has not run"
    assert sorted(lines(project.folder / "reported"), key=str) == [
        ["django_q", "t0ken", "LookupError", "no such photo", "break_down"],
        ["gearfleet", "myapp.worker_foo.break_down", 2, reason],
    ], "once for each job that failed for good"


def test_qx17__a_reporter_that_is_not_installed_is_named_at_the_start(project: Project) -> None:
    project.add_settings('Q_CLUSTER = {"error_reporter": {"papers": {}}}\n')
    with starting(project) as start:
        worker = start("gearman_worker", "-a", "myapp", "-n", "worker_foo")
        assert worker.wait() == 78
        assert "Q_CLUSTER['error_reporter'] names 'papers'" in worker.output()
        assert "Did you mean 'paper'?" in worker.output()
