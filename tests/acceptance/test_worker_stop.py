"""Stopping a worker: what becomes of the job in hand, the queued ones, and the hooks."""

from __future__ import annotations

import signal
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from gearfleet.gearman import GearmanAdminClient
from tests.support.ports import free_port
from tests.support.waiting import wait_for
from tests.support.workers import WorkerProject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gearfleet.gearman.text import FunctionStatus
    from tests.support.job_servers import JobServer
    from tests.support.processes import Process


COROUTINE = """
@task(queue="foo")
async def await_it(name):
    note(f"begin {name}")
    try:
        while not (FOLDER / name).exists():
            await asyncio.sleep(0.01)
        note(f"done {name}")
        return name
    finally:
        note(f"finally {name}")
"""


@pytest.fixture
def project(tmp_path: Path, job_server: JobServer) -> Iterator[WorkerProject]:
    made = WorkerProject(tmp_path, job_server.address, more=COROUTINE)
    yield made
    made.close()


def interrupt(worker: Process) -> None:
    """Press Ctrl-C, read what it says, press it again."""
    worker.signal(signal.SIGINT)
    worker.wait_for_output("Draining: 1 job in hand")
    worker.signal(signal.SIGINT)


@pytest.mark.parametrize(
    ("number", "task"),
    [(signal.SIGTERM, "wait_for"), (signal.SIGINT, "wait_for"), (signal.SIGTERM, "await_it")],
)
def test_signal__lets_the_job_in_hand_finish_and_leaves_the_others(
    project: WorkerProject, number: signal.Signals, task: str
) -> None:
    worker = project.start_ready()
    result = project.submit(task, "go")
    project.wait_for_note("begin go")
    for n in range(3):
        project.delay("echo", n)
    worker.signal(number)
    worker.wait_for_output("Draining: 1 job in hand, up to 60 s. Press Ctrl-C again to stop now")
    project.allow("go")
    assert result.result() == "go"
    assert worker.wait() == 0
    assert project.diary == ["begin go", "done go", "finally go", f"goodbye {number.name}"]
    assert f"Stopped ({number.name}): 1 jobs completed, 0 failed, 0 given back" in worker.output()
    project.start_ready()
    for n in range(3):
        project.wait_for_note(f"echo ({n},)")


def test_prefetched_jobs__wait_in_the_worker_and_go_back_when_it_drains(
    project: WorkerProject, job_server: JobServer
) -> None:
    def jobs() -> FunctionStatus:
        with GearmanAdminClient([job_server.address]) as admin:
            rows = {row.function: row for row in admin.status()}
        return rows[project.function("wait_for")]

    project.allow("quick")
    for name in ("quick",) * 20 + ("go",) + ("quick",) * 20:
        project.delay("wait_for", name)
    worker = project.start_ready("--prefetch", "8")
    project.wait_for_note("begin go")
    wait_for(lambda: jobs().running > 1, "jobs to wait in the worker")
    worker.signal(signal.SIGTERM)
    worker.wait_for_output("Draining: 1 job in hand")
    project.allow("go")
    assert worker.wait() == 0
    assert jobs().total == 20
    project.start_ready()
    wait_for(lambda: project.diary.count("done quick") == 40, "the others to run")
    assert project.diary.count("begin quick") == 40


@pytest.mark.parametrize("task", ["wait_for", "wait_for_ever"])
def test_second_signal__gives_the_job_to_another_worker(project: WorkerProject, task: str) -> None:
    worker = project.start_ready()
    project.delay(task, "go")
    project.wait_for_note("begin go")
    interrupt(worker)
    assert worker.wait() == 0
    assert project.diary == ["begin go", "finally go", "goodbye SIGINT"]
    assert "0 jobs completed, 0 failed, 1 given back" in worker.output()
    (project.folder / "diary").unlink()
    project.start_ready()
    project.wait_for_note("begin go")


def test_second_signal__loses_nothing_for_a_caller_who_waits(project: WorkerProject) -> None:
    first = project.start_ready()
    result = project.submit("wait_for", "go")
    project.wait_for_note("begin go")
    second = project.start_ready()
    interrupt(first)
    assert first.wait() == 0
    project.allow("go")
    assert result.result() == "go"
    assert project.diary.count("begin go") == 2
    assert project.diary.count("done go") == 1
    assert second.returncode is None


def test_drain_timeout__interrupts_the_job(project: WorkerProject) -> None:
    worker = project.start_ready("--drain-timeout", "0.2")
    project.delay("wait_for", "go")
    project.wait_for_note("begin go")
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    assert "Interrupting the job in hand (not done after 0.2 s)" in worker.output()
    assert project.diary == ["begin go", "finally go", "goodbye SIGTERM"]
    project.allow("go")
    project.start_ready()
    project.wait_for_note("done go")


def test_job__that_will_not_be_interrupted_is_ended_hard(project: WorkerProject) -> None:
    worker = project.start_ready("--interrupt-grace", "0.2")
    project.delay("hold_on", "go")
    project.wait_for_note("begin go")
    interrupt(worker)
    worker.wait_for_output("did not end within 0.2 s: interrupting it again; in 3 s the process")
    assert worker.wait() == 1
    assert project.diary == ["begin go", "holds on", "holds on"]
    assert "in hold_on" in worker.output(), "the stack of the task"
    project.start_ready()
    project.allow("go")


def test_signal__ends_an_idle_worker_at_once(project: WorkerProject) -> None:
    worker = project.start_ready()
    began = time.monotonic()
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    # Without the wake-up it would sleep for 5 to 10 seconds.
    assert time.monotonic() - began < 4
    assert project.diary == ["goodbye SIGTERM"]


def test_signal__ends_a_worker_that_finds_no_job_server(tmp_path: Path) -> None:
    with closing(WorkerProject(tmp_path, f"127.0.0.1:{free_port()}")) as project:
        worker = project.start()
        worker.wait_for_output("cannot be reached")
        began = time.monotonic()
        worker.signal(signal.SIGTERM)
        assert worker.wait() == 0
        assert time.monotonic() - began < 4
        assert project.diary == ["goodbye SIGTERM"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal__ends_a_worker_whose_module_is_still_importing(
    project: WorkerProject, number: signal.Signals
) -> None:
    project.write(
        "gearman_workers/worker_foo.py",
        "print('importing', flush=True)\nimport time\ntime.sleep(60)",
    )
    worker = project.start()
    worker.wait_for_output("importing")
    worker.signal(number)
    assert worker.wait(timeout=5) == 0
    assert "Traceback" not in worker.output()


def test_signal__ends_a_worker_whose_module_swallows_what_a_signal_raises(
    project: WorkerProject,
) -> None:
    project.write(
        "gearman_workers/worker_foo.py",
        "import time\nfrom gearfleet import task\nprint('importing', flush=True)\n"
        "try:\n    time.sleep(60)\nexcept:\n    pass\n"
        "@task(queue='foo')\ndef nothing(): pass\n",
    )
    worker = project.start()
    worker.wait_for_output("importing")
    worker.signal(signal.SIGTERM)
    assert worker.wait(timeout=5) == 0
    assert "Stopped (SIGTERM)" in worker.output()


def test_signal__ends_a_worker_whose_start_hook_is_still_running(
    tmp_path: Path, gearmand: JobServer
) -> None:
    more = "@hooks.on_start\ndef load_model():\n    note('loading')\n    time.sleep(60)\n"
    with closing(WorkerProject(tmp_path, gearmand.address, more=more)) as project:
        worker = project.start()
        project.wait_for_note("loading")
        worker.signal(signal.SIGTERM)
        assert worker.wait(timeout=5) == 0
        assert project.diary == ["loading", "goodbye SIGTERM"]


def test_shutdown_hook__that_hangs_is_cut(tmp_path: Path, gearmand: JobServer) -> None:
    more = "@hooks.on_shutdown\ndef hang():\n    note('hanging')\n    time.sleep(60)\n"
    with closing(WorkerProject(tmp_path, gearmand.address, more=more)) as project:
        worker = project.start_ready("--hook-timeout", "0.3")
        worker.signal(signal.SIGTERM)
        assert worker.wait(timeout=10) == 0
        assert project.diary == ["hanging"]
        assert "worker_foo.hang was cut short; not run: " in worker.output()
        assert "worker_foo.say_goodbye" in worker.output()
