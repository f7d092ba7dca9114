"""``gearfleet init``: a first settings file that is right as it stands, and with its examples."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.support.processes import GEARFLEET, ROOT, clean_environment, run

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

TASKS = 'from gearfleet import task\n@task(queue="{queue}")\ndef {name}(): pass\n'


def gearfleet(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return run([*GEARFLEET, *words], cwd=cwd, env=clean_environment(PYTHONPATH=str(ROOT)))


def write(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    (path.parent / "__init__.py").touch()
    path.write_text(text)


def with_examples(text: str) -> str:
    """Return the text with its examples in force: the lines that begin with '#' and no space."""
    return re.sub(r"^(\s*)#(?=\S)", r"\1", text, flags=re.MULTILINE)


@pytest.mark.parametrize("base", ["", "src"])
def test_init__of_a_plain_project(tmp_path: Path, base: str) -> None:
    write(
        tmp_path / base / "mill" / "gearman_workers" / "saw.py", TASKS.format(queue="bar", name="a")
    )
    write(tmp_path / base / "mill" / "__init__.py")
    write(tmp_path / base / "deep" / "kiln" / "tasks.py", TASKS.format(queue="foo", name="b"))
    write(tmp_path / base / "deep" / "__init__.py")
    write(tmp_path / base / "other" / "tasks.py", "1 / 0  # of another tool")
    done = gearfleet("init", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    path = tmp_path / "gearfleet.toml"
    assert done.stdout == f"Wrote {path}; try: gearfleet plan\n"
    assert 'apps = ["deep.kiln", "mill"]' in path.read_text()
    assert "Queues here: bar, foo." in path.read_text()

    rendered = gearfleet("render", cwd=tmp_path)
    assert rendered.returncode == 0, rendered.stderr
    assert "[program:saw]" in rendered.stdout

    path.write_text(with_examples(path.read_text()))
    planned = gearfleet("plan", "--host", "web1", "--json", cwd=tmp_path)
    assert planned.returncode == 0, planned.stderr
    assert {each["name"] for each in json.loads(planned.stdout)["groups"]} == {
        "bar",
        "exporter",
        "foo",
    }


def test_init__leaves_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "gearfleet.toml").write_text("retries = 1\n")
    done = gearfleet("init", cwd=tmp_path)
    assert (done.returncode, (tmp_path / "gearfleet.toml").read_text()) == (2, "retries = 1\n")
    assert "exists, and is left as it is" in done.stderr
    (tmp_path / "gearfleet.toml").rename(tmp_path / "x")
    (tmp_path / "pyproject.toml").write_text("[tool.gearfleet]\n")
    assert "pyproject.toml has settings already" in gearfleet("init", cwd=tmp_path).stderr


def test_init__where_nothing_is(tmp_path: Path) -> None:
    done = gearfleet("init", cwd=tmp_path)
    assert done.returncode == 2
    assert "No package here has a worker module" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_init__of_a_django_project_prints_its_setting(tmp_path: Path) -> None:
    write(tmp_path / "mill" / "tasks.py", TASKS.format(queue="bar", name="a"))
    settings = tmp_path / "site_settings.py"
    settings.write_text("SECRET_KEY = 'a-secret-of-the-site-x'\nINSTALLED_APPS = ['mill']\n")
    (tmp_path / "manage.py").write_text(
        "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'site_settings')\n"
    )
    done = gearfleet("init", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "gearfleet.toml").exists()
    before = settings.read_text()
    for text in (done.stdout, with_examples(done.stdout)):
        settings.write_text(before + text)
        rendered = gearfleet("render", "--settings", "site_settings", cwd=tmp_path)
        assert rendered.returncode == 0, rendered.stderr
