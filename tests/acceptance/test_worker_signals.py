"""The signals beside TERM and INT: new code, a pause, a look inside; and stopping at once."""

from __future__ import annotations

import signal
import time
from contextlib import closing
from typing import TYPE_CHECKING

import psutil
import pytest

from gearfleet.errors import EXIT_RECYCLED
from tests.support.processes import GEARFLEET, ROOT, Process, clean_environment
from tests.support.workers import WorkerProject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.job_servers import JobServer

#: Renewed at any age.
NO_STARTSECS = ("--startsecs", "0")


@pytest.fixture(autouse=True)
def hangups_are_heard() -> Iterator[None]:
    """Undo what `nohup` may have done to this process, and so to its children."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def project(tmp_path: Path, job_server: JobServer) -> Iterator[WorkerProject]:
    made = WorkerProject(tmp_path, job_server.address)
    yield made
    made.close()


def begin_job(project: WorkerProject, task: str = "wait_for") -> None:
    project.delay(task, "go")
    project.wait_for_note("begin go")


def cpu_seconds(worker: Process) -> float:
    times = psutil.Process(worker.pid).cpu_times()
    return times.user + times.system


def test_hangup__lets_the_job_in_hand_finish_and_asks_for_a_new_process(
    project: WorkerProject,
) -> None:
    worker = project.start_ready(*NO_STARTSECS)
    result = project.submit("wait_for", "go")
    project.wait_for_note("begin go")
    project.delay("echo", 1)
    worker.signal(signal.SIGHUP)
    worker.wait_for_output("Draining (SIGHUP): 1 job in hand, up to 60 s; then exit 75, to be")
    project.allow("go")
    assert result.result() == "go"
    assert worker.wait() == EXIT_RECYCLED
    assert project.diary == ["begin go", "done go", "finally go", "goodbye SIGHUP"]
    project.start_ready()
    project.wait_for_note("echo (1,)")


def test_hangup__of_a_young_worker_waits_while_it_works(project: WorkerProject) -> None:
    worker = project.start_ready("--startsecs", "30")
    worker.signal(signal.SIGHUP)
    worker.wait_for_output("when the process is old enough to be renewed (startsecs)")
    assert project.submit("echo", 1).result() == [1]
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0


def test_quiet__takes_no_job_until_it_is_resumed(project: WorkerProject) -> None:
    worker = project.start_ready()
    begin_job(project)
    worker.signal(signal.SIGTSTP)
    worker.wait_for_output("Quiet: 1 job in hand, and no more are taken.")
    project.delay("echo", 1)
    project.allow("go")
    project.wait_for_note("finally go")
    other = project.start_ready()
    project.wait_for_note("echo (1,)")  # at the other one
    other.signal(signal.SIGTERM)
    assert other.wait() == 0
    project.delay("echo", 2)
    before = cpu_seconds(worker)
    time.sleep(0.3)  # in which a worker that was not quiet would have run it
    assert "echo (2,)" not in project.diary
    assert cpu_seconds(worker) - before < 0.1, "it does not spin"
    worker.signal(signal.SIGCONT)
    project.wait_for_note("echo (2,)")
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0


def test_quiet__from_the_start_hooks_on(tmp_path: Path, gearmand: JobServer) -> None:
    more = "@hooks.on_start\ndef load():\n    wait_for.func('hook')\n"
    with closing(WorkerProject(tmp_path, gearmand.address, more=more)) as project:
        worker = project.start()
        project.wait_for_note("begin hook")
        worker.signal(signal.SIGTSTP)
        worker.wait_for_output("Quiet: no job in hand")
        project.delay("echo", 1)
        project.allow("hook")
        worker.wait_for_output("Registered at job server")
        worker.signal(signal.SIGUSR1)
        worker.wait_for_output("State: quiet, no job in hand.")
        assert "echo (1,)" not in project.diary
        worker.signal(signal.SIGCONT)
        project.wait_for_note("echo (1,)")


def test_quiet__worker_stops_as_others_do(project: WorkerProject) -> None:
    worker = project.start_ready()
    worker.signal(signal.SIGTSTP)
    worker.wait_for_output("Quiet: no job in hand")
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    assert project.diary == ["goodbye SIGTERM"]


def test_pause_of_the_process__does_no_harm(project: WorkerProject) -> None:
    worker = project.start_ready()
    begin_job(project)
    for _ in range(3):
        worker.pause()
        worker.go_on()
    project.allow("go")
    project.wait_for_note("done go")
    assert project.submit("echo", 1).result() == [1]
    assert "Taking jobs again" not in worker.output()


@pytest.mark.parametrize(
    ("task", "line"), [("wait_for", "in wait_for\n"), ("wait_for_ever", "in wait_for_ever\n")]
)
def test_report__shows_where_the_job_is_and_disturbs_nothing(
    project: WorkerProject, task: str, line: str
) -> None:
    worker = project.start_ready()
    begin_job(project, task)
    for _ in range(3):
        worker.signal(signal.SIGUSR1)
    worker.wait_for_output("State: running, 1 job in hand. The worker goes on")
    worker.wait_for_output("Thread MainThread:")
    worker.wait_for_output(line)
    if task == "wait_for":
        project.allow("go")
        project.wait_for_note("done go")
        assert project.submit("echo", 1).result() == [1]
    assert worker.returncode is None


def test_report__of_a_worker_that_imports(project: WorkerProject) -> None:
    project.write(
        "gearman_workers/worker_foo.py",
        "print('importing', flush=True)\nimport time\ntime.sleep(60)",
    )
    worker = project.start()
    worker.wait_for_output("importing")
    worker.signal(signal.SIGUSR1)
    worker.wait_for_output("worker_foo.py")
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0


@pytest.mark.parametrize("task", ["wait_for", "wait_for_ever"])
def test_immediate__interrupts_the_job_at_the_first_signal(
    project: WorkerProject, task: str
) -> None:
    worker = project.start_ready("--stop", "immediate")
    begin_job(project, task)
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    assert project.diary == ["begin go", "finally go", "goodbye SIGTERM"]
    assert "Interrupting the job in hand (SIGTERM, and the option stop is immediate)" in (
        worker.output()
    )
    (project.folder / "diary").unlink()
    project.start_ready()
    project.wait_for_note("begin go")


def test_immediate__of_an_idle_worker(project: WorkerProject) -> None:
    worker = project.start_ready("--stop", "immediate")
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    assert project.diary == ["goodbye SIGTERM"]


@pytest.mark.parametrize("first", [signal.SIGHUP, signal.SIGTSTP])
def test_stop__after_another_signal_is_a_first_one(
    project: WorkerProject, first: signal.Signals
) -> None:
    worker = project.start_ready(*NO_STARTSECS)
    begin_job(project)
    worker.signal(first)
    worker.wait_for_output("1 job in hand")
    worker.signal(signal.SIGTERM)
    worker.wait_for_output("Press Ctrl-C again to stop now")
    project.allow("go")
    assert worker.wait() == 0
    assert "done go" in project.diary


def test_signals__that_come_in_a_burst_leave_no_orphan(project: WorkerProject) -> None:
    worker = project.start_ready(*NO_STARTSECS)
    begin_job(project)
    burst = [signal.SIGUSR1, signal.SIGTSTP, signal.SIGHUP, signal.SIGCONT, signal.SIGTERM]
    for number in burst * 3:
        worker.signal(number)
    worker.wait_for_output("Press Ctrl-C again to stop now")
    for number in [*burst[:-1] * 3, signal.SIGTERM]:  # a process takes several of a kind as one
        if worker.returncode is None:
            worker.signal(number)
    assert worker.wait() == 0
    assert project.diary[-1] == "goodbye SIGTERM"


SLOW_IMPORT = """
import sys, time

class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "gearfleet.cli":
            print("importing", flush=True)
            time.sleep(60)

sys.meta_path.insert(0, Slow())
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop__of_a_process_that_has_imported_next_to_nothing(
    tmp_path: Path, number: signal.Signals
) -> None:
    (tmp_path / "sitecustomize.py").write_text(SLOW_IMPORT)
    worker = Process(
        [*GEARFLEET, "worker", "-a", "app", "-n", "worker_foo"],
        log=tmp_path / "log",
        env=clean_environment(PYTHONPATH=f"{tmp_path}:{ROOT}"),
    )
    worker.wait_for_output("importing")
    worker.signal(number)
    assert worker.wait(timeout=10) == 0
    assert "Traceback" not in worker.output()
