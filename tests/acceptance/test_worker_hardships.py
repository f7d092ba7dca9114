"""What tasks do to the process that runs them, and what becomes of it."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.support.processes import clean_environment
from tests.support.waiting import wait_for
from tests.support.workers import WorkerProject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.job_servers import JobServer

TASKS = """
import atexit, concurrent.futures, gc, multiprocessing, signal, threading

KEPT = {"of the import": []}

def forked(child):
    pid = os.fork()
    if pid == 0:
        note(f"child {os.getpid()}")
        return child()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

@task(queue="foo")
def fork_and_return():
    return forked(lambda: 5)

@task(queue="foo")
def fork_and_exit():
    return forked(lambda: sys.exit(7))

@task(queue="foo")
def fork_and_raise():
    return forked(lambda: 1 / 0)

@task(queue="foo")
def fork_and_wait(name):
    if os.fork():
        note(f"parent {os.getpid()}")
    else:
        note(f"child {os.getpid()}")
    while not (FOLDER / name).exists():
        time.sleep(0.01)
    return name

@task(queue="foo")
def leave_thread():
    threading.Thread(target=time.sleep, args=(60,), name="mine").start()

@task(queue="foo")
def leave_pool():
    concurrent.futures.ThreadPoolExecutor(1, "mine").submit(time.sleep, 60)

@task(queue="foo")
def leave_process():
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    child.start()
    note(f"child {child.pid}")

@task(queue="foo")
def leave_atexit():
    atexit.register(time.sleep, 60)

@task(queue="foo")
def ignore_signals():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)

@task(queue="foo")
async def use_loop_for_sigterm():
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, print)
    loop.remove_signal_handler(signal.SIGTERM)

@task(queue="foo")
async def use_loop_for_another_signal():
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, print)
    loop.remove_signal_handler(signal.SIGUSR1)

@task(queue="foo")
def close_stderr(name):
    sys.stderr.close()
    return wait_for.func(name)

@task(queue="foo")
def close_descriptors():
    os.close(1), os.close(2)

@task(queue="foo")
def open_file():
    with open(FOLDER / "file", "w") as file:
        return file.fileno()

@task(queue="foo")
def fill_stdout():
    note("filling")
    while True:
        print("x" * 1000)

@task(queue="foo")
def is_collector_aware_of_imports():
    return any(thing is KEPT for thing in gc.get_objects())
"""


@pytest.fixture
def project(tmp_path: Path, gearmand: JobServer) -> Iterator[WorkerProject]:
    made = WorkerProject(tmp_path, gearmand.address, more=TASKS)
    yield made
    made.close()


def pid_in(project: WorkerProject, word: str) -> int:
    """Return the process id that a task noted."""
    notes = wait_for(
        lambda: [note for note in project.diary if note.startswith(f"{word} ")], f"a {word}"
    )
    return int(notes[0].split()[1])


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize(
    ("task", "code"), [("fork_and_return", 0), ("fork_and_exit", 7), ("fork_and_raise", 1)]
)
def test_forked_child__that_comes_back_does_not_become_a_second_worker(
    project: WorkerProject, task: str, code: int
) -> None:
    worker = project.start_ready()
    assert project.submit(task).result() == code, "the result is the parent's"
    assert project.submit("echo", 1).result() == [1]
    assert worker.output().count("Registered at job server") == 1
    assert "Lost job server" not in worker.output()


def test_forked_child__does_not_keep_the_job_of_a_dead_worker(project: WorkerProject) -> None:
    first = project.start_ready()
    result = project.submit("fork_and_wait", "go")
    pid_in(project, "child")
    project.wait_for_note(f"parent {first.pid}")
    second = project.start_ready()
    first.signal(signal.SIGKILL)
    project.wait_for_note(f"parent {second.pid}")
    project.allow("go")
    assert result.result() == "go"


@pytest.mark.parametrize(
    ("task", "named"),
    [
        ("leave_thread", "thread 'mine'"),
        ("leave_pool", "thread 'mine_0'"),
        ("leave_process", "process {child}"),
        ("leave_atexit", "the rest of the atexit functions"),
    ],
)
def test_leftovers__do_not_keep_a_stopped_worker_alive(
    project: WorkerProject, task: str, named: str
) -> None:
    worker = project.start_ready("--hook-timeout", "0.5")
    project.submit(task).result()
    child = pid_in(project, "child") if "{child}" in named else 0
    worker.signal(signal.SIGTERM)
    assert worker.wait(timeout=10) == 1
    named = named.format(child=child)
    assert f"Not ended within 0.5 s: ending hard, without {named}" in worker.output()
    assert project.diary[-1] == "goodbye SIGTERM", "the shutdown hooks came first"
    assert not child or wait_for(lambda: is_gone(child), "the end of the child")


@pytest.mark.parametrize(
    "task", ["ignore_signals", "use_loop_for_sigterm", "use_loop_for_another_signal"]
)
def test_signal_handlers__that_a_task_left_do_not_keep_the_worker_from_draining(
    project: WorkerProject, task: str
) -> None:
    worker = project.start_ready()
    project.submit(task).result()
    result = project.submit("wait_for", "go")
    project.wait_for_note("begin go")
    worker.signal(signal.SIGTERM)
    worker.wait_for_output("Draining: 1 job in hand")
    project.allow("go")
    assert result.result() == "go"
    assert worker.wait() == 0


def test_closed_stderr__does_not_keep_the_worker_from_interrupting(project: WorkerProject) -> None:
    worker = project.start_ready("--drain-timeout", "0.2")
    project.delay("close_stderr", "go")
    project.wait_for_note("begin go")
    worker.signal(signal.SIGTERM)
    project.wait_for_note("finally go")
    worker.wait(timeout=10)


def test_closed_descriptors__are_open_again_after_the_job(project: WorkerProject) -> None:
    """Or else the next file or connection would have their numbers, and get the log."""
    worker = project.start_ready()
    project.submit("close_descriptors").result()
    assert project.submit("open_file").result() > 2
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    assert "Stopped (SIGTERM): 2 jobs completed" in worker.output()


def test_full_stdout__does_not_keep_the_worker_from_ending(project: WorkerProject) -> None:
    log = project.folder / "worker.log"
    with log.open("wb") as stderr:
        worker = subprocess.Popen(
            project.command("--drain-timeout", "0.2", "--hook-timeout", "0.5"),
            stdout=subprocess.PIPE,
            stderr=stderr,
            cwd=project.folder,
            env=clean_environment(),
        )
    with worker:
        try:
            project.delay("fill_stdout")
            project.wait_for_note("filling")
            worker.terminate()
            worker.wait(15)
        finally:
            worker.kill()
    assert "Interrupting the job in hand" in log.read_text()
    assert project.diary == ["filling", "goodbye SIGTERM"]


def test_imports__are_not_looked_through_by_the_garbage_collector(project: WorkerProject) -> None:
    project.start_ready()
    assert project.submit("is_collector_aware_of_imports").result() is False
