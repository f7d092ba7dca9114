"""`gearfleet worker --reload`: the source changes, and the worker that runs is that of the change."""

from __future__ import annotations

import os
import pty
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil
import pytest

from gearfleet import Client
from gearfleet.config import Settings
from tests.originals.projects import SECRET_KEY, Project, make_project
from tests.support.processes import ROOT, Process, clean_environment
from tests.support.waiting import wait_for
from tests.support.workers import WorkerProject

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.support.job_servers import JobServer

#: A worker module whose task tells what it was made of.
MODULE = """\
import pathlib, time
from gearfleet import task
from {package} import parts

HERE = pathlib.Path(__file__).parents[2]

@task(queue="foo")
def version():
    return parts.VERSION

@task(queue="foo")
def late():
    from {package} import lately
    return lately.VERSION

@task(queue="foo")
def wait_for(name):
    (HERE / "begun").touch()
    while not (HERE / name).exists():
        time.sleep(0.01)
    (HERE / "done").touch()
"""

REPLACES = "the worker is replaced after the job in hand"
WAITS = "the next starts when a file changes"


class Reloaded:
    """A worker with ``--reload``, and the project that is changed under it."""

    def __init__(self, project: WorkerProject) -> None:
        self.project = project
        self._processes: list[Process] = []
        project.write("parts.py", "VERSION = 'first'\n")
        project.write("lately.py", "VERSION = 'first'\n")
        project.write("gearman_workers/worker_foo.py", MODULE.format(package=project.package))

    def start(self, *options: str, python_path: str = "") -> Process:
        log = self.project.folder / f"reload.{len(self._processes)}.log"
        environment = clean_environment(GEARFLEET_RUN_DIR=str(self.project.run_dir))
        environment["PYTHONPATH"] = f"{python_path}{os.pathsep}{ROOT}"
        command = self.project.command("--reload", *options)
        process = Process(command, log=log, cwd=self.project.folder, env=environment)
        self._processes.append(process)
        return process

    def start_ready(self, *options: str, python_path: str = "") -> Process:
        process = self.start(*options, python_path=python_path)
        process.wait_for_output("Registered at job server")
        return process

    def change(self, path: str, source: str) -> None:
        """Write one file of the package, and touch no other."""
        (self.project.folder / self.project.package / path).write_text(source)

    def version(self, task: str = "version") -> object:
        return self.project.submit(task).result()

    def begin_job(self) -> None:
        self.project.delay("wait_for", "go")
        wait_for((self.project.folder / "begun").exists, "the job to begin")

    @property
    def is_done(self) -> bool:
        return (self.project.folder / "done").exists()

    def close(self) -> None:
        for process in self._processes:
            process.kill()
        self.project.close()


@pytest.fixture
def reloaded(tmp_path: Path, gearmand: JobServer) -> Iterator[Reloaded]:
    made = Reloaded(WorkerProject(tmp_path, gearmand.address))
    yield made
    made.close()


def workers_of(parent: Process) -> list[psutil.Process]:
    return psutil.Process(parent.pid).children(recursive=True)


def worker_of(parent: Process) -> psutil.Process:
    (worker,) = workers_of(parent)
    return worker


def wait_for_end(worker: psutil.Process) -> None:
    wait_for(lambda: not worker.is_running(), f"process {worker.pid} to end")


def wait_for_count(process: Process, text: str, count: int) -> None:
    wait_for(lambda: process.output().count(text) >= count, f"{count} times {text!r}")


@pytest.fixture(params=["watchfiles", "polling"])
def python_path(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return where modules are found first: with polling, a watchfiles that is not there."""
    folder = tmp_path / "no_watchfiles"
    folder.mkdir()
    if request.param == "polling":
        (folder / "watchfiles.py").write_text("raise ImportError('not installed')")
    else:
        pytest.importorskip("watchfiles")
    return str(folder)


def test_change__replaces_the_worker_after_the_job_in_hand(
    reloaded: Reloaded, python_path: str
) -> None:
    parent = reloaded.start_ready(python_path=python_path)
    assert reloaded.version() == "first"
    first = worker_of(parent)
    reloaded.begin_job()
    reloaded.change("parts.py", "VERSION = 'second one'\n")
    parent.wait_for_output(REPLACES)
    parent.wait_for_output("Draining: 1 job in hand")
    assert first.is_running()
    assert not reloaded.is_done
    reloaded.project.allow("go")
    assert reloaded.version() == "second one"
    assert reloaded.is_done
    assert worker_of(parent) != first
    assert f"Changed: {reloaded.project.package}/parts.py; {REPLACES}" in parent.output()


def test_error__is_shown_and_the_next_change_tried(reloaded: Reloaded, python_path: str) -> None:
    parent = reloaded.start_ready(python_path=python_path)
    reloaded.change("parts.py", "VERSION = = 'second one'\n")
    parent.wait_for_output(f"The worker has ended with exit code 3; {WAITS}")
    assert "SyntaxError: invalid syntax" in parent.output()
    reloaded.change("parts.py", "VERSION = wrong\n")
    parent.wait_for_output("NameError: name 'wrong' is not defined")
    wait_for_count(parent, WAITS, 2)
    reloaded.change("parts.py", "VERSION = 'third one, mended'\n")
    assert reloaded.version() == "third one, mended"


def test_error__that_is_there_from_the_start(reloaded: Reloaded) -> None:
    reloaded.change("parts.py", "1 / 0\n")
    parent = reloaded.start()
    parent.wait_for_output(WAITS)
    assert "ZeroDivisionError" in parent.output()
    assert parent.returncode is None
    reloaded.change("parts.py", "VERSION = 'mended'\n")
    assert reloaded.version() == "mended"


def test_error__that_a_new_file_mends(reloaded: Reloaded) -> None:
    reloaded.change("parts.py", f"from {reloaded.project.package}.more import VERSION\n")
    parent = reloaded.start()
    parent.wait_for_output(WAITS)
    reloaded.project.write("more/__init__.py", "VERSION = 'of another file'\n")
    assert reloaded.version() == "of another file"


def test_error__in_the_settings(reloaded: Reloaded) -> None:
    settings = reloaded.project.folder / "gearfleet.toml"
    parent, good = reloaded.start_ready(), settings.read_text()
    settings.write_text(f"{good}\nnonsense = 1\n")
    parent.wait_for_output(f"The worker has ended with exit code 78; {WAITS}")
    assert "Unknown setting 'nonsense'" in parent.output()
    settings.write_text(good)
    assert reloaded.version() == "first"


def test_module__that_only_a_task_imports_is_watched(reloaded: Reloaded) -> None:
    parent = reloaded.start_ready()
    assert reloaded.version("late") == "first"
    # It is told of within a second; a change before that is seen when it is told of.
    reloaded.change("lately.py", "VERSION = 'second one'\n")
    parent.wait_for_output("Draining")  # else it may still take the job
    assert f"Changed: {reloaded.project.package}/lately.py; {REPLACES}" in parent.output()
    assert reloaded.version("late") == "second one"


def test_template__is_watched_with_new_ones(reloaded: Reloaded) -> None:
    templates = reloaded.project.folder / reloaded.project.package / "templates" / "mails"
    templates.mkdir(parents=True)
    parent = reloaded.start_ready()
    (templates / "bill.txt").write_text("Dear {{ name }}")
    parent.wait_for_output("templates/mails/bill.txt; the worker is replaced")
    wait_for_count(parent, "Registered at job server", 2)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signal__ends_everything_after_the_job_in_hand(
    number: signal.Signals, reloaded: Reloaded
) -> None:
    parent = reloaded.start_ready()
    worker = worker_of(parent)
    reloaded.begin_job()
    parent.signal(number)
    parent.wait_for_output("Draining: 1 job in hand")
    assert parent.returncode is None
    reloaded.project.allow("go")
    assert parent.wait() == 0
    wait_for_end(worker)
    assert reloaded.is_done


def test_signal__the_second_interrupts_the_job(reloaded: Reloaded) -> None:
    parent = reloaded.start_ready()
    worker = worker_of(parent)
    reloaded.begin_job()
    parent.signal(signal.SIGTERM)
    parent.wait_for_output("Draining: 1 job in hand")
    parent.signal(signal.SIGTERM)
    assert parent.wait() == 0
    wait_for_end(worker)
    assert "1 given back" in parent.output()


def test_signal__ends_a_parent_that_waits_for_a_change(reloaded: Reloaded) -> None:
    reloaded.change("parts.py", "1 / 0\n")
    parent = reloaded.start()
    parent.wait_for_output(WAITS)
    parent.signal(signal.SIGINT)
    assert parent.wait() == 0


def test_parent__that_is_killed_leaves_no_orphan(reloaded: Reloaded) -> None:
    parent = reloaded.start_ready()
    worker = worker_of(parent)
    reloaded.begin_job()
    parent.signal(signal.SIGKILL)
    parent.wait()
    wait_for(lambda: "Draining: 1 job in hand" in parent.output(), "the worker to notice")
    reloaded.project.allow("go")
    wait_for_end(worker)
    assert reloaded.is_done


def test_worker__that_is_killed_starts_with_the_next_change(reloaded: Reloaded) -> None:
    parent = reloaded.start_ready()
    worker_of(parent).kill()
    parent.wait_for_output(f"The worker has ended with SIGKILL; {WAITS}")
    reloaded.change("parts.py", "VERSION = 'second one'\n")
    assert reloaded.version() == "second one"


def test_worker__that_is_told_to_stop_ends_the_parent(reloaded: Reloaded) -> None:
    parent = reloaded.start_ready()
    worker_of(parent).terminate()
    assert parent.wait() == 0


@contextmanager
def terminal(command: Sequence[str], folder: Path, log: Path) -> Iterator[tuple[Process, int]]:
    """Run a command as the foreground of a terminal of its own; yield it, and who types there."""
    typist, theirs = pty.openpty()
    script = (
        "import fcntl, os, sys, termios\n"
        f"fcntl.ioctl({theirs}, termios.TIOCSCTTY, 0)\n"
        "os.execv(sys.argv[1], sys.argv[1:])\n"
    )
    process = Process(
        [sys.executable, "-c", script, *command],
        log=log,
        cwd=folder,
        env=clean_environment(GEARFLEET_RUN_DIR=str(folder / "run")),
        terminal=theirs,
    )
    os.close(theirs)
    try:
        yield process, typist
    finally:
        process.kill()
        os.close(typist)


def test_ctrl_c__at_a_terminal_is_one_signal_to_the_worker(reloaded: Reloaded) -> None:
    folder = reloaded.project.folder
    command = reloaded.project.command("--reload")
    with terminal(command, folder, folder / "terminal.log") as (parent, typist):
        parent.wait_for_output("Registered at job server")
        worker = worker_of(parent)
        reloaded.begin_job()
        os.write(typist, b"\x03")
        parent.wait_for_output("Draining: 1 job in hand")
        reloaded.project.allow("go")
        assert parent.wait() == 0
        wait_for_end(worker)
        assert reloaded.is_done
        assert "Interrupting" not in parent.output()


# Under Django, by each of its doors

DJANGO_TASKS = """\
from django.conf import settings
from django.template.loader import render_to_string
from gearfleet import task

@task(queue="foo")
def version():
    return settings.VERSION + render_to_string("version.txt")
"""
DJANGO_SETTINGS = """
from pathlib import Path
BASE_DIR = Path(__file__).parent
TEMPLATES = [{
    "BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": [BASE_DIR / "pages"],
}]
VERSION = "first"
"""


@pytest.mark.parametrize("door", ["gearman_worker", "manage.py gearfleet", "gearfleet"])
def test_django__settings_and_templates_are_watched(
    door: str, tmp_path: Path, gearmand: JobServer
) -> None:
    project = make_project(tmp_path / "project", gearmand.address, {"worker_foo": DJANGO_TASKS})
    project.add_settings(DJANGO_SETTINGS)
    pages = project.folder / "pages"
    pages.mkdir()
    (pages / "version.txt").write_text(" page")
    parent = Process(
        command_of(project, door),
        log=tmp_path / "log",
        cwd=project.folder,
        env=project.environment,
    )
    settings = Settings(servers=(gearmand.address,), client_timeout=30, signing_keys=(SECRET_KEY,))
    client = Client(settings)
    try:
        parent.wait_for_output("Registered at job server")
        assert client.submit("myapp.worker_foo.version") == "first page"
        (pages / "version.txt").write_text(" page, changed")
        parent.wait_for_output("Draining")  # else it may still take the job
        assert client.submit("myapp.worker_foo.version") == "first page, changed"
        project.add_settings("VERSION = no_such_name")
        parent.wait_for_output(WAITS)
        assert "NameError: name 'no_such_name' is not defined" in parent.output()
        project.add_settings("\nno_such_name = VERSION\n")
        wait_for_count(parent, WAITS, 2)
        source = (project.folder / "settings.py").read_text()
        (project.folder / "settings.py").write_text(source.replace("= no_such_name", "= 'third'"))
        assert client.submit("myapp.worker_foo.version") == "third page, changed"
        parent.signal(signal.SIGTERM)
        assert parent.wait() == 0
    finally:
        parent.kill()
        client.close()


def command_of(project: Project, door: str) -> list[str]:
    words = ["-a", "myapp", "-n", "worker_foo", "--reload"]
    if door == "gearman_worker":
        return project.manage("gearman_worker", *words)
    if door == "manage.py gearfleet":
        return project.manage("gearfleet", "worker", *words)
    return project.gearfleet("worker", *words)


def test_pool__is_refused(reloaded: Reloaded) -> None:
    parent = reloaded.start("--processes", "2")
    assert parent.wait() == 2
    assert "--reload is for one worker: leave out --processes" in parent.output()
