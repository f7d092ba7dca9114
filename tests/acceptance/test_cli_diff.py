"""`gearfleet diff`: what a rendering would change, before it does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.processes import GEARFLEET, clean_environment, run

if TYPE_CHECKING:
    import subprocess

TASKS = """\
from gearfleet import task

@task(queue="bar")
def resize(image: str) -> str:
    return image
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A plain project that was rendered to `conf.d`."""
    (tmp_path / "mill").mkdir()
    (tmp_path / "mill" / "__init__.py").touch()
    (tmp_path / "mill" / "tasks.py").write_text(TASKS)
    (tmp_path / "gearfleet.toml").write_text('apps = ["mill"]\n[queues.bar]\nprocesses = 3\n')
    assert gearfleet(tmp_path, "render", "-o", "conf.d").returncode == 0
    return tmp_path


def gearfleet(cwd: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    return run([*GEARFLEET, *words], cwd=cwd, env=clean_environment())


def test_diff__of_what_was_just_rendered_is_empty(project: Path) -> None:
    done = gearfleet(project, "diff", "-o", "conf.d")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_diff__shows_lines_and_fails(project: Path) -> None:
    settings = project / "gearfleet.toml"
    settings.write_text(settings.read_text().replace("3", "4"))
    before = sorted((path, path.stat().st_mtime_ns) for path in (project / "conf.d").iterdir())
    done = gearfleet(project, "diff", "-o", "conf.d")
    assert done.returncode == 1
    assert "--- conf.d/mill_tasks.conf\n+++ conf.d/mill_tasks.conf\n" in done.stdout
    assert "-numprocs=3\n+numprocs=4\n" in done.stdout
    assert "\x1b[" not in done.stdout
    assert sorted((p, p.stat().st_mtime_ns) for p in (project / "conf.d").iterdir()) == before


def test_diff__names_files_edited_by_hand(project: Path) -> None:
    path = project / "conf.d" / "mill_tasks.conf"
    path.write_text(path.read_text().replace("numprocs=3", "numprocs=9"))
    (project / "conf.d" / "groups.conf").unlink()
    done = gearfleet(project, "diff", "-o", "conf.d")
    assert "-numprocs=9\n+numprocs=3\n" in done.stdout
    assert "--- /dev/null\n+++ conf.d/groups.conf\n" in done.stdout
    assert done.stderr == ("conf.d/mill_tasks.conf was edited by hand since gearfleet wrote it\n")
    rows = json.loads(gearfleet(project, "diff", "-o", "conf.d", "--json").stdout)
    assert [(Path(row["file"]).name, row["change"], row["edited"]) for row in rows] == [
        ("groups.conf", "added", False),
        ("mill_tasks.conf", "changed", True),
    ]
    assert "+numprocs=3\n" in rows[1]["diff"]


def test_render__refuses_to_lose_an_edit_without_force(project: Path) -> None:
    path = project / "conf.d" / "mill_tasks.conf"
    path.write_text(path.read_text().replace("numprocs=3", "numprocs=9"))
    refused = gearfleet(project, "render", "-o", "conf.d")
    assert refused.returncode == 78
    assert "Edited by hand since gearfleet wrote it: conf.d/mill_tasks.conf" in refused.stderr
    assert "numprocs=9" in path.read_text()
    found = json.loads(gearfleet(project, "check", "-o", "conf.d", "--json").stdout)["findings"]
    assert "GF403" in {each["code"] for each in found}
    assert gearfleet(project, "render", "-o", "conf.d", "--force").returncode == 0
    assert "numprocs=3" in path.read_text()
