"""A project with one worker module, and worker processes that serve it."""

from __future__ import annotations

import itertools
import os
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from gearfleet import Client
from gearfleet.config import Settings
from tests.support.processes import GEARFLEET, Process, clean_environment, living_in
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

_numbers = itertools.count()

#: Tasks that write a diary, and one that goes on until a file is there.
SOURCE = """\
import asyncio, os, pathlib, sys, time
from gearfleet import hooks, task

FOLDER = pathlib.Path(__file__).parents[2]

def note(text):
    with (FOLDER / "diary").open("a") as diary:
        diary.write(text + "\\n")

@task(queue="foo")
def echo(*args):
    note(f"echo {args}")
    return list(args)

@task(queue="foo")
def wait_for(name):
    note(f"begin {name}")
    try:
        while not (FOLDER / name).exists():
            time.sleep(0.01)
        note(f"done {name}")
        return name
    finally:
        note(f"finally {name}")

@task(queue="bar")
async def wait_for_ever(name):
    note(f"begin {name}")
    try:
        await asyncio.sleep(1000)
    finally:
        await asyncio.sleep(0)
        note(f"finally {name}")

@task(queue="bar")
def exit_process():
    sys.exit(3)

@task(queue="bar")
def hold_on(name):
    note(f"begin {name}")
    while not (FOLDER / name).exists():
        try:
            time.sleep(0.01)
        except BaseException:
            note("holds on")

@hooks.on_shutdown
def say_goodbye(reason):
    note(f"goodbye {reason}")
"""


class WorkerProject:
    """A plain Python project in `folder`; its package has a name that no other test uses."""

    #: Whether its workers import everything for themselves, see `tests.support.ready`.
    fresh = False

    def __init__(self, folder: Path, *servers: str, more: str = "", toml: str = "") -> None:
        """Serve jobs of `servers`; `more` is added to the worker module, `toml` to the settings."""
        self.folder = folder
        self.package = f"app_{os.getpid()}_{next(_numbers)}"
        self.run_dir = folder / "run"
        self.settings = Settings(servers=servers, client_timeout=30, run_dir=self.run_dir)
        self.client = Client(self.settings)
        self._pool = ThreadPoolExecutor(4)
        self._processes: list[Process] = []
        self.write("gearman_workers/worker_foo.py", SOURCE + more)
        (folder / "gearfleet.toml").write_text(
            f"apps = ['{self.package}']\nservers = {list(servers)}\n{toml}"
        )

    def write(self, path: str, source: str) -> None:
        """Write a module of the package."""
        target = self.folder / self.package / path
        target.parent.mkdir(parents=True, exist_ok=True)
        (self.folder / self.package / "__init__.py").touch()
        (target.parent / "__init__.py").touch()
        target.write_text(source)

    def command(self, *options: str) -> list[str]:
        return [*GEARFLEET, "worker", "-a", self.package, "-n", "worker_foo", *options]

    def start(self, *options: str) -> Process:
        """Start a worker."""
        log = self.folder / f"worker.{len(self._processes)}.log"
        environment = clean_environment(GEARFLEET_RUN_DIR=str(self.run_dir))
        process = Process(
            self.command(*options), log=log, cwd=self.folder, env=environment, fresh=self.fresh
        )
        self._processes.append(process)
        return process

    def start_ready(self, *options: str) -> Process:
        """Start a worker and wait until it is registered."""
        process = self.start(*options)
        process.wait_for_output("Registered at job server")
        return process

    def function(self, task: str) -> str:
        return f"{self.package}.worker_foo.{task}"

    def delay(self, task: str, *args: Any) -> None:
        """Submit a background job."""
        self.client.delay(self.function(task), *args)

    def submit(self, task: str, *args: Any) -> Future[Any]:
        """Submit a foreground job, and wait for its result in a thread."""
        return self._pool.submit(self.client.submit, self.function(task), *args)

    @property
    def diary(self) -> list[str]:
        path = self.folder / "diary"
        return path.read_text().splitlines() if path.exists() else []

    def wait_for_note(self, note: str) -> None:
        """Wait until a task or hook has written `note`."""
        try:
            wait_for(lambda: note in self.diary, f"the note {note!r}")
        except AssertionError as error:
            logs = "\n".join(process.output() for process in self._processes)
            raise AssertionError(f"{error}; notes: {self.diary}; logs:\n{logs}") from error

    def allow(self, name: str) -> None:
        """Let `wait_for(name)` and `hold_on(name)` end."""
        (self.folder / name).touch()

    def close(self) -> None:
        """End the workers at once: to drain, one would wait for a job that no test lets end.

        One that has ended by then, however it did, must have left nobody behind.
        """
        ended = {process.pid for process in self._processes if process.returncode is not None}
        try:
            wait_for(lambda: not living_in(ended), "processes of ended workers to end", timeout=5)
        finally:
            for process in self._processes:
                process.kill()
            self._pool.shutdown()
            self.client.close()
