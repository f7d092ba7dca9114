"""A job that takes its worker with it is run three times, and no more; the others are not blamed."""

from __future__ import annotations

import signal
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

import gearfleet
from gearfleet import Client
from gearfleet.errors import JobFailed
from tests.support.waiting import wait_for
from tests.support.workers import WorkerProject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gearfleet.results import TaskRecord
    from tests.support.job_servers import JobServer
    from tests.support.processes import Process

TASKS = """
import ctypes, signal

@task(queue="foo", retries=5, backoff=0.1)
def segfault(name="a"):
    note(f"segfault {name}")
    ctypes.string_at(0)

@task(queue="foo")
def exit_hard(code):
    note("exit_hard")
    os._exit(code)

@task(queue="foo")
def kill_yourself():
    note("kill_yourself")
    os.kill(os.getpid(), signal.SIGKILL)

@task(queue="foo")
def kill_twice():
    note("kill_twice")
    if (FOLDER / "diary").read_text().count("kill_twice") < 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return "survived"

@task(queue="foo")
def wait_and_segfault(number):
    time.sleep(0.3)
    segfault.func(number)

@task(queue="foo")
def nap(number):
    time.sleep(0.5)  # so long that it dies each time that it runs beside the other
    count.func(number)

@task(queue="foo")
def count(number):
    with (FOLDER / "counted").open("a") as file:
        file.write(f"{number}\\n")
"""


class Supervised(WorkerProject):
    """A project whose workers are started again when they end, as supervisord does it."""

    def __init__(self, folder: Path, server: JobServer, toml: str = "") -> None:
        super().__init__(folder, server.address, more=TASKS, toml=toml)
        self.settings = replace(self.settings, save_limit=0)
        self.client = Client(self.settings)
        self._is_over = threading.Event()
        self._threads: list[threading.Thread] = []

    def supervise(self, count: int, *options: str) -> None:
        """Keep so many workers running until `close`."""
        places = [[self.start(*options)] for _ in range(count)]
        self._threads = [
            threading.Thread(target=self._keep, args=(place, options)) for place in places
        ]
        for thread in self._threads:
            thread.start()

    def _keep(self, place: list[Process], options: tuple[str, ...]) -> None:
        while not self._is_over.wait(0.05):
            if place[0].returncode is not None:
                place[0] = self.start(*options)

    def close(self) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()
        super().close()

    def job(self, task: str, *args: Any) -> gearfleet.JobHandle:
        return self.client.delay(self.function(task), *args)

    @property
    def counted(self) -> set[str]:
        """The jobs of `count` that have run."""
        path = self.folder / "counted"
        return set(path.read_text().split()) if path.exists() else set()

    def trace(self, job: gearfleet.JobHandle) -> TaskRecord | None:
        return gearfleet.fetch(job, settings=self.settings)

    def record(self, job: gearfleet.JobHandle) -> TaskRecord:
        found = gearfleet.fetch(job, wait=60, settings=self.settings)
        assert found is not None, self.diary
        return found


@pytest.fixture
def supervised(tmp_path: Path, job_server: JobServer) -> Iterator[Callable[..., Supervised]]:
    made: list[Supervised] = []

    def make(toml: str = "") -> Supervised:
        made.append(Supervised(tmp_path, job_server, toml))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_segfault__among_a_thousand_good_jobs(supervised: Callable[..., Supervised]) -> None:
    project = supervised("results = 'sqlite'\nsave_limit = -1\n")
    function = project.function("count")
    for number in range(500):
        project.client.delay(function, number)
    bad = project.job("segfault")
    for number in range(500, 1000):
        project.client.delay(function, number)
    project.supervise(3, "--prefetch", "4")
    record = project.record(bad)
    assert record.failure is not None
    assert record.failure.type == "gearfleet.errors.JobQuarantined"
    assert record.failure.message.count("worker_foo (pid ") == 3
    assert record.has_arguments
    assert (record.state, record.attempt) == ("failure", 1), "and no further attempt"
    assert project.diary.count("segfault a") == 3
    wait_for(lambda: len(project.counted) == 1000, "1000 jobs")
    wait_for(lambda: not list((project.run_dir / "quarantine").glob("*.jsonl")), "no suspects")


@pytest.mark.parametrize(
    ("task", "args"), [("exit_hard", [0]), ("exit_hard", [1]), ("kill_yourself", [])]
)
def test_other_ways_to_die(
    supervised: Callable[..., Supervised], task: str, args: list[int]
) -> None:
    project = supervised()
    project.supervise(2)
    record = project.record(project.job(task, *args))
    assert record.failure is not None
    assert record.failure.type == "gearfleet.errors.JobQuarantined"
    assert project.diary.count(task) == 3
    assert project.submit("echo", 1).result(30) == [1]


def test_caller_that_waits__is_told(supervised: Callable[..., Supervised]) -> None:
    project = supervised("quarantine_after = 2\n")
    project.supervise(2)
    with pytest.raises(JobFailed, match="Not run again: 2 workers died") as error:
        project.submit("segfault").result(60)
    assert error.value.failure is not None
    assert error.value.failure.type == "gearfleet.errors.JobQuarantined"
    assert project.diary.count("segfault a") == 2


def test_success__after_two_deaths(supervised: Callable[..., Supervised]) -> None:
    project = supervised()
    project.supervise(1)
    assert project.record(project.job("kill_twice")).result == "survived"
    assert list((project.run_dir / "quarantine").glob("*.jsonl")) == []


def test_switched_off__the_job_runs_again_and_again(supervised: Callable[..., Supervised]) -> None:
    project = supervised("quarantine_after = 0\n")
    project.supervise(2)
    project.job("kill_yourself")
    wait_for(lambda: project.diary.count("kill_yourself") > 4, "the fifth run")


@pytest.mark.parametrize("signals", [1, 2])
def test_deploy__that_kills_in_the_end_blames_no_job(
    supervised: Callable[..., Supervised], signals: int
) -> None:
    project = supervised()
    job = project.job("hold_on", "go")
    for run in range(1, 5):
        worker = project.start()
        wait_for(lambda: project.diary.count("begin go") == run, f"run {run}")  # noqa: B023
        for _ in range(signals):
            worker.signal(signal.SIGTERM)
            worker.wait_for_output("Draining: 1 job in hand")
        if signals == 2:
            worker.wait_for_output("Interrupting the job in hand")
        worker.kill()
    project.allow("go")
    project.start()
    assert project.record(job).is_success


def test_several_at_a_time__those_that_only_were_there_are_cleared(
    supervised: Callable[..., Supervised],
) -> None:
    project = supervised()
    bad = [project.job("wait_and_segfault", name) for name in ("a", "b")]
    naps = [project.job("nap", number) for number in range(2)]
    project.supervise(1, "--concurrency", "4")
    for job in bad:
        failure = project.record(job).failure
        assert failure is not None
        assert failure.type == "gearfleet.errors.JobQuarantined"
    wait_for(lambda: len(project.counted) == 2, "the naps")
    for job in naps:
        record = project.trace(job)
        assert record is None or record.is_success, "none failed; some records died"
    assert not list((project.run_dir / "quarantine").glob("*.jsonl"))


def test_prefetched__jobs_of_a_dead_worker_are_not_blamed(
    supervised: Callable[..., Supervised],
) -> None:
    project = supervised()
    bad = project.job("segfault")
    for number in range(3):
        project.job("count", number)
    project.supervise(1, "--prefetch", "4")
    project.record(bad)
    wait_for(lambda: len(project.counted) == 3, "the good jobs")
    log = "".join(path.read_text() for path in project.folder.glob("worker.*.log"))
    assert log.count("A worker died while it ran job") == 3
    assert log.count(f"of {project.function('segfault')}: worker_foo (pid") == 3
