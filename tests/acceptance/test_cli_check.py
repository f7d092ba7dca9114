"""What a user sees of ``gearfleet check``: nothing runs, and everything is looked at."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.processes import GEARFLEET, clean_environment, run

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

TASKS = """\
from gearfleet import task

@task(queue="bar", time_limit=30)
def resize(image: str) -> str:
    return image
"""
SETTINGS = 'apps = ["mill"]\n\n[queues.bar]\nprocesses = 3\n'
MAIN = """\
[supervisord]
logfile={folder}/supervisord.log

[include]
files=conf.d/*.conf
"""


class Site:
    """A project and a supervisord.conf beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.conf_d = folder / "conf.d"
        self.main = folder / "supervisord.conf"
        self.settings = folder / "gearfleet.toml"
        self.worker = folder / "mill" / "gearman_workers" / "worker_bar.py"
        self.worker.parent.mkdir(parents=True)
        for package in (folder / "mill", self.worker.parent):
            (package / "__init__.py").touch()
        self.worker.write_text(TASKS)
        self.settings.write_text(SETTINGS)
        self.main.write_text(MAIN.format(folder=folder))
        self.conf_d.mkdir()

    def gearfleet(self, *words: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
        return run([*GEARFLEET, *words], cwd=self.folder, env=clean_environment(**env))

    def render(self) -> None:
        done = self.gearfleet("render", "-o", self.conf_d)
        assert done.returncode == 0, done.stderr

    def everything(self) -> tuple[int, dict[str, dict[str, Any]]]:
        """Return the exit code of a check of all there is, and its findings by code."""
        done = self.gearfleet("check", "--json", "-o", "conf.d", "-c", "supervisord.conf")
        assert done.stderr == ""
        return done.returncode, {
            found["code"]: found for found in json.loads(done.stdout)["findings"]
        }


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_check__of_a_fleet_that_is_right(site: Site) -> None:
    alone = site.gearfleet("check")
    assert (alone.returncode, alone.stdout, alone.stderr) == (0, "Nothing was found.\n", "")
    site.render()
    assert site.everything() == (0, {})


def test_check__shows_code_place_and_fix(site: Site) -> None:
    site.settings.write_text(SETTINGS + "stopwaitsecs = 20\n")
    done = site.gearfleet("check")
    assert done.returncode == 1
    head, message, fix, summary = done.stdout.splitlines()
    assert head == f"GF101 error  {site.settings}:5  (queues.bar.stopwaitsecs)"
    assert message.startswith("  Setting 'queues.bar.stopwaitsecs' is 20, but a worker may need 75")
    assert fix == "  Fix: Lower those or leave stopwaitsecs out"
    assert summary == "1 error"


def test_check__names_the_task_that_runs_too_long(site: Site) -> None:
    site.worker.write_text(TASKS.replace("30", "300"))
    code, found = site.everything()
    assert code == 1
    assert (found["GF102"]["file"], found["GF102"]["line"]) == (str(site.worker), 3)


def test_check__notes_alone_are_no_failure(site: Site) -> None:
    site.worker.write_text(TASKS.replace(", time_limit=30", ""))
    done = site.gearfleet("check")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "1 note")


def test_check__what_lies_in_the_directory(site: Site) -> None:
    code, found = site.everything()
    assert (code, found.keys()) == (1, {"GF222", "GF401"})
    site.render()
    program = site.conf_d / "worker_bar.conf"
    program.write_text(program.read_text().replace("numprocs=3", "numprocs=9"))
    code, found = site.everything()
    assert (code, found.keys()) == (1, {"GF403"})
    edited = found["GF403"]
    assert (edited["file"], edited["line"] > 3) == ("conf.d/worker_bar.conf", True)
    site.gearfleet("render", "--force", "-o", site.conf_d)
    site.settings.write_text(SETTINGS.replace("3", "4"))
    code, found = site.everything()
    assert (code, found.keys()) == (1, {"GF402"})


def test_check__a_directory_that_supervisord_does_not_read(site: Site) -> None:
    site.render()
    site.main.write_text(MAIN.format(folder=site.folder).replace("conf.d/", "other/"))
    code, found = site.everything()
    assert (code, found.keys()) == (1, {"GF222", "GF406"})


def test_check__the_whole_configuration_with_files_of_others(site: Site) -> None:
    site.render()
    (site.conf_d / "other.conf").write_text(
        "[program:x]\ncommand=/no/such/program\nstopwaitsec=5\n"
        "[group:bar]\nprograms=x\n"
        "[ctlplugin:gearfleet]\nsupervisor.ctl_factory=gearfleet:nothing\n"
    )
    code, found = site.everything()
    assert code == 1
    assert found.keys() == {"GF202", "GF206", "GF207", "GF213", "GF301"}
    places = {each["code"]: (each["file"], each["line"]) for each in found.values()}
    other = str(site.conf_d / "other.conf")
    assert places["GF301"] == (other, 2)
    assert places["GF202"] == (other, 3)
    assert places["GF207"] == (other, 4)
    assert places["GF213"] == (other, 6)


def test_check__a_configuration_without_a_project(site: Site, tmp_path: Path) -> None:
    site.settings.unlink()
    (site.conf_d / "other.conf").write_text("[program:x]\ncommand=/bin/true 5%\n")
    done = site.gearfleet("check", "-c", site.main)
    assert done.returncode == 1
    assert f"GF212 error  {site.conf_d}/other.conf:2\n" in done.stdout
    assert site.gearfleet("check").returncode == 2


@pytest.mark.parametrize(
    ("settings", "code", "said"),
    [
        ("[fleet]\nproceses = 1\n", 78, "Unknown setting 'fleet.proceses'"),
        ("[fleet.environment]\nA = 'cut ;here'\n", 78, "fleet.environment.A"),
    ],
)
def test_check__of_broken_settings(site: Site, settings: str, code: int, said: str) -> None:
    site.settings.write_text(f'apps = ["mill"]\n{settings}')
    done = site.gearfleet("check")
    assert (done.returncode, said in done.stderr) == (code, True)


def test_check__of_included_files_that_cannot_be_read(site: Site) -> None:
    (site.conf_d / "folder.conf").mkdir()
    (site.conf_d / "latin.conf").write_bytes(b"[program:x]\ncommand=/bin/true \xe9\n")
    site.render()
    code, found = site.everything()
    assert (code, found.keys()) == (1, {"GF201", "GF223"})
    assert found["GF201"]["file"].endswith("latin.conf")
    assert found["GF223"]["file"].endswith("folder.conf")


def test_check__with_a_template_directory_that_is_not_there(site: Site) -> None:
    done = site.gearfleet("check", "--template-dir", "tmeplates")
    assert (done.returncode, "tmeplates: No such file" in done.stderr) == (78, True)


def test_check__of_a_configuration_that_is_not_there(site: Site) -> None:
    done = site.gearfleet("check", "-c", "nowhere.conf")
    assert done.returncode == 2
    assert "No supervisord configuration at nowhere.conf" in done.stderr


def test_check__has_colours_on_a_terminal_only(site: Site) -> None:
    assert "\x1b" not in site.gearfleet("check", NO_COLOR="").stdout
