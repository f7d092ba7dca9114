"""SIGHUP: a pool gets new code under the same pid, without losing or interrupting a job."""

from __future__ import annotations

import os
import shutil
import signal
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.support.pools import PoolProject, kill
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.job_servers import JobServer

NEW = ('VERSION = "one"', 'VERSION = "two"')
BROKEN = ('VERSION = "one"', "import no_such_module")
GATED = """VERSION = "two"

@hooks.on_start
def wait_at_the_gate():
    note("at the gate")
    while not (FOLDER / "open").exists():
        time.sleep(0.01)
"""


@pytest.fixture
def project(tmp_path: Path, job_server: JobServer) -> Iterator[PoolProject]:
    made = PoolProject(tmp_path, job_server)
    yield made
    made.close()


def wait_until_settled(project: PoolProject, size: int, times: int) -> None:
    """Wait until the newest pool is whole for so many times, and no replaced worker takes a job."""
    pool = project.pools[-1]

    def is_settled() -> bool:
        return pool.output().count(f"All {size} workers serve") == times

    try:
        wait_for(is_settled, f"the pool to be whole for the {times}. time")
        project.wait_for_workers(size)
    except AssertionError as error:
        raise AssertionError(f"{error}:\n{pool.output()}") from error


def test_new_code__replaces_every_worker_and_no_job_is_lost(project: PoolProject) -> None:
    pool = project.start_pool(4)
    before = project.registered
    results = [project.submit("version") for _ in range(200)]
    project.hold(1)
    project.rewrite(*NEW)
    pool.signal(signal.SIGHUP)
    wait_for(lambda: "Imported the code" in pool.output().partition("again")[2], "new code")
    results += [project.submit("version") for _ in range(200)]
    project.allow("go")
    wait_until_settled(project, 4, 2)
    assert {result.result() for result in results} <= {"one", "two"}
    assert project.submit("version").result() == "two"
    assert project.wait_for_workers(4).isdisjoint(before)
    assert "Interrupting" not in pool.output()
    assert pool.output().count("0 failed, 0 given back") == 4
    pool.signal(signal.SIGTERM)
    assert pool.wait() == 0
    assert not project.living


def test_old_worker__ends_only_when_the_new_one_serves(project: PoolProject) -> None:
    pool = project.start_pool(2)
    old = project.registered
    held = project.hold(2)
    pool.signal(signal.SIGHUP)
    wait_for(lambda: len(project.registered - old) == 1, "a worker beside the busy ones")
    assert held == old
    assert project.submit("echo", 1).result() == [1], "the new one serves meanwhile"
    project.allow("go")
    wait_until_settled(project, 2, 2)
    assert len(project.noted("let go")) == 2


def test_old_worker__that_dies_as_the_new_one_begins_to_serve(project: PoolProject) -> None:
    """The parent, which was stopped meanwhile, hears of both at once."""
    pool = project.start_pool(1)
    (old,) = project.registered
    project.rewrite(NEW[0], GATED)
    pool.signal(signal.SIGHUP)
    project.wait_for_note("at the gate")
    pool.pause()
    kill(old, signal.SIGKILL)
    wait_for(lambda: old not in project.living, "the end of the old one")
    project.allow("open")
    assert project.submit("version").result(30) == "two"
    pool.go_on()
    wait_until_settled(project, 1, 2)
    pool.signal(signal.SIGTERM)
    assert pool.wait() == 0
    assert not project.living


def test_broken_code__leaves_the_old_workers(project: PoolProject) -> None:
    pool = project.start_pool(2)
    workers = project.registered
    project.rewrite(*BROKEN)
    pool.signal(signal.SIGHUP)
    pool.wait_for_output("The new code cannot be imported (exit code 3): the pool goes on")
    assert "No module named 'no_such_module'" in pool.output()
    assert project.registered == workers
    kill(min(workers), signal.SIGKILL)
    wait_for(lambda: project.registered - workers, "a worker of the old code")
    wait_until_settled(project, 2, 2)
    project.rewrite(*reversed(BROKEN))
    pool.signal(signal.SIGHUP)
    wait_until_settled(project, 2, 3)
    pool.signal(signal.SIGTERM)
    assert pool.wait() == 0
    assert not project.living


def test_broken_code_at_the_start__ends_the_pool(project: PoolProject) -> None:
    project.rewrite(*BROKEN)
    pool = project.start("--processes", "2")
    assert pool.wait() == 3
    assert "No module named 'no_such_module'" in pool.output()
    assert not project.living


def test_new_release__is_where_the_link_leads_now(tmp_path: Path, gearmand: JobServer) -> None:
    first, second, current = (tmp_path / name for name in ("first", "second", "current"))
    first.mkdir()
    with closing(PoolProject(first, gearmand)) as project:
        current.symlink_to(first)
        pool = project.start("--processes", "1", GEARFLEET_DIRECTORY=str(current))
        pool.wait_for_output("All 1 workers serve")
        shutil.copytree(first / project.package, second / project.package)
        shutil.copy(first / "gearfleet.toml", second)
        module = second / project.package / "gearman_workers/worker_foo.py"
        module.write_text(module.read_text().replace(*NEW))
        current.unlink()
        current.symlink_to(second)
        pool.signal(signal.SIGHUP)
        wait_until_settled(project, 1, 2)
        assert project.submit("version").result() == "two"


def test_new_release__that_is_not_there_leaves_the_old_workers(project: PoolProject) -> None:
    current = project.folder / "current"
    current.symlink_to(project.folder)
    pool = project.start_pool(1, GEARFLEET_DIRECTORY=str(current))
    workers = project.registered
    project.rewrite(*NEW)
    current.unlink()
    pool.signal(signal.SIGHUP)
    pool.wait_for_output("The new code cannot be imported (it cannot be started: [Errno 2] No such")
    assert project.registered == workers
    current.symlink_to(project.folder)
    pool.signal(signal.SIGHUP)
    wait_until_settled(project, 1, 2)
    assert project.submit("version").result(30) == "two"


def test_second_hangup__brings_the_newest_code(project: PoolProject) -> None:
    pool = project.start_pool(2)
    project.rewrite(NEW[0], f"{NEW[1]}\nwhile not (FOLDER / 'import').exists(): time.sleep(0.01)")
    pool.signal(signal.SIGHUP)
    wait_for(lambda: len(project.living) == 5, "a nursery that imports")
    project.rewrite(NEW[1], 'VERSION = "three"')
    pool.signal(signal.SIGHUP)
    wait_for(lambda: pool.output().count("Importing the code again") == 2, "the second one")
    (project.folder / "import").touch()
    wait_until_settled(project, 2, 2)
    assert project.submit("version").result() == "three"
    wait_for(lambda: len(project.living) == 4, "one nursery to be left")


def test_second_hangup__while_old_workers_drain(project: PoolProject) -> None:
    pool = project.start_pool(2)
    held = project.hold(2)
    pool.signal(signal.SIGHUP)
    wait_for(lambda: project.registered - held, "the first new worker")
    project.rewrite(*NEW)
    pool.signal(signal.SIGHUP)
    project.allow("go")
    wait_for(lambda: project.living.isdisjoint(held), "the old ones to end")
    wait_until_settled(project, 2, 2)
    assert project.submit("version").result() == "two"
    assert pool.output().count("Imported the code") == 3
    assert "Interrupting" not in pool.output()


def test_hangup__before_the_pool_is_up(project: PoolProject) -> None:
    project.rewrite(NEW[0], f"{NEW[0]}\nwhile not (FOLDER / 'import').exists(): time.sleep(0.01)")
    pool = project.start("--processes", "2")
    pool.wait_for_output("Pool of 2 workers")
    pool.signal(signal.SIGHUP)
    pool.wait_for_output("Importing the code again")
    (project.folder / "import").touch()
    wait_until_settled(project, 2, 1)
    assert pool.output().count("Imported the code") == 1


@pytest.mark.parametrize("moment", ["importing", "replacing"])
def test_stop__while_new_code_comes(project: PoolProject, moment: str) -> None:
    pool = project.start_pool(2)
    held = project.hold(2)
    if moment == "importing":
        project.rewrite(NEW[0], "print('import', 'ing')\ntime.sleep(60)")
    pool.signal(signal.SIGHUP)
    if moment == "importing":
        pool.wait_for_output("import ing")
    else:
        wait_for(lambda: project.registered - held, "a new worker")
        wait_for(lambda: "Draining: 1 job in hand" in pool.output(), "an old one to drain")
    pool.signal(signal.SIGTERM)
    wait_for(lambda: pool.output().count("Draining: 1 job in hand") == 2, "both to drain")
    project.allow("go")
    assert pool.wait() == 0
    assert "Interrupting" not in pool.output()
    assert pool.output().count("1 jobs completed, 0 failed, 0 given back") == 2
    assert not project.living


def test_hangup__changes_nothing_while_the_pool_drains(project: PoolProject) -> None:
    pool = project.start_pool(1)
    project.hold(1)
    pool.signal(signal.SIGTERM)
    pool.wait_for_output("Draining: 1 job in hand")
    pool.signal(signal.SIGHUP)
    pool.wait_for_output("SIGHUP changes nothing: the pool is stopping")
    project.allow("go")
    assert pool.wait() == 0
    assert pool.output().count("1 jobs completed, 0 failed, 0 given back") == 1


def test_new_code__that_no_worker_can_start_with_leaves_the_old_ones(
    project: PoolProject,
) -> None:
    pool = project.start_pool(2)
    workers = project.registered
    project.rewrite(NEW[0], f"{NEW[0]}\nhooks.on_start(lambda: os._exit(5))")
    pool.signal(signal.SIGHUP)
    pool.wait_for_output("exit code 5; another one starts in 1 s")
    assert workers <= project.registered
    project.rewrite("os._exit(5)", "None")
    pool.signal(signal.SIGHUP)
    wait_until_settled(project, 2, 2)
    wait_for(lambda: project.living.isdisjoint(workers), "the old ones to end")
    os.kill(pool.pid, signal.SIGTERM)
    assert pool.wait() == 0
    assert not project.living
