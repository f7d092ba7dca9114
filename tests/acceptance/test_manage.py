"""What ``manage.py gearfleet`` and ``manage.py gearman_worker`` say to a mistyped command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.originals.projects import Project, make_project
from tests.support.processes import run

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

WORKER = """\
from gearfleet import task

@task(queue="foo")
def one(): ...
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path / "project", "127.0.0.1:4730", {"worker_foo": WORKER})


def manage(project: Project, *words: str) -> subprocess.CompletedProcess[str]:
    return run(project.manage(*words), cwd=project.folder, env=project.environment)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["gearfleet", "rendr"], "Unknown verb 'rendr' (known: "),
        (["gearfleet", "rendr"], "Did you mean 'render'?"),
        (["gearfleet", "render", "--ouput", "x"], "Unknown option '--ouput' of 'manage.py "),
        (["gearfleet", "render", "--ouput", "x"], "Did you mean '--output'?"),
        (["gearfleet", "tasks", "surplus"], "Unexpected argument 'surplus'"),
        (["gearman_worker", "-a", "myapp", "-n", "worker_foo", "--qeue", "x"], "'--queue'?"),
        (["gearfleet"], "the following arguments are required: VERB"),
        (["gearman_worker", "-a", "myapp"], "required: -n/--worker-name"),
    ],
)
def test_usage__unknown_words_are_named_with_the_nearest(
    words: list[str], said: str, project: Project
) -> None:
    done = manage(project, *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not done.stdout


def test_options__may_stand_before_or_after_the_verb(project: Project) -> None:
    before = manage(project, "gearfleet", "--json", "tasks")
    after = manage(project, "gearfleet", "tasks", "--json")
    assert json.loads(before.stdout)[0]["task"] == "myapp.worker_foo.one"
    assert before.stdout == after.stdout


def test_gearman_worker__launches_nothing_in_a_queue_that_does_not_exist(project: Project) -> None:
    done = manage(project, "gearman_worker", "-a", "myapp", "-n", "worker_foo", "-q", "fo")
    assert done.returncode == 2
    assert "Worker 'worker_foo' has no queue 'fo' (known: foo). Did you mean 'foo'?" in done.stderr
    assert not done.stdout
