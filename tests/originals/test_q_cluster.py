"""Q12, Q13, Q14, QX9, QX10: the workers of a cluster, who replaces them, and how they stop."""

from __future__ import annotations

import os
import signal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

import gearfleet
from gearfleet import config
from gearfleet.contrib.django.project import read_django
from gearfleet.errors import ConfigError
from gearfleet.fleet import plan, usable_cpus
from gearfleet.tasks import Registry
from gearfleet.worker.affinity import share
from tests.support.fleets import worker_module
from tests.support.pools import PoolProject, kill
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gearfleet.config import Settings
    from gearfleet.fleet.model import Program
    from tests.support.job_servers import JobServer

MORE = """
from gearfleet import SoftTimeLimitExceeded

@task(queue="foo", soft_time_limit=0.3, time_limit=0.8)
def too_long(reaction):
    try:
        time.sleep(1000)
    except SoftTimeLimitExceeded:
        note(f"told {reaction}")
        if reaction != "stays":
            raise
        time.sleep(1000)

@task(queue="foo")
def without_limit():
    time.sleep(1000)

@task(queue="foo")
def cpus(name):
    note(f"here {name}")
    while not (FOLDER / name).exists():
        time.sleep(0.01)
    return sorted(os.sched_getaffinity(0))

@task(queue="foo")
def count_in_child():
    import multiprocessing
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(len, ("abc",))

@task(queue="foo")
def grow():
    grow.memory = bytearray(os.urandom(1)) * 150_000_000
"""


@pytest.fixture
def project(tmp_path: Path, gearmand: JobServer) -> Iterator[PoolProject]:
    made = PoolProject(tmp_path, gearmand, more=MORE)
    with config.using(made.settings):
        yield made
    made.close()


def settings(**django: Any) -> Settings:
    return read_django(SimpleNamespace(SECRET_KEY="a" * 50, **django), installed=[], environ={})


def program_of(settings: Settings) -> Program:
    """Return what the plan has for a worker module."""
    registry = Registry(modules=(worker_module("shop.tasks", {"pack": "default"}),))
    (program,) = plan(registry, settings, host="h", executable=("gearfleet",), cpus=6).programs
    return program


def processes(settings: Settings) -> int:
    return program_of(settings).processes


def command_of(settings: Settings) -> tuple[str, ...]:
    return program_of(settings).command


@pytest.mark.parametrize(
    ("django", "count"),
    [
        ({"Q_WORKERS": 3}, 3),
        ({"Q_CLUSTER": {"workers": 4}, "Q_WORKERS": 3}, 4),
        ({"Q_WORKERS": "cpu"}, 6),
        ({"Q_WORKERS": 3, "GEARFLEET": {"FLEET": {"processes": 2}}}, 2),
        ({"Q_WORKERS": 3, "GEARFLEET": {"FLEET": {"drain_timeout": 9}}}, 3),
        ({"Q_CLUSTER": {"name": "shop"}}, 1),
    ],
)
def test_q12__number_of_workers(django: dict[str, Any], count: int) -> None:
    assert processes(settings(**django)) == count


def test_q12__what_is_no_number_is_named() -> None:
    with pytest.raises(ConfigError, match=r"fleet\.processes.*it is 'many'"):
        settings(Q_WORKERS="many")


def test_q12__one_for_each_cpu(project: PoolProject) -> None:
    """Django Q's default; a pool has as many when it is told so."""
    pool = project.start("--processes", "cpu")
    pool.wait_for_output(f"Pool of {usable_cpus()} worker")


def test_q13__the_dead_are_replaced_and_counted(project: PoolProject) -> None:
    pool = project.start_pool(2)
    before = project.registered
    victim = min(before)
    kill(victim, signal.SIGKILL)
    pool.wait_for_output(f"Worker {victim} of slot")
    wait_for(lambda: len(project.registered - {victim}) == 2, "another worker")
    pool.signal(signal.SIGUSR1)
    pool.wait_for_output("Pool of 2 (deaths: 1): slot 0: ")


def test_q14__stops_when_the_jobs_in_hand_are_done_and_their_results_kept(
    project: PoolProject,
) -> None:
    pool = project.start_pool(2)
    handles = [project.client.delay(project.function("hold"), "go") for _ in range(3)]
    wait_for(lambda: len(project.noted("hold")) == 2, "two jobs in hand")
    pool.signal(signal.SIGTERM)
    wait_for(lambda: pool.output().count("Draining: 1 job in hand") == 2, "both to drain")
    project.allow("go")
    assert pool.wait() == 0
    assert not project.living
    kept = [gearfleet.result(handle) for handle in handles]
    assert sorted(pid for pid in kept if pid) == sorted(project.noted("hold"))
    assert kept.count(None) == 1, "the third was not taken"


@pytest.mark.parametrize("reaction", ["ends", "stays"])
def test_qx9__time_limits_of_a_task(project: PoolProject, reaction: str) -> None:
    """It is told in the task; one that stays is ended hard; both are failures."""
    project.start_pool(2)
    handle = project.client.delay(project.function("too_long"), reaction)
    record = gearfleet.fetch(handle.id, wait=30)
    assert record is not None
    assert record.failure is not None
    kind = "TimeLimitExceeded" if reaction == "stays" else "SoftTimeLimitExceeded"
    assert (record.state, record.failure.type) == ("failure", f"gearfleet.errors.{kind}")
    assert project.diary.count(f"told {reaction}") == 1


def test_qx9__time_limit_of_all_tasks(project: PoolProject) -> None:
    project.start_pool(2, "--time-limit", "0.5")
    handle = project.client.delay(project.function("without_limit"))
    record = gearfleet.fetch(handle.id, wait=30)
    assert record is not None
    assert record.state == "failure"


@pytest.mark.parametrize(
    ("options", "task", "why"),
    [
        (("--max-jobs", "1", "--startsecs", "0"), "version", "max_jobs"),
        (("--max-rss", "100MB", "--startsecs", "0"), "grow", "max_rss"),
    ],
)
def test_qx10__workers_are_renewed(
    project: PoolProject, options: tuple[str, ...], task: str, why: str
) -> None:
    pool = project.start_pool(1, *options)
    (before,) = project.registered
    project.submit(task).result(30)
    pool.wait_for_output("exit code 75; another one starts\n")
    assert why in pool.output()
    (after,) = wait_for(lambda: project.registered - {before}, "the next worker")
    assert after != before


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no CPUs can be chosen here")
def test_qx10__each_worker_has_some_of_the_cpus(project: PoolProject) -> None:
    project.start_pool(2, "--cpu-affinity", "1")
    jobs = [project.submit("cpus", "go") for _ in range(2)]
    wait_for(lambda: project.diary.count("here go") == 2, "both workers at work")
    project.allow("go")
    first, second = (job.result(30) for job in jobs)
    assert len(first) == len(second) == 1
    assert (first != second) or len(os.sched_getaffinity(0)) == 1


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no CPUs can be chosen here")
def test_qx10__so_has_each_process_of_supervisor(project: PoolProject) -> None:
    usable = os.sched_getaffinity(0)
    project.allow("go")
    found = []
    for number in range(2):
        worker = project.start("--cpu-affinity", "1", SUPERVISOR_PROCESS_NAME=f"foo_{number:02}")
        worker.wait_for_output("Runs on CPU")
        worker.wait_for_output("Registered at job server")
        found += project.submit("cpus", "go").result(30)
        worker.terminate()
        assert worker.wait() == 0
    program = "worker_foo"
    assert found == [min(share(usable, 1, program=program, number=each)) for each in range(2)]


def test_qx10__settings() -> None:
    cluster = {"recycle": 500, "max_rss": 100_000, "cpu_affinity": 2, "daemonize_workers": False}
    found = settings(Q_CLUSTER=cluster)
    expected = {"max_jobs": 500, "max_rss": "100000KB", "cpu_affinity": 2}
    assert found.layers.fleet == expected
    command = command_of(found)
    for flag, value in {
        "--max-jobs": "500",
        "--max-rss": "100000KB",
        "--cpu-affinity": "2",
    }.items():
        assert command[command.index(flag) + 1] == value
    assert found.sources["fleet.max_rss"] == "Django settings Q_CLUSTER['max_rss']"
    ours = settings(Q_CLUSTER=cluster, GEARFLEET={"FLEET": {"max_jobs": 7}})
    assert ours.layers.fleet == {**expected, "max_jobs": 7}
    assert settings(Q_CLUSTER={"max_rss": None}).layers.fleet == {}


@pytest.mark.parametrize("key", ["recycle", "max_rss", "cpu_affinity"])
def test_qx10__what_is_no_number_is_named(key: str) -> None:
    with pytest.raises(ConfigError, match=r"fleet\..*it is 'some"):
        settings(Q_CLUSTER={key: "some"})


def test_qx10__workers_need_no_daemonize_workers_for_tasks_that_start_processes(
    project: PoolProject,
) -> None:
    """Django Q's are daemonic, and may not, unless the option is off."""
    project.start_pool(1)
    assert project.submit("count_in_child").result(30) == 3
