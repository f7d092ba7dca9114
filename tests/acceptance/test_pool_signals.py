"""What a pool hands on to its workers, and how it goes on when they end by themselves."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.pools import PoolProject, kill
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.job_servers import JobServer

SLOW_IMPORT = "while not (FOLDER / 'import').exists(): time.sleep(0.01)"


@pytest.fixture
def project(tmp_path: Path, gearmand: JobServer) -> Iterator[PoolProject]:
    made = PoolProject(tmp_path, gearmand)
    yield made
    made.close()


def test_quiet__also_holds_for_those_who_come_later(project: PoolProject) -> None:
    pool = project.start_pool(2)
    pool.signal(signal.SIGTSTP)
    pool.wait_for_output("Quiet: no worker takes a job any more")
    wait_for(lambda: pool.output().count("Quiet") == 3, "both workers to be quiet")
    kill(min(project.registered), signal.SIGKILL)
    wait_for(lambda: pool.output().count("All 2 workers serve") == 2, "another worker")
    wait_for(lambda: pool.output().count("Quiet") == 4, "the newborn to be quiet")
    project.delay("echo", 1)
    pool.signal(signal.SIGHUP)
    wait_for(lambda: pool.output().count("All 2 workers serve") == 3, "new code")
    wait_for(lambda: pool.output().count("Quiet") == 6, "the new ones to be quiet")
    assert "echo (1,)" not in project.diary
    pool.signal(signal.SIGCONT)
    project.wait_for_note("echo (1,)")
    pool.signal(signal.SIGTERM)
    assert pool.wait() == 0
    assert not project.living


def test_signals__before_the_pool_is_up(project: PoolProject) -> None:
    project.rewrite('VERSION = "one"', SLOW_IMPORT)
    pool = project.start("--processes", "2")
    pool.wait_for_output("Pool of 2 workers")
    for number, answer in (
        (signal.SIGUSR1, "Pool of 2: slot 0: empty, slot 1: empty"),
        (signal.SIGTSTP, "Quiet: no worker takes a job any more"),
        (signal.SIGCONT, "The workers take jobs again"),
    ):
        pool.signal(number)
        pool.wait_for_output(answer)
    pool.signal(signal.SIGTSTP)
    wait_for(lambda: pool.output().count("Quiet") == 2, "the pool to be quiet")
    (project.folder / "import").touch()
    wait_for(lambda: pool.output().count("Quiet") == 4, "both workers to be quiet")
    project.delay("echo", 1)
    pool.signal(signal.SIGCONT)
    project.wait_for_note("echo (1,)")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop__before_the_pool_is_up(project: PoolProject, number: signal.Signals) -> None:
    project.rewrite('VERSION = "one"', f"print('import', 'ing')\n{SLOW_IMPORT}")
    pool = project.start("--processes", "2")
    pool.wait_for_output("import ing")
    pool.signal(number)
    assert pool.wait() == 0
    assert "Traceback" not in pool.output()
    assert not project.living


def test_stop__that_the_import_swallows_is_obeyed_after_it(project: PoolProject) -> None:
    """So does a signal that comes while Python clears something away, whatever the import is."""
    swallow = "try:\n    print('half imported', flush=True)\n    time.sleep(60)\nexcept BaseException:\n    pass"
    project.rewrite('VERSION = "one"', swallow)
    pool = project.start("--processes", "2")
    pool.wait_for_output("half imported")
    pool.signal(signal.SIGTERM)
    assert pool.wait() == 0
    assert "has not ended in its time" not in pool.output()


def test_state__of_the_pool_and_of_each_worker(project: PoolProject) -> None:
    pool = project.start_pool(2)
    (held,) = project.hold(1)
    pool.signal(signal.SIGUSR1)
    pool.wait_for_output("Pool of 2: slot 0: ")
    pool.wait_for_output(f"{held} serving for")
    pool.wait_for_output("in hold")  # the stack of its task


def test_terminal__tells_the_parent_alone(project: PoolProject) -> None:
    pool = project.start_pool(2)
    project.hold(2)
    os.killpg(pool.pid, signal.SIGINT)  # as Ctrl-C does
    wait_for(lambda: pool.output().count("Draining: 1 job in hand") == 2, "the workers to drain")
    project.allow("go")
    assert pool.wait() == 0
    assert "Interrupting" not in pool.output()


def test_recycled_worker__is_replaced_at_once_and_does_not_count(project: PoolProject) -> None:
    pool = project.start_pool(1)
    for number in range(4):
        (worker,) = project.wait_for_workers(1)
        kill(worker, signal.SIGHUP)
        pool.wait_for_output(f"Worker {worker} of slot 0 ended")
        wait_for(
            lambda n=number: pool.output().count("exit code 75; another one starts\n") == n + 1,
            "a worker to be renewed",
        )
        wait_for(lambda w=worker: project.registered - {w}, "the next one")


def test_dying_worker__is_replaced_later_each_time(project: PoolProject) -> None:
    pool = project.start_pool(2)
    project.rewrite('VERSION = "one"', "hooks.on_start(lambda: os._exit(9))")
    pool.signal(signal.SIGHUP)
    pool.wait_for_output("exit code 9; another one starts\n")
    pool.wait_for_output("exit code 9; another one starts in 1 s")
    pool.wait_for_output("exit code 9; another one starts in 2 s")
    pool.signal(signal.SIGTERM)
    assert pool.wait() == 0
    assert not project.living


def test_configuration__that_no_worker_can_use_ends_the_pool(project: PoolProject) -> None:
    project.rewrite('VERSION = "one"', "hooks.on_start(lambda: os._exit(78))")
    pool = project.start("--processes", "3")
    assert pool.wait() == 78
    assert "The pool ends with exit code 78: no worker could start" in pool.output()
    assert not project.living


def test_hook_of_the_settings__that_does_not_exist_is_complained_of_once(
    project: PoolProject,
) -> None:
    with (project.folder / "gearfleet.toml").open("a") as settings:
        settings.write("hooks = { on_start = ['no_such_module.hook'] }\n")
    pool = project.start("--processes", "3")
    assert pool.wait() == 78
    assert pool.output().count("'no_such_module.hook' cannot be used") == 1
    assert not project.living


def test_queue__that_does_not_exist_is_complained_of_once(project: PoolProject) -> None:
    pool = project.start("--processes", "3", "-q", "no_such_queue")
    assert pool.wait() == 2
    assert pool.output().count("has no queue 'no_such_queue'") == 1


def test_pool__without_a_job_server_waits_for_one(project: PoolProject) -> None:
    pool = project.start("--processes", "2", "--servers", "127.0.0.1:1")
    wait_for(lambda: pool.output().count("cannot be reached") == 2, "both to complain")
    pool.signal(signal.SIGTERM)
    assert pool.wait() == 0
    assert not project.living


def test_import__says_once_what_it_prints(project: PoolProject) -> None:
    project.rewrite('VERSION = "one"', "sys.stdout.write('half a line ')")
    project.start_pool(3).signal(signal.SIGTERM)
    assert project.pools[0].wait() == 0
    assert project.pools[0].output().count("half a line") == 1


def test_threads_of_the_import__are_named(project: PoolProject) -> None:
    project.rewrite(
        'VERSION = "one"',
        "import threading\n"
        "threading.Thread(target=time.sleep, args=(60,), name='mine', daemon=True).start()",
    )
    pool = project.start_pool(1)
    assert "Importing started threads, which the workers will not have: mine" in pool.output()


def test_processes__are_their_own(project: PoolProject) -> None:
    project.rewrite(
        'VERSION = "one"',
        "import random, uuid\nfrom gearfleet.outgoing import new_id\n"
        "@task(queue='foo')\n"
        "def chance(name):\n"
        "    hold.func(name)\n"
        "    return os.getpid(), random.random(), new_id()\n",
    )
    project.start_pool(3)
    results = [project.submit("chance", "go") for _ in range(3)]
    wait_for(lambda: len(project.noted("hold")) == 3, "three to hold")
    project.allow("go")
    for values in zip(*(result.result() for result in results), strict=True):
        assert len(set(values)) == 3
