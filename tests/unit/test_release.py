"""The release is the commit of the project's work tree, read without git."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from gearfleet.config import load, release_of
from gearfleet.config.release import commit_of

if TYPE_CHECKING:
    from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SHOWN = "0123456789ab"


def repository(folder: Path, head: str, **files: str) -> Path:
    git = folder / ".git"
    git.mkdir(parents=True)
    (git / "HEAD").write_text(f"{head}\n")
    for name, text in files.items():
        path = git / name.replace("__", "/").replace("_", "-")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_commit__of_a_branch(tmp_path: Path) -> None:
    made = repository(tmp_path, "ref: refs/heads/main", refs__heads__main=f"{COMMIT}\n")
    assert commit_of(made) == SHOWN


def test_commit__of_a_folder_in_the_work_tree(tmp_path: Path) -> None:
    folder = repository(tmp_path, COMMIT) / "a" / "b"
    folder.mkdir(parents=True)
    assert commit_of(folder) == SHOWN


def test_commit__of_a_packed_branch(tmp_path: Path) -> None:
    packed = f"# pack-refs with: peeled\n{'f' * 40} refs/heads/mainly\n{COMMIT} refs/heads/main\n"
    assert commit_of(repository(tmp_path, "ref: refs/heads/main", packed_refs=packed)) == SHOWN


def test_commit__of_an_added_work_tree(tmp_path: Path) -> None:
    main = repository(tmp_path / "main", "ref: refs/heads/main", refs__heads__new=COMMIT)
    own = main / ".git" / "worktrees" / "new"
    own.mkdir(parents=True)
    (own / "HEAD").write_text("ref: refs/heads/new\n")
    (own / "commondir").write_text("../..\n")
    added = tmp_path / "new"
    added.mkdir()
    (added / ".git").write_text(f"gitdir: {own}\n")
    assert commit_of(added) == SHOWN


@pytest.mark.parametrize(
    "head", ["ref: refs/heads/unborn", "ref: ../../../etc/passwd", "", "x" * 40]
)
def test_commit__that_cannot_be_told_is_empty(tmp_path: Path, head: str) -> None:
    assert commit_of(repository(tmp_path, head)) == ""


def test_commit__as_git_says(tmp_path: Path) -> None:
    git = shutil.which("git")
    if git is None:
        pytest.skip("needs git")

    def run(*words: str) -> str:
        identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
        command = [git, *identity, *words]
        return subprocess.run(
            command, cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout.strip()

    run("init", "-q")
    run("commit", "-q", "--allow-empty", "-m", "first")
    assert commit_of(tmp_path) == run("rev-parse", "HEAD")[:12]
    run("pack-refs", "--all")
    assert commit_of(tmp_path) == run("rev-parse", "HEAD")[:12]


def test_release__of_the_environment_then_the_settings_then_git(tmp_path: Path) -> None:
    repository(tmp_path, COMMIT)
    assert release_of(load(directory=tmp_path, environ={})) == SHOWN
    (tmp_path / "gearfleet.toml").write_text("release = 'v7'")
    assert release_of(load(directory=tmp_path, environ={})) == "v7"
    named = load(directory=tmp_path, environ={"GEARFLEET_RELEASE": "v8"})
    assert release_of(named) == "v8"
    assert named.rendered_environment == {}, "the next deploy renders nothing, and is another one"
