"""J17: two tasks of one name are refused; in the originals the last one won."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gearfleet.errors import DuplicateTask
from gearfleet.tasks import apps_of, discover
from tests.support.packages import importable

if TYPE_CHECKING:
    from pathlib import Path

CODE = """
    from gearfleet.compat import gearman_task

    @gearman_task(name="{0}")
    def work(): ...

    @gearman_task(name="{1}")
    def work(): ...
"""


def test_j17__both_places_are_named(tmp_path: Path) -> None:
    with importable(tmp_path) as write:
        path = write("myapp/gearman_workers/worker_foo.py", CODE.format("same", "same"))
        with pytest.raises(DuplicateTask, match="'same'") as caught:
            discover(apps_of(["myapp"]))
    assert f"{path}:4" in str(caught.value)
    assert f"{path}:7" in str(caught.value)


def test_j17__equal_python_names_are_fine(tmp_path: Path) -> None:
    with importable(tmp_path) as write:
        write("myapp/gearman_workers/worker_foo.py", CODE.format("one", "two"))
        assert [task.name for task in discover(apps_of(["myapp"])).tasks] == ["one", "two"]
