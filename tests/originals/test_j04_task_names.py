"""J4: a task's name is its module without the conventional part, and its function."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gearfleet.tasks import apps_of, discover
from tests.support.packages import importable

if TYPE_CHECKING:
    from pathlib import Path

CODE = """
    from gearfleet.compat import gearman_job, gearman_task
    from gearfleet import task

    @{0}
    def plain(): ...
"""


@pytest.mark.parametrize("decorator", ["task", "gearman_task()", "gearman_job"])
@pytest.mark.parametrize(
    ("app", "path", "name"),
    [
        ("myapp", "myapp/gearman_workers/worker_foo.py", "myapp.worker_foo.plain"),
        (
            "proj.inner",
            "proj/inner/gearman_workers/worker_foo.py",
            "proj.inner.worker_foo.plain",
        ),
        ("fwapp", "fwapp/gearman_jobs.py", "fwapp.plain"),
        ("proj2.fwinner", "proj2/fwinner/gearman_jobs.py", "proj2.fwinner.plain"),
        ("myapp", "myapp/tasks.py", "myapp.plain"),
    ],
)
def test_j04__default_name(tmp_path: Path, decorator: str, app: str, path: str, name: str) -> None:
    with importable(tmp_path) as write:
        write(path, CODE.format(decorator))
        assert [task.name for task in discover(apps_of([app])).tasks] == [name]


@pytest.mark.parametrize("decorator", ["task", "gearman_task", "gearman_job"])
def test_j04__given_name_is_verbatim(tmp_path: Path, decorator: str) -> None:
    with importable(tmp_path) as write:
        write("myapp/gearman_jobs.py", CODE.format(decorator + "(name='x.gearman_jobs.y')"))
        assert [task.name for task in discover(apps_of(["myapp"])).tasks] == ["x.gearman_jobs.y"]
