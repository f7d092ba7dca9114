"""Another package brings an exporter: the one of the how-to page."""

from __future__ import annotations

import tomllib
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

from tests.support import pages
from tests.support.processes import GEARFLEET, ROOT, clean_environment, run

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

PAGE = ROOT / "docs" / "how-to" / "exporters.md"
TASKS = 'from gearfleet import task\n\n@task(queue="bar")\ndef resize(image):\n    pass\n'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project, and beside it an installed package with the exporter of the page."""
    (tmp_path / "mill").mkdir()
    (tmp_path / "mill" / "__init__.py").touch()
    (tmp_path / "mill" / "tasks.py").write_text(TASKS)
    (tmp_path / "gearfleet.toml").write_text('apps = ["mill"]\n')
    installed = tmp_path / "installed"
    about = installed / "shop_procfile-1.dist-info"
    about.mkdir(parents=True)
    (code,) = pages.blocks(PAGE, "python")
    (entry,) = pages.blocks(PAGE, "toml")
    ((name, value),) = tomllib.loads(entry.text)["project"]["entry-points"][
        "gearfleet.exporters"
    ].items()
    (installed / "shop_procfile.py").write_text(code.text)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: shop-procfile\nVersion: 1\n")
    (about / "entry_points.txt").write_text(
        f"[gearfleet.exporters]\n{name} = {value}\nlost = shop_nowhere:exporter\n"
    )
    return tmp_path


def render(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    path = f"{ROOT}:{project / 'installed'}"
    env = clean_environment(PYTHONPATH=path)
    return run([*GEARFLEET, "render", *words], cwd=project, env=env)


def test_exporter__of_another_package_prints(project: Path) -> None:
    done = render(project, "--exporter", "procfile")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("mill_tasks: ")
    assert done.stdout.endswith(" worker -a mill -n tasks -q bar\n")


def test_exporter__of_another_package_writes_and_replaces_nothing_unasked(project: Path) -> None:
    done = render(project, "--exporter", "procfile", "-o", "out")
    assert (done.returncode, done.stdout) == (0, "added    out/Procfile\n")
    procfile = project / "out" / "Procfile"
    text = procfile.read_text()
    assert "No changes" in render(project, "--exporter", "procfile", "-o", "out").stdout
    procfile.write_text("mine\n")
    refused = render(project, "--exporter", "procfile", "-o", "out")
    assert (refused.returncode, procfile.read_text()) == (78, "mine\n")
    assert "--force replaces it" in refused.stderr
    done = render(project, "--exporter", "procfile", "-o", "out", "--force")
    assert (done.returncode, procfile.read_text()) == (0, text)


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("procfle", 2, "Unknown exporter 'procfle' (known: lost, procfile, supervisord). Did you"),
        ("lost", 78, "Exporter 'lost' (shop_nowhere:exporter) fails: ModuleNotFoundError"),
    ],
)
def test_exporter__that_is_not_there(project: Path, name: str, code: int, said: str) -> None:
    done = render(project, "--exporter", name)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr


def test_exporter__that_ships_is_an_entry_point_too() -> None:
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())
    shipped = data["project"]["entry-points"]["gearfleet.exporters"]
    module, _, name = shipped["supervisord"].partition(":")
    exporter = getattr(import_module(module), name)
    assert callable(exporter.files)
    assert callable(exporter.document)
