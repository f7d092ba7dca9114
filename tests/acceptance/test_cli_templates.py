"""``gearfleet templates``: what there is, what is used, and copies that change nothing yet."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from gearfleet.fleet import render, validate
from gearfleet.fleet.templates import BUILTIN, template_root
from tests.support.fleets import representative
from tests.support.processes import GEARFLEET, clean_environment, run

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path


def templates(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return run([*GEARFLEET, "templates", *words], cwd=cwd, env=clean_environment())


def test_list__says_which_file_is_used(tmp_path: Path) -> None:
    (tmp_path / "gearfleet.toml").write_text('template_dir = "conf"\n')
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "group.conf.j2").write_text("x")
    rows = {row["template"]: row for row in json.loads(templates("--json", cwd=tmp_path).stdout)}
    assert rows.keys() == BUILTIN.keys()
    assert rows["program.conf.j2"]["blocks"] == ["title", "options", "extra"]
    assert rows["program.conf.j2"]["used"] == "built-in"
    assert rows["group.conf.j2"]["used"] == str(tmp_path / "conf" / "group.conf.j2")
    assert "one [program:x]" in templates(cwd=tmp_path).stdout


def test_list__is_complete() -> None:
    assert {each.name for each in template_root().iterdir() if each.name.endswith(".j2")} == {
        *BUILTIN
    }


def test_show__prints_the_built_in_one(tmp_path: Path) -> None:
    done = templates("show", "program", cwd=tmp_path)
    assert done.stdout == (template_root() / "program.conf.j2").read_text()


@pytest.mark.parametrize("words", [[], ["--extend"]])
def test_copy__changes_nothing_yet(tmp_path: Path, words: list[str]) -> None:
    folder = tmp_path / "conf"
    done = templates("copy", *words, "--template-dir", str(folder), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"Wrote {folder / 'program.conf.j2'}\n" in done.stdout
    planned = representative()
    files = render(planned, template_dir=folder)
    assert files == render(planned)
    validate(planned, files)


def test_copy__writes_over_nothing_unless_told(tmp_path: Path) -> None:
    words = ["copy", "group", "--template-dir", str(tmp_path)]
    (tmp_path / "group.conf.j2").write_text("mine")
    done = templates(*words, cwd=tmp_path)
    assert (done.returncode, (tmp_path / "group.conf.j2").read_text()) == (2, "mine")
    assert templates(*words, "--force", cwd=tmp_path).returncode == 0
    assert "[group:" in (tmp_path / "group.conf.j2").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["shwo"], "Did you mean 'show'?"),
        (["show", "progam"], "Did you mean 'program.conf.j2'?"),
        (["show"], "'show' takes the name"),
        (["copy"], "Where to?"),
    ],
)
def test_templates__wrong_words(tmp_path: Path, words: list[str], said: str) -> None:
    done = templates(*words, cwd=tmp_path)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
