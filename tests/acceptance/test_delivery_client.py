"""Delivery, when a caller dies, or loses its job server: cells of the table in docs/explanation/delivery.md."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from gearfleet.errors import AmbiguousSubmit
from gearfleet.gearman.protocol import Command
from tests.support.deliveries import FORMS, Delivery, wait_for_jobs
from tests.support.gates import Gate, any_of, is_submit
from tests.support.job_servers import JobServer
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path, own_job_server: JobServer) -> Iterator[Delivery]:
    made = Delivery(tmp_path, own_job_server.address)
    made.allow("a")
    yield made
    made.close()


def call_through(gate: Gate, project: Delivery, form: str) -> None:
    """Kill a caller when its job is at the gate."""
    caller = project.call(form, "a", GEARFLEET_SERVERS=gate.address)
    gate.wait()
    caller.kill()
    gate.drop()
    assert "accepted" not in caller.output()


@pytest.mark.parametrize("form", FORMS)
def test_client_dies__submit_not_arrived__nothing_runs(
    project: Delivery, own_job_server: JobServer, form: str
) -> None:
    with Gate(own_job_server, is_submit) as gate:
        call_through(gate, project, form)
    assert own_job_server.text("status") == []


@pytest.mark.parametrize("form", FORMS)
def test_client_dies__before_job_created_and_the_job_is_accepted__runs_once_at_most(
    project: Delivery, own_job_server: JobServer, form: str
) -> None:
    with Gate(own_job_server, any_of(Command.JOB_CREATED)) as gate:
        call_through(gate, project, form)
    project.start_ready()
    wait_for_jobs(own_job_server, project.function("work"), 0, project.wake)
    assert project.submit("echo", "after").result(30) == ["after"]
    runs = len(project.marks("a"))
    assert runs == 1 or (form == "foreground" and runs == 0)


@pytest.mark.parametrize("form", FORMS)
def test_client_dies__after_job_created_and_before_the_job_begins(
    project: Delivery, own_job_server: JobServer, form: str
) -> None:
    """A foreground job is dropped, the others run."""
    caller = project.call(form, "a")
    wait_for_jobs(own_job_server, project.function("work"), 1)
    if form != "foreground":
        caller.wait_for_output("accepted")
    caller.kill()
    wait_for(lambda: is_dropped(own_job_server) == (form == "foreground"), "the server")
    project.start_ready()
    if form != "foreground":
        project.wait_for_marks("a", 1, wakes=True)
    assert project.submit("echo", "after").result(30) == ["after"]
    wait_for_jobs(own_job_server, project.function("work"), 0, project.wake)
    assert len(project.marks("a")) == (0 if form == "foreground" else 1)


def is_dropped(server: JobServer) -> bool:
    """Return whether the only job of a server will not run: it is gone, or marked (F1)."""
    jobs = [line.split("\t") for line in server.text("show jobs")]
    return all(ignored == "1" for _handle, _retries, ignored, _background in jobs)


def test_client_dies__in_the_job__it_runs_to_its_end(
    project: Delivery, own_job_server: JobServer
) -> None:
    project.start_ready()
    caller = project.call("foreground", "b")
    project.wait_for_marks("b", 1)
    caller.kill()
    project.allow("b")
    project.wait_for_note("done b")
    assert project.submit("echo", "after").result(30) == ["after"]
    assert project.attempts("b") == [1]


@pytest.mark.parametrize("form", FORMS)
def test_client_loses_the_server__after_writing_the_submit__is_told_and_never_sends_it_again(
    tmp_path: Path, own_job_server: JobServer, form: str
) -> None:
    with ExitStack() as stack:
        other = JobServer(own_job_server.kind).start()
        stack.callback(other.close)
        servers = {Gate(each, is_submit): each for each in (own_job_server, other)}
        gates = [stack.enter_context(gate) for gate in servers]
        project = Delivery(tmp_path, *(gate.address for gate in gates))
        stack.callback(project.close)
        job = project.send_in_thread(form, "a")
        wait_for(lambda: any(gate.is_reached for gate in gates), "the submit")
        (gate,) = (gate for gate in gates if gate.is_reached)
        servers[gate].kill()
        gate.drop()
        with pytest.raises(AmbiguousSubmit, match="may run or may not"):
            job.result(30)
        servers[gate].start()
        for server in servers.values():
            assert server.text("status") == [], "not sent again, to no job server"
