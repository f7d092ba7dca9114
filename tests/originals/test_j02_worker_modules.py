"""J2: a package ``gearman_workers`` in an app, one worker per file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gearfleet.tasks import apps_of, discover, load_worker
from tests.support.packages import importable

if TYPE_CHECKING:
    from pathlib import Path

WORKER = """
    from gearfleet.compat import gearman_task

    @gearman_task(queue="foo")
    def plain(): return "%s"
"""


def test_j02__one_worker_per_file(tmp_path: Path) -> None:
    with importable(tmp_path) as write:
        write("myapp/gearman_workers/worker_foo.py", WORKER % "foo")
        write("myapp/gearman_workers/worker_bar.py", WORKER % "bar")
        write("myapp/tasks.py", WORKER % "tasks")

        modules = discover(apps_of(["myapp"])).modules

        assert [(module.app.name, module.worker) for module in modules] == [
            ("myapp", "worker_bar"),
            ("myapp", "worker_foo"),
            ("myapp", "tasks"),
        ]
        assert [module.tasks[0]() for module in modules] == ["bar", "foo", "tasks"]


def test_j02__a_worker_is_named_by_its_app_and_file(tmp_path: Path) -> None:
    with importable(tmp_path) as write:
        write("proj/inner/gearman_workers/worker_foo.py", WORKER % "foo")

        module = load_worker(apps_of(["proj.inner"]), "proj.inner", "worker_foo")

        assert module.module == "proj.inner.gearman_workers.worker_foo"
