"""`gearfleet apply` on a live fleet: what did not change goes on, and no job is lost or cut short."""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.crews import require_debian
from tests.support.processes import GEARFLEET, Process, clean_environment, run
from tests.support.sites import Load, Site
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.job_servers import JobServer


@pytest.fixture(params=["venv", "debian"])
def site(request: pytest.FixtureRequest, tmp_path: Path, gearmand: JobServer) -> Iterator[Site]:
    """A site with two workers that run, on Supervisor 4.3 and on Debian's 4.2.5."""
    python = sys.executable if request.param == "venv" else require_debian()
    with Site(tmp_path, gearmand.address, python=python) as made:
        yield made.reset()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, gearmand: JobServer) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("apply")
    with Site(folder, gearmand.address, python=sys.executable) as made:
        yield made


@pytest.fixture
def ours(shared: Site) -> Site:
    """A site on Supervisor 4.3 with two workers that run, shared."""
    return shared.reset()


def actions(told: dict[str, Any]) -> dict[str, str]:
    return {row["process"]: row["action"] for row in told["processes"]}


def test_apply__under_load_disturbs_no_process_and_no_job(site: Site) -> None:
    with Load(site) as load:
        load.wait_for_more()
        before = site.pids()
        site.settings(5)
        added = {f"worker_bar_0{number}": "add" for number in range(2, 5)}
        assert actions(site.applied()) == added
        five = site.pids()
        assert {name: five[name] for name in before} == before
        site.assert_nothing_to_update()

        site.settings(3)
        site.module("worker_new", "new", "think")
        removed = {f"worker_bar_0{number}": "remove" for number in range(3, 5)}
        assert actions(site.applied()) == {**removed, "worker_new_00": "add"}
        three = site.pids()
        kept = {name: pid for name, pid in five.items() if name not in removed}
        assert three == {**kept, "worker_new_00": three["worker_new_00"]}
        site.assert_nothing_to_update()

        site.settings(3, 'environment = { MOTTO = "new" }')
        (site.folder / site.package / "gearman_workers/worker_new.py").unlink()
        told = site.applied("--max-unavailable", "2")
        assert Counter(step["what"] for step in told["steps"]) == {"replaced": 3, "removed": 1}
        assert not set(site.pids().values()) & set(three.values())
        site.assert_stock_update_does_nothing()
        assert "3 stay as they are" in site.apply().stdout


def test_apply__dry_run_names_processes_and_their_jobs_and_touches_nothing(ours: Site) -> None:
    before, files = ours.pids(), sorted(ours.daemon.conf_d.iterdir())
    ours.submit(1, seconds=60)
    wait_for(lambda: ours.lines() == ["begin 1"], "the job to begin")
    ours.settings(3, "umask = '027'")
    done = ours.apply("--dry-run")
    assert done.returncode == 0, done.stderr
    assert f"changed  {ours.daemon.conf_d / 'worker_bar.conf'}" in done.stdout
    assert "bar:worker_bar_02: will be started\n" in done.stdout
    assert f"will be replaced; now: {ours.package}.worker_bar.grind H:" in done.stdout
    assert "1 to add, 2 to replace, 0 stay as they are" in done.stdout
    assert (ours.pids(), sorted(ours.daemon.conf_d.iterdir())) == (before, files)
    rows = json.loads(ours.apply("--dry-run", "--json").stdout)["processes"]
    (job,) = [job for row in rows for job in row["jobs"]]
    assert job["task"] == f"{ours.package}.worker_bar.grind"
    ours.enough()
    wait_for(lambda: ours.lines() == ["begin 1", "end 1"], "the job to end")


def test_apply__that_is_killed_is_finished_by_supervisord(ours: Site) -> None:
    for number in range(2):
        ours.submit(number, seconds=60)
    wait_for(lambda: len(ours.lines()) == 2, "both workers to be busy")
    before = ours.pids()
    ours.settings(2, "umask = '027'")
    client = Process(ours.words("--max-unavailable=2"), log=ours.folder / "log", cwd=ours.folder)
    wait_for(
        lambda: "STOPPING" in {row["statename"] for row in ours.daemon.processes().values()},
        "one of them to drain",
    )
    client.kill()
    ours.enough()
    wait_for(lambda: not set(ours.pids().values()) & {0, *before.values()}, "new processes")
    ours.daemon.wait_until_running()
    assert Counter(ours.lines()) == {f"{w} {n}": 1 for n in range(2) for w in ("begin", "end")}
    told = ours.applied()
    assert (told["processes"], told["kept"]) == ([], 2)
    ours.assert_nothing_to_update()


def test_apply__brings_supervisord_to_files_that_were_only_rendered(ours: Site) -> None:
    """As after a crash between the two: the group that is gone is remembered."""
    ours.module("worker_new", "new", "think")
    ours.applied()
    (ours.folder / ours.package / "gearman_workers/worker_new.py").unlink()
    render = [*GEARFLEET, "render", "-o", ours.daemon.conf_d]
    assert run(render, cwd=ours.folder, env=clean_environment()).returncode == 0
    assert actions(ours.applied()) == {"worker_new_00": "remove"}
    ours.assert_nothing_to_update()


def test_apply__a_configuration_that_supervisord_would_refuse_is_not_put_in_place(
    ours: Site,
) -> None:
    before = {path: path.read_text() for path in ours.daemon.conf_d.iterdir()}
    other = ours.daemon.conf_d / "other.conf"
    other.write_text("[program:other]\ncommand=x\nstartsecs=soon\n")
    ours.settings(5)
    refused = ours.apply()
    assert refused.returncode == 1
    assert "'soon' in section 'program:other'" in refused.stderr
    other.write_text("[program:worker_bar]\ncommand=x\n")
    refused = ours.apply()
    assert refused.returncode == 78
    assert "[program:worker_bar] stands in" in refused.stderr
    assert "other.conf:1" in refused.stderr
    other.unlink()
    assert {path: path.read_text() for path in ours.daemon.conf_d.iterdir()} == before


def test_apply__to_a_directory_that_is_not_included(ours: Site) -> None:
    words = ["apply", "-o", ours.folder / "elsewhere", "-c", ours.daemon.config]
    refused = run([*GEARFLEET, *words], cwd=ours.folder, env=clean_environment())
    assert refused.returncode == 78
    assert "does not include" in refused.stderr
    assert not list((ours.folder / "elsewhere").iterdir())


def test_apply__a_new_release_that_does_not_start_halts_and_the_next_one_mends_it(
    ours: Site,
) -> None:
    before = ours.pids()
    ours.settings(2, 'executable = ["/bin/false"]')
    done = ours.apply()
    assert done.returncode == 1
    assert "bar: halted: bar:worker_bar_00: Exited too quickly" in done.stderr
    assert "not replaced: worker_bar_01" in done.stderr
    assert ours.pids()["worker_bar_01"] == before["worker_bar_01"]
    ours.settings(2)
    assert actions(ours.applied()) == {"worker_bar_00": "replace"}
    ours.daemon.wait_until_running()
    assert ours.pids()["worker_bar_01"] == before["worker_bar_01"]
    ours.assert_nothing_to_update()


def test_apply__without_the_extension_names_who_would_be_restarted(
    tmp_path: Path, gearmand: JobServer
) -> None:
    with Site(tmp_path, gearmand.address, python=sys.executable, extension=False) as site:
        site.settings()
        done = site.apply()
        assert done.returncode == 0, done.stderr  # nobody runs who could be disturbed
        assert "gearfleet supervisor-conf" in done.stderr
        site.daemon.wait_until_running("bar")
        before, files = site.pids(), sorted(site.daemon.conf_d.iterdir())
        site.settings(3)
        refused = site.apply()
        assert refused.returncode == 1
        assert "nothing was changed" in refused.stderr
        assert "bar:worker_bar_00, bar:worker_bar_01" in refused.stderr
        assert (site.pids(), sorted(site.daemon.conf_d.iterdir())) == (before, files)
        assert site.apply("--yes").returncode == 0
        assert len(site.pids()) == 3
        assert not set(site.pids().values()) & set(before.values())
        site.assert_nothing_to_update()


def test_apply__files_that_only_supervisord_itself_refuses_are_taken_back(
    tmp_path: Path, gearmand: JobServer
) -> None:
    """Without the extension it is asked only when they are there: its environment may differ."""
    with Site(tmp_path, gearmand.address, python=sys.executable, extension=False) as site:
        site.settings()
        assert site.apply().returncode == 0
        other = site.daemon.conf_d / "other.conf"
        other.write_text("[program:other]\ncommand=%(ENV_ONLY_HERE)s\n")
        before = {path: path.read_text() for path in site.daemon.conf_d.iterdir()}
        site.module("worker_new", "new", "think")
        refused = site.apply("--yes", ONLY_HERE="/bin/cat")
        assert refused.returncode == 1
        assert "the files are as they were before" in refused.stderr
        assert {path: path.read_text() for path in site.daemon.conf_d.iterdir()} == before


def test_apply__without_a_supervisord_changes_nothing(tmp_path: Path, gearmand: JobServer) -> None:
    site = Site(tmp_path, gearmand.address, python=sys.executable)
    site.settings()
    done = site.apply()
    assert done.returncode == 4
    assert "No supervisord answers" in done.stderr
    assert (
        f"Nothing was changed. To write the files without it: gearfleet render -o {site.daemon.conf_d}"
        in done.stderr
    )
    assert not list(site.daemon.conf_d.iterdir())
    site.daemon.close()
