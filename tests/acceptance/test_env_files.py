"""Secrets in files: a supervised program gets them, and the rendered configuration does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.processes import GEARFLEET, clean_environment, run
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.supervisord import Supervisord

TASKS = """\
import os, pathlib
from gearfleet import hooks, task

@task(queue="bar")
def saw():
    pass

@hooks.on_start
def note():
    pathlib.Path("worker.note").write_text(os.environ["SECRET"])
"""


def test_env_files__reach_workers_and_other_programs(
    tmp_path: Path, supervisord: Supervisord
) -> None:
    (tmp_path / "mill").mkdir()
    (tmp_path / "mill" / "__init__.py").touch()
    (tmp_path / "mill" / "tasks.py").write_text(TASKS)
    (tmp_path / ".env").write_text("SECRET='hunter 2'\n")
    (tmp_path / "gearfleet.toml").write_text(
        'apps = ["mill"]\n[fleet]\nenv_files = [".env"]\n'
        "[programs.note]\n"
        """command = ["/bin/sh", "-c", 'printf "$SECRET" > note; exec sleep 600']\n"""
    )
    done = run([*GEARFLEET, "render"], cwd=tmp_path, env=clean_environment())
    assert done.returncode == 0, done.stderr
    assert "hunter" not in done.stdout
    (supervisord.conf_d / "gearfleet.conf").write_text(done.stdout)
    supervisord.start()
    for note in ("note", "worker.note"):
        path = tmp_path / note
        wait_for(lambda path=path: path.exists() and path.read_text() == "hunter 2", note)


def test_env_files__a_missing_one_is_a_sentence(tmp_path: Path) -> None:
    missing = clean_environment(GEARFLEET_ENV_FILES=str(tmp_path / "x.env"))
    done = run([*GEARFLEET, "exec", "--", "true"], cwd=tmp_path, env=missing)
    assert done.returncode == 78
    assert done.stderr.startswith("gearfleet: error: Cannot read ")


def test_exec__without_a_command_or_with_one_that_is_missing(tmp_path: Path) -> None:
    for words, said in ((["--"], "No command to run"), (["/no/such"], "Cannot run '/no/such'")):
        done = run([*GEARFLEET, "exec", *words], cwd=tmp_path, env=clean_environment())
        assert (done.returncode, said in done.stderr) == (2, True)
