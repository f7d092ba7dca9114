"""Pools of workers, and every process that one of them has brought into the world."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.processes import Process, clean_environment, living_in
from tests.support.waiting import wait_for
from tests.support.workers import WorkerProject

if TYPE_CHECKING:
    from tests.support.job_servers import JobServer

#: Tasks that say which process runs them, and which code it has.
SOURCE = """
VERSION = "one"

@task(queue="foo")
def version():
    return VERSION

@task(queue="foo")
def pid():
    return os.getpid()

@task(queue="foo")
def leave_behind():
    import subprocess
    script = "sleep 0.1 >/dev/null & echo $!"
    return int(subprocess.run(["sh", "-c", script], stdout=subprocess.PIPE, check=True).stdout)

@task(queue="foo")
def hold(name):
    note(f"hold {os.getpid()}")
    try:
        while not (FOLDER / name).exists():
            time.sleep(0.01)
    finally:
        note(f"let go {os.getpid()}")
    return os.getpid()
"""


class PoolProject(WorkerProject):
    """A project that is served by pools; their processes are found wherever they end up."""

    def __init__(self, folder: Path, server: JobServer, *, more: str = "", toml: str = "") -> None:
        super().__init__(folder, server.address, more=SOURCE + more, toml=toml)
        self.server = server
        self.pools: list[Process] = []

    def start(self, *options: str, **environ: str) -> Process:
        """Start a pool."""
        log = self.folder / f"pool.{len(self.pools)}.log"
        environment = clean_environment(GEARFLEET_RUN_DIR=str(self.run_dir), **environ)
        folder = environ.get("GEARFLEET_DIRECTORY", self.folder)
        pool = Process(self.command(*options), log=log, cwd=Path(folder), env=environment)
        self.pools.append(pool)
        self._processes.append(pool)
        return pool

    def start_pool(self, size: int, *options: str, **environ: str) -> Process:
        """Start a pool, and wait until all of its workers serve."""
        pool = self.start("--processes", str(size), *options, **environ)
        pool.wait_for_output(f"All {size} workers serve")
        return pool

    def rewrite(self, before: str, after: str) -> None:
        """Change the worker module; the compiled one must not be taken for it."""
        path = self.folder / self.package / "gearman_workers/worker_foo.py"
        source = path.read_text()
        assert before in source
        path.write_text(source.replace(before, after))
        for compiled in path.parent.rglob("*.pyc"):
            compiled.unlink()

    @property
    def living(self) -> set[int]:
        """The processes of the pools' sessions, whoever is their parent now.

        Not by a variable: a process that gives itself a title overwrites where it stood.
        """
        return living_in({pool.pid for pool in self.pools})

    @property
    def registered(self) -> set[int]:
        """The pids of the workers that the job server knows."""
        rows = (line.split() for line in self.server.text("workers"))
        ids = [row[2].split("/") for row in rows if len(row) > 4 and self.package in row[4]]
        return {int(parts[3]) for parts in ids if len(parts) > 3}

    def wait_for_workers(self, count: int) -> set[int]:
        """Wait until exactly so many workers are registered; return their pids."""
        wait_for(lambda: len(self.registered) == count, f"{count} workers")
        return self.registered

    def hold(self, count: int) -> set[int]:
        """Keep so many workers in a job that ends with `allow("go")`; return their pids."""
        known = len(self.noted("hold"))
        for _ in range(count):
            self.delay("hold", "go")
        try:
            wait_for(lambda: len(self.noted("hold")) == known + count, f"{count} jobs in hand")
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.diary}\n{self.logs()}") from error
        return set(self.noted("hold")[known:])

    def noted(self, word: str) -> list[int]:
        """Return the pids that tasks noted with a word."""
        return [int(note.rsplit(" ", 1)[1]) for note in self.diary if note.startswith(f"{word} ")]

    def logs(self) -> str:
        return "\n".join(pool.output() for pool in self.pools)

    def nursery(self, pool: Process) -> int:
        """Return the pid of the process that forks the workers."""

        def found() -> set[int]:
            # A worker that has just been forked is not registered yet.
            others = self.living - {pool.pid} - self.registered
            return others if len(others) == 1 else set()

        return wait_for(found, "a nursery, and nobody else").pop()

    def wait_until_all_gone(self) -> None:
        try:
            wait_for(lambda: not self.living, "every process of the pool to be gone")
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.living}\n{self.logs()}") from error

    def close(self) -> None:
        try:
            super().close()
        finally:
            for pid in self.living:
                kill(pid, signal.SIGKILL)


def kill(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
