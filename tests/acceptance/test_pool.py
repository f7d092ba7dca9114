"""A pool: what becomes of its workers and their jobs when it is told something, or killed."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.pools import PoolProject, kill
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.job_servers import JobServer


@pytest.fixture
def project(tmp_path: Path, job_server: JobServer) -> Iterator[PoolProject]:
    made = PoolProject(tmp_path, job_server)
    yield made
    made.close()


def test_pool__runs_jobs_in_processes_of_their_own(project: PoolProject) -> None:
    pool = project.start_pool(3)
    workers = project.wait_for_workers(3)
    assert pool.pid not in workers
    assert project.hold(3) == workers
    project.allow("go")
    pool.signal(signal.SIGTERM)
    assert pool.wait() == 0
    assert not project.living
    assert "Pool stopped (SIGTERM): every worker has ended, 0 of them by SIGKILL" in pool.output()


def test_short_option__is_that_of_django_gearman(project: PoolProject) -> None:
    project.start("-w", "2").wait_for_output("All 2 workers serve")
    assert len(project.registered) == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal__lets_the_jobs_in_hand_finish(project: PoolProject, number: signal.Signals) -> None:
    pool = project.start_pool(3)
    result = project.submit("wait_for", "go")
    project.wait_for_note("begin go")
    pool.signal(number)
    pool.wait_for_output("Draining: 3 workers finish their jobs, up to 60 s.")
    pool.wait_for_output("Draining: 1 job in hand")
    project.allow("go")
    assert result.result() == "go"
    assert pool.wait() == 0
    assert project.diary.count(f"goodbye {signal.SIGTERM.name}") == 3
    assert not project.living


def test_second_signal__interrupts_the_jobs_which_run_elsewhere(project: PoolProject) -> None:
    pool = project.start_pool(2)
    held = project.hold(2)
    pool.signal(signal.SIGTERM)
    pool.wait_for_output("Draining: 2 workers")
    pool.signal(signal.SIGTERM)
    assert pool.wait() == 0
    assert set(project.noted("let go")) == held
    assert pool.output().count("1 given back") == 2
    assert not project.living
    project.start_pool(1)
    wait_for(lambda: len(project.noted("hold")) == 3, "a job to run again")


def test_second_signal__to_a_worker_that_has_not_taken_the_first(project: PoolProject) -> None:
    """Of two signals alike, the kernel keeps one while it is pending."""
    pool = project.start_pool(1)
    (pid,) = project.hold(1)
    os.kill(pid, signal.SIGSTOP)
    pool.signal(signal.SIGTERM)
    pool.wait_for_output("Draining: 1 worker")
    pool.signal(signal.SIGTERM)
    pool.wait_for_output("Interrupting the jobs in hand")
    os.kill(pid, signal.SIGCONT)
    assert pool.wait() == 0
    assert project.noted("let go") == [pid]
    assert "1 given back" in pool.output()


def test_drain_timeout__interrupts_the_jobs(project: PoolProject) -> None:
    pool = project.start_pool(2, "--drain-timeout", "0.2")
    held = project.hold(2)
    pool.signal(signal.SIGTERM)
    assert pool.wait() == 0
    assert set(project.noted("let go")) == held
    assert pool.output().count("1 given back") == 2
    assert not project.living


def test_worker__that_does_not_end_is_killed_by_the_parent(project: PoolProject) -> None:
    limits = ("--drain-timeout", "0", "--interrupt-grace", "0", "--hook-timeout", "0")
    pool = project.start_pool(2, *limits)
    stuck = min(project.registered)
    os.kill(stuck, signal.SIGSTOP)
    pool.signal(signal.SIGTERM)
    assert pool.wait() == 0
    assert f"Process {stuck} has not ended in its time: SIGKILL" in pool.output()
    assert "1 of them by SIGKILL" in pool.output()
    assert not project.living


def test_killed_worker__is_replaced_and_its_job_runs_elsewhere(project: PoolProject) -> None:
    pool = project.start_pool(2)
    before = project.registered
    (held,) = project.hold(1)
    kill(held, signal.SIGKILL)
    wait_for(lambda: len(project.noted("hold")) == 2, "the job to run elsewhere")
    wait_for(lambda: held not in project.registered, "the dead to be gone")
    after = project.wait_for_workers(2)
    assert len(before & after) == 1
    assert f"Worker {held} of slot" in pool.output()
    assert "SIGKILL (perhaps it was out of memory); another one starts" in pool.output()


def test_killed_parent__has_its_workers_drain(project: PoolProject) -> None:
    pool = project.start_pool(3)
    (held,) = project.hold(1)
    pool.signal(signal.SIGKILL)
    wait_for(lambda: project.living == {held}, "the idle ones and the nursery to end")
    project.allow("go")
    project.wait_until_all_gone()
    assert pool.output().count("The parent of the pool is gone: this worker stops") == 3
    assert "1 jobs completed, 0 failed, 0 given back" in pool.output()


def test_killed_parent__does_not_hurry_workers_that_drain(project: PoolProject) -> None:
    pool = project.start_pool(2)
    (held,) = project.hold(1)
    pool.signal(signal.SIGTERM)
    pool.wait_for_output("Draining: 1 job in hand")
    pool.signal(signal.SIGKILL)
    wait_for(lambda: project.living == {held}, "the idle one to end")
    project.allow("go")
    project.wait_until_all_gone()
    assert "1 jobs completed, 0 failed, 0 given back" in pool.output()


def test_strangers__that_tasks_leave_behind_are_reaped(project: PoolProject) -> None:
    """They become the parent's children, as everybody's do where it is PID 1 of a container."""
    project.start_pool(1)
    pids = [project.submit("leave_behind").result() for _ in range(3)]
    # A process that has ended is there until its parent has taken note.
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), "nobody left")


def test_killed_nursery__is_replaced_and_the_workers_go_on(project: PoolProject) -> None:
    pool = project.start_pool(2)
    workers = project.registered
    nursery = project.nursery(pool)
    (held,) = project.hold(1)
    kill(nursery, signal.SIGKILL)
    pool.wait_for_output("The nursery is gone (SIGKILL")
    wait_for(lambda: pool.output().count("Imported the code") == 2, "another nursery")
    assert project.registered == workers
    kill(held, signal.SIGKILL)  # the new nursery forks, the parent has heard of the death
    wait_for(lambda: len(project.registered - workers) == 1, "a worker of the new nursery")
    project.allow("go")
    pool.signal(signal.SIGTERM)
    assert pool.wait() == 0
    assert not project.living


@pytest.mark.parametrize("moment", ["Pool of 2 workers", "half imported"])
def test_parent_killed_before_the_pool_is_up__leaves_nothing(
    project: PoolProject, moment: str
) -> None:
    project.rewrite("import asyncio", "print('half imported')\nimport time; time.sleep(60)")
    pool = project.start("--processes", "2")
    pool.wait_for_output(moment)
    pool.signal(signal.SIGKILL)
    project.wait_until_all_gone()


def test_connections_of_the_import__are_closed_before_the_fork(
    tmp_path: Path, gearmand: JobServer
) -> None:
    (tmp_path / "site_settings.py").write_text(
        "SECRET_KEY = 'a secret of sixteen characters'\n"
        "DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': 'site.db'}}\n"
    )
    more = (
        "from django.db import connection\n"
        "connection.ensure_connection()\n"
        "THEIRS = connection.connection\n"
        "@task(queue='foo')\n"
        "def is_shared():\n"
        "    closed = connection.connection is None\n"
        "    connection.ensure_connection()\n"
        "    return not closed or connection.connection is THEIRS\n"
    )
    with closing(PoolProject(tmp_path, gearmand, more=more)) as project:
        with (tmp_path / "site_settings.py").open("a") as settings:
            settings.write(
                f"GEARFLEET = {{'apps': ['{project.package}'], 'servers': ['{gearmand.address}'],"
                " 'signing_keys': []}\n"
            )
        pool = project.start_pool(2, "--settings", "site_settings")
        assert [project.submit("is_shared").result() for _ in range(4)] == [False] * 4
        pool.signal(signal.SIGTERM)
        assert pool.wait() == 0


THREAD = "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"


@pytest.mark.parametrize(("more", "imports"), [("", 1), (THREAD, 2)])
def test_management_command__runs_a_pool_too(
    tmp_path: Path, gearmand: JobServer, more: str, imports: int
) -> None:
    """What manage.py has imported before is not imported again, unless a fork would lose threads."""
    with closing(PoolProject(tmp_path, gearmand)) as project:
        (tmp_path / "site_settings.py").write_text(
            f"print('Settings imported', flush=True)\n{more}"
            "INSTALLED_APPS = ['gearfleet.contrib.django']\n"
            f"GEARFLEET = {{'apps': ['{project.package}'], 'servers': ['{gearmand.address}']}}\n"
        )
        (tmp_path / "manage.py").write_text(
            "import sys\nfrom django.core.management import execute_from_command_line\n"
            "execute_from_command_line(sys.argv)\n"
        )
        words = ["gearman_worker", "-a", project.package, "-n", "worker_foo", "-w", "2"]
        project.command = lambda *options: [  # type: ignore[method-assign]
            sys.executable, "manage.py", *words, "--settings", "site_settings", *options,
        ]  # fmt: skip
        pool = project.start()
        pool.wait_for_output("All 2 workers serve")
        assert project.submit("echo", 1).result() == [1]
        pool.signal(signal.SIGTERM)
        assert pool.wait() == 0
        assert pool.output().count("Available Queues and Tasks") == 1
        assert pool.output().count("Settings imported") == imports
        assert not project.living


LEFT = """
class Kept:
    def __del__(self):
        note("taken apart")

kept = Kept()

@task(queue="foo")
def leave_to_the_end():
    import atexit, threading
    atexit.register(note, "atexit")
    threading.Thread(target=lambda: (time.sleep(0.2), note("thread"))).start()
    print("not flushed", end="")
"""


def test_end__what_tasks_left_to_it_is_done_without_taking_the_shared_memory_apart(
    tmp_path: Path, job_server: JobServer
) -> None:
    """Which would give each worker a copy of all of it, when a deploy needs memory most."""
    with closing(PoolProject(tmp_path, job_server, more=LEFT)) as project:
        pool = project.start_pool(1)
        project.submit("leave_to_the_end").result()
        (worker,) = project.registered
        os.kill(worker, signal.SIGTERM)
        pool.wait_for_output(f"Worker {worker} of slot 0 ended")
        assert project.diary.count("atexit") == project.diary.count("thread") == 1
        assert "taken apart" not in project.diary
        assert "not flushed" in pool.output()


def test_worker__that_ends_at_once_is_replaced_where_the_code_ignores_the_end_of_children(
    project: PoolProject,
) -> None:
    """The kernel then tells nobody, unless the parent is the pool's."""
    project.rewrite(
        'VERSION = "one"',
        'VERSION = "one"\nimport signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n'
        "os.register_at_fork(before=lambda: time.sleep(0.1))  # who forks them lives a while\n\n"
        "@hooks.on_fork\ndef end_once():\n"
        "    try:\n        (FOLDER / 'ended').touch(exist_ok=False)\n"
        "    except FileExistsError:\n        return\n"
        "    os._exit(5)\n",
    )
    pool = project.start("--processes", "8")
    pool.wait_for_output("exit code 5; another one starts")
    pool.wait_for_output("All 8 workers serve")
    pool.signal(signal.SIGTERM)
    assert pool.wait() == 0
    assert not project.living
