"""Jobs of every form, callers that can be killed, and what became of the jobs."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import gearfleet
from gearfleet import Client
from gearfleet.results import open_store
from gearfleet.tasks import SubmitOptions
from tests.support.processes import Process, clean_environment
from tests.support.waiting import wait_for
from tests.support.workers import WorkerProject

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from pathlib import Path

    from gearfleet.results import TaskRecord
    from gearfleet.tasks import JobHandle
    from tests.support.job_servers import JobServer

#: Of jobs, as the columns of the table in docs/explanation/delivery.md; "retry" is one
#: that has failed once, and is to be tried again.
FORMS = ("foreground", "background", "delayed")
KEPT_FORMS = ("background", "delayed", "retry")
ALL_FORMS = (*FORMS, "retry")

#: Seconds after which delayed jobs, and further attempts, are due.
DELAY = 1.0

TASKS = """
from gearfleet import Retry, current_job

def mark(name):
    note(f"mark {name} {current_job().attempt} {time.time()}")

@task(queue="foo")
def work(name):
    mark(name)
    while not (FOLDER / name).exists():
        time.sleep(0.01)
    note(f"done {name}")
    return name

@task(queue="foo", retries=1, backoff=DELAY)
def work_again(name):
    mark(name)
    if current_job().attempt == 1:
        raise ValueError("the first attempt")
    while not (FOLDER / name).exists():
        time.sleep(0.01)
    note(f"done {name}")
    return name

@task(queue="foo")
def fail(name):
    mark(name)
    raise ValueError("always")
"""

CALLER = """
import sys
from gearfleet import Client
from gearfleet.tasks import SubmitOptions
form, task, name, delay = sys.argv[1:]
with Client() as client:
    if form == "foreground":
        client.submit(task, name)
    else:
        options = SubmitOptions(after=float(delay)) if form == "delayed" else SubmitOptions()
        client.enqueue(task, (name,), {}, options)
        print("accepted")
"""


class Delivery(WorkerProject):
    """A project whose callers, workers and job servers die.

    Its workers and callers know `servers`; what the test itself submits and asks
    goes to `direct`, where a gate stands before that.
    """

    def __init__(
        self,
        folder: Path,
        *servers: str,
        direct: str = "",
        delay: float = DELAY,
        **settings: Any,
    ) -> None:
        """Add `settings` to those of the project; delayed jobs are due after `delay` seconds."""
        text = "".join(f"{key} = {value!r}\n" for key, value in settings.items())
        super().__init__(folder, *servers, more=f"\nDELAY = {delay}\n{TASKS}", toml=text)
        self.delay_of_jobs = delay
        known = (direct,) if direct else servers
        self.settings = replace(self.settings, servers=known, root=folder, **settings)
        self.client = Client(self.settings)

    def call(self, form: str, name: str, **environment: str) -> Process:
        """Start a process that submits a job, and waits for it if that is the form."""
        process = Process(
            [
                sys.executable,
                "-c",
                CALLER,
                form,
                self.function("work"),
                name,
                str(self.delay_of_jobs),
            ],
            log=self.folder / f"caller.{len(self._processes)}.log",
            cwd=self.folder,
            env=clean_environment(GEARFLEET_RUN_DIR=str(self.run_dir), **environment),
        )
        self._processes.append(process)
        return process

    def send(self, form: str, name: str) -> JobHandle | Future[Any]:
        """Submit a job that goes on until `allow(name)`; that of "retry" first fails once."""
        return self.submit("work", name) if form == "foreground" else self.enqueue(form, name)

    def enqueue(self, form: str, name: str) -> JobHandle:
        """Do what `send` does, for a job that nobody waits for."""
        task = self.function("work_again" if form == "retry" else "work")
        options = SubmitOptions(after=self.delay_of_jobs) if form == "delayed" else SubmitOptions()
        return self.client.enqueue(task, (name,), {}, options)

    def send_in_thread(self, form: str, name: str) -> Future[Any]:
        """Do what `send` does; the future is also there where the job is not accepted."""
        if form == "foreground":
            return self.submit("work", name)
        return self._pool.submit(self.enqueue, form, name)

    def outcome(self, job: JobHandle | Future[Any]) -> Any:
        """Return what the caller of a job hears; nobody waits longer than for a deadline."""
        if isinstance(job, gearfleet.JobHandle):
            return self.record(job).result
        return job.result(30)

    def record(self, job: JobHandle) -> TaskRecord:
        """Return what became of the job, once no further attempt of it comes."""
        record = gearfleet.fetch(job, wait=30, settings=self.settings)
        assert record is not None, f"no record of {job}"
        return record

    def trace(self, job: JobHandle) -> TaskRecord | None:
        """Return what the store knows of the job by now, the state "retry" included."""
        store = open_store(self.settings)
        assert store is not None
        return store.get(job.id)

    def marks(self, name: str) -> list[tuple[int, float]]:
        """Return the attempt, and the moment, of each run of a job."""
        lines = (line.split() for line in self.diary)
        return [(int(each[2]), float(each[3])) for each in lines if each[:2] == ["mark", name]]

    def attempts(self, name: str) -> list[int]:
        return [attempt for attempt, _ in self.marks(name)]

    def wake(self) -> None:
        """Wake the workers: gearmand tells nobody that a delayed job is due (F5)."""
        self.delay("echo", "wake up")

    def wait_for_marks(self, name: str, count: int, *, wakes: bool = False) -> None:
        """Wait until the job has begun so many times."""

        def is_there() -> bool:
            if wakes:
                self.wake()
            return len(self.marks(name)) >= count

        try:
            wait_for(is_there, f"run {count} of {name}", interval=0.05)
        except AssertionError as error:
            logs = "\n".join(each.output() for each in self._processes)
            raise AssertionError(f"{error}; diary: {self.diary}; logs:\n{logs}") from error


def jobs_of(server: JobServer, function: str) -> tuple[int, int]:
    """Return how many jobs of a function, and of its delayed ones, are there, and how many run."""
    rows = [line.split("\t") for line in server.text("status")]
    mine = [row for row in rows if row[0] in {function, f"{function}+later"}]
    return sum(int(row[1]) for row in mine), sum(int(row[2]) for row in mine)


def wait_for_jobs(
    server: JobServer, function: str, count: int, nudge: Callable[[], object] = lambda: None
) -> None:
    """Wait until so many jobs of a function are there; call `nudge` until then."""

    def is_so() -> bool:
        nudge()
        return jobs_of(server, function)[0] == count

    wait_for(is_so, f"{count} jobs of {function} at {server.address}", interval=0.05)
