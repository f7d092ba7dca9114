"""A rendered fleet that runs under a real supervisord, and jobs that keep it busy."""

from __future__ import annotations

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from tests.support.crews import PLUGIN
from tests.support.processes import GEARFLEET, Process, clean_environment, run
from tests.support.supervisord import Supervisord
from tests.support.waiting import wait_for
from tests.support.workers import WorkerProject

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.job_servers import JobServer

#: One that takes a moment, as the jobs do that a restart must not lose.
TASKS = """
@task(queue="foo")
def tick(number):
    note(f"tick {number}")
    time.sleep(0.02)
    note(f"tock {number}")
    return number

@task(queue="pool")
def tack(number):
    note(f"tick {number}")
    time.sleep(0.02)
    note(f"tock {number}")
    return number

@task(queue="pool")
def parent():
    return os.getppid()
"""


class Load:
    """Jobs that are submitted all the time, and what came of them."""

    def __init__(self) -> None:
        self.submitted = 0
        self.results: list[int] = []
        self._lock = threading.Lock()

    def next(self) -> int:
        """Return the number of another job."""
        with self._lock:
            self.submitted += 1
            return self.submitted - 1


class LiveFleet(WorkerProject):
    """A project whose programs supervisord runs."""

    def __init__(
        self, folder: Path, server: JobServer, *, toml: str, python: str = sys.executable
    ) -> None:
        super().__init__(folder, server.address, more=TASKS, toml=toml)
        self.server = server
        sections = PLUGIN.format(servers=server.address).replace(
            "/run/gearfleet", str(self.run_dir)
        )
        self.daemon = Supervisord(python=python, sections=sections)
        self.env = clean_environment(GEARFLEET_RUN_DIR=str(self.run_dir))

    def __enter__(self) -> Self:
        rendered = self.gearfleet("render", "-o", str(self.daemon.conf_d))
        assert rendered.returncode == 0, rendered.stderr
        self.daemon.start()
        self.daemon.wait_until_running()
        wait_for(self._serve, "every worker to serve")
        return self

    def __exit__(self, *_: object) -> None:
        self.daemon.close()
        self.close()

    def _serve(self) -> bool:
        workers = json.loads(self.gearfleet("ps", "--json").stdout)
        return bool(workers) and {worker["state"] for worker in workers} <= {"idle", "busy"}

    def gearfleet(self, *words: str) -> subprocess.CompletedProcess[str]:
        return run([*GEARFLEET, *words], cwd=self.folder, env=self.env, timeout=120)

    def control(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a verb that talks to this supervisord."""
        return self.gearfleet(*words, "-c", str(self.daemon.config))

    def start_control(self, *words: str) -> Process:
        """Start a verb that talks to this supervisord."""
        command = [*GEARFLEET, *words, "-c", str(self.daemon.config)]
        log = self.daemon.folder / f"{words[0]}.log"
        return Process(command, log=log, cwd=self.folder, env=self.env)

    def busy(self) -> list[int]:
        """Return the pids of the workers with a job in hand."""
        return [pid for pid, worker in self.workers().items() if worker["jobs"]]

    def pids(self, group: str) -> dict[str, int]:
        return {name: info["pid"] for name, info in self.daemon.processes(group).items()}

    def workers(self) -> dict[int, dict[str, Any]]:
        """Return what `gearfleet ps` says of each worker, by pid."""
        shown = json.loads(self.gearfleet("ps", "--json").stdout)
        return {worker["pid"]: worker for worker in shown}

    @contextmanager
    def loaded(self, task: str, *, callers: int = 3) -> Iterator[Load]:
        """Submit jobs all the time; at the end, each has run once and given its result."""
        load, ended = Load(), threading.Event()
        known = len(self.diary)
        with ThreadPoolExecutor(callers) as pool:
            futures = [pool.submit(self._call, task, load, ended) for _ in range(callers)]
            wait_for(lambda: len(load.results) > callers or futures[0].done(), "the first jobs")
            try:
                yield load
            finally:
                ended.set()
        for future in futures:
            future.result()
        assert sorted(load.results) == list(range(load.submitted)), "jobs were lost"
        notes = [note for note in self.diary[known:] if note.startswith(("tick", "tock"))]
        wanted = sorted(f"{word} {n}" for n in load.results for word in ("tick", "tock"))
        assert sorted(notes) == wanted, "jobs were interrupted, or run twice"

    def _call(self, task: str, load: Load, ended: threading.Event) -> None:
        while not ended.is_set():
            number = load.next()
            load.results.append(self.client.submit(self.function(task), number))
