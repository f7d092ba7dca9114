"""Delivery, when a worker dies: the cells of the table in docs/explanation/delivery.md."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

import gearfleet
from gearfleet.errors import JobFailed
from gearfleet.gearman.protocol import Command
from tests.support.deliveries import ALL_FORMS, DELAY, FORMS, Delivery, jobs_of, wait_for_jobs
from tests.support.gates import Gate, any_of, is_next_attempt
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gearfleet.gearman.protocol import Packet
    from tests.support.job_servers import JobServer

FAILS = any_of(Command.WORK_EXCEPTION, Command.WORK_FAIL)


@pytest.fixture
def project(tmp_path: Path, gearmand: JobServer) -> Iterator[Delivery]:
    made = Delivery(tmp_path, gearmand.address)
    yield made
    made.close()


def is_the_result_of_a(packet: Packet) -> bool:
    return packet.command is Command.WORK_COMPLETE and packet.args[1] == b'"a"'


@contextmanager
def gated(
    folder: Path, server: JobServer, stops_at: Callable[[Packet], bool]
) -> Iterator[tuple[Delivery, Gate]]:
    """Put a gate between the workers of a project and their job server."""
    with Gate(server, stops_at) as gate:
        project = Delivery(folder, gate.address, direct=server.address)
        try:
            yield project, gate
        finally:
            project.close()


@pytest.mark.parametrize("form", ALL_FORMS)
def test_worker_dies__job_given_and_not_begun__runs_elsewhere(
    tmp_path: Path, gearmand: JobServer, form: str
) -> None:
    function = {"retry": b".work_again+later", "delayed": b".work+later"}.get(form, b".work")

    def is_given(packet: Packet) -> bool:
        return packet.command is Command.JOB_ASSIGN_UNIQ and packet.args[1].endswith(function)

    with gated(tmp_path, gearmand, is_given) as (project, gate):
        project.allow("a")
        worker = project.start_ready()
        job = project.send(form, "a")
        gate.wait(project.wake)
        worker.kill()
        gate.drop()
        assert "done a" not in project.diary
        project.start_ready()
        assert project.outcome(job) == "a"
    assert project.attempts("a") == ([1, 2] if form == "retry" else [1])


@pytest.mark.parametrize("form", FORMS)
def test_worker_dies__job_prefetched__runs_elsewhere(
    project: Delivery, gearmand: JobServer, form: str
) -> None:
    names = ["a", "b", "c", "d"]
    jobs = [project.send(form, name) for name in names]
    wait_for_jobs(gearmand, project.function("work"), 4)
    due = time.time() + DELAY + 1  # gearmand counts whole seconds
    wait_for(lambda: form != "delayed" or time.time() > due, "the jobs to be due")
    for _ in range(8):
        project.wake()  # a worker takes more jobs at a time as they come
    first = project.start("--prefetch", "4")
    wait_for(
        lambda: jobs_of(gearmand, project.function("work"))[1] > 1, "the worker to have several"
    )
    wait_for(lambda: any(map(project.marks, names)), "one to begin")
    (begun,) = (name for name in names if project.marks(name))
    first.kill()
    for name in names:
        project.allow(name)
    project.start_ready()
    assert [project.outcome(job) for job in jobs] == names
    runs = {name: len(project.marks(name)) for name in names}
    assert runs == {**dict.fromkeys(names, 1), begun: 2}


@pytest.mark.parametrize("form", ALL_FORMS)
def test_worker_dies__in_the_job__runs_again_elsewhere(project: Delivery, form: str) -> None:
    attempt, first_run = (2, 2) if form == "retry" else (1, 1)
    worker = project.start_ready()
    job = project.send(form, "a")
    project.wait_for_marks("a", first_run, wakes=form in {"delayed", "retry"})
    worker.kill()
    project.start_ready()
    project.wait_for_marks("a", first_run + 1)
    project.allow("a")
    assert project.outcome(job) == "a"
    assert project.attempts("a")[-2:] == [attempt, attempt], "the same attempt, once more"
    if isinstance(job, gearfleet.JobHandle):
        assert project.record(job).attempt == attempt


@pytest.mark.parametrize("form", ALL_FORMS)
def test_worker_dies__job_done_and_not_answered__runs_again(
    tmp_path: Path, gearmand: JobServer, form: str
) -> None:
    with gated(tmp_path, gearmand, is_the_result_of_a) as (project, gate):
        project.allow("a")
        worker = project.start_ready()
        job = project.send(form, "a")
        gate.wait(project.wake)
        runs = len(project.marks("a"))
        worker.kill()
        gate.drop()
        project.start_ready()
        project.wait_for_marks("a", runs + 1)
        assert project.outcome(job) == "a"
    assert project.diary.count("done a") == 2
    assert len(set(project.attempts("a")[-2:])) == 1


def test_worker_dies__job_failed_and_not_answered__is_on_record_already_and_runs_again(
    tmp_path: Path, gearmand: JobServer
) -> None:
    with gated(tmp_path, gearmand, FAILS) as (project, gate):
        worker = project.start_ready()
        job = project.client.delay(project.function("fail"), "a")
        gate.wait()
        record = project.trace(job)
        assert record is not None
        assert str(record.failure) == "ValueError: always"
        worker.kill()
        gate.drop()
        project.start_ready()
        wait_for_jobs(gearmand, project.function("fail"), 0)
        assert project.attempts("a") == [1, 1]
        assert project.record(job).state == "failure"


def test_worker_dies__foreground_job_failed_and_not_answered__the_caller_hears_of_the_second_run(
    tmp_path: Path, gearmand: JobServer
) -> None:
    with gated(tmp_path, gearmand, FAILS) as (project, gate):
        worker = project.start_ready()
        job = project.submit("fail", "a")
        gate.wait()
        worker.kill()
        gate.drop()
        assert not job.done()
        project.start_ready()
        with pytest.raises(JobFailed, match="always"):
            job.result(30)
        assert project.attempts("a") == [1, 1]


def test_worker_dies__next_attempt_not_accepted__the_failed_one_runs_again(
    tmp_path: Path, gearmand: JobServer
) -> None:
    with gated(tmp_path, gearmand, is_next_attempt) as (project, gate):
        project.allow("a")
        worker = project.start_ready()
        job = project.enqueue("retry", "a")
        gate.wait()
        assert jobs_of(gearmand, project.function("work_again")) == (1, 1)
        worker.kill()
        gate.drop()
        project.start_ready()
        project.wait_for_marks("a", 3, wakes=True)
        assert project.record(job).result == "a"
    assert project.attempts("a") == [1, 1, 2]


def test_worker_dies__next_attempt_accepted_and_the_failed_one_not_ended__it_comes_once(
    tmp_path: Path, gearmand: JobServer
) -> None:
    with gated(tmp_path, gearmand, FAILS) as (project, gate):
        project.allow("a")
        worker = project.start_ready()
        job = project.enqueue("retry", "a")
        gate.wait()
        assert any(map(is_next_attempt, gate.requests))
        assert gate.answers[-1].command is Command.JOB_CREATED, "before the end of the first"
        worker.kill()
        gate.drop()
        project.start_ready()
        project.wait_for_marks("a", 3, wakes=True)
        assert project.record(job).attempt == 2
        wait_for_jobs(gearmand, project.function("work_again"), 0)
    assert project.attempts("a") == [1, 1, 2]
    began, _, second = (moment for _, moment in project.marks("a"))
    assert second - began >= DELAY


def test_worker_dies__next_attempt_has_run_and_the_failed_one_not_ended__the_later_record_stands(
    tmp_path: Path, gearmand: JobServer
) -> None:
    with gated(tmp_path, gearmand, FAILS) as (project, gate):
        project.allow("a")
        worker = project.start_ready()
        job = project.enqueue("retry", "a")
        gate.wait()
        second = project.start_ready()
        project.wait_for_marks("a", 2, wakes=True)
        wait_for(lambda: (found := project.trace(job)) and found.is_success, "the success")
        worker.kill()
        gate.drop()
        second.wait_for_output("attempt 2 of 2 follows")
        wait_for_jobs(gearmand, project.function("work_again"), 0, project.wake)
        record = project.trace(job)
    assert record is not None
    assert (record.state, record.result, record.attempt) == ("success", "a", 2)
