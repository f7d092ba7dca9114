"""Workers with a key take the jobs of clients that have it, in whatever language, and no others."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from gearfleet import Client
from gearfleet.config import Settings
from gearfleet.errors import ConfigError, JobFailed
from gearfleet.gearman import GearmanClient
from gearfleet.results import open_store
from gearfleet.tasks import SubmitOptions
from tests.support.processes import ROOT, clean_environment, run
from tests.support.waiting import wait_for
from tests.support.workers import WorkerProject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gearfleet.results import TaskRecord
    from tests.support.job_servers import JobServer

KEY = "0123456789abcdef, a secret"
PICKLED = SubmitOptions(codec="pickle")

TASKS = """
from gearfleet import Retry, current_job

@task(queue="foo", signed=False)
def open_to_all(text):
    note(f"open {text}")
    return text.upper()

@task(queue="foo", codec="raw", signed=False)
def reverse(data):
    return data[::-1]

@task(queue="foo", codec="json")
def keys(table):
    return sorted(table)

@task(queue="foo", codec="pickle")
def real(number):
    return number.real

@task(queue="foo", retries=1, backoff=0)
def second_time(name):
    note(f"attempt {current_job().attempt} of {name}")
    if current_job().attempt == 1:
        raise Retry
"""


@pytest.fixture
def project(tmp_path: Path, job_server: JobServer) -> Iterator[WorkerProject]:
    project = WorkerProject(
        tmp_path, job_server.address, more=TASKS, toml=f"signing_keys = [{KEY!r}]"
    )
    project.start_ready()
    yield project
    project.close()


@pytest.fixture
def keyed(project: WorkerProject, job_server: JobServer) -> Iterator[Client]:
    with client_of(job_server, KEY) as client:
        yield client


def client_of(job_server: JobServer, *keys: str) -> Client:
    return Client(Settings(servers=(job_server.address,), signing_keys=keys, client_timeout=30))


def records(project: WorkerProject, task: str) -> list[TaskRecord]:
    store = open_store(project.settings)
    assert store is not None
    found = [one for one in store.failures() if one.task.endswith(task)]
    store.close()
    return found


def test_signed__every_way_to_call(project: WorkerProject, keyed: Client) -> None:
    function = project.function
    assert keyed.submit(function("echo"), (1,), b"x") == [(1,), b"x"]
    keyed.enqueue(function("echo"), ["later"], {}, SubmitOptions(after=1))
    keyed.delay(function("second_time"), "a")
    keyed.enqueue(function("real"), [2 + 1j], {}, PICKLED)
    assert keyed.run(function("real"), [2 + 1j], {}, PICKLED) == 2.0
    assert keyed.submit(function("keys"), {"b": 1, "a": 2}) == ["a", "b"]
    project.wait_for_note("attempt 2 of a")
    project.wait_for_note("echo ('later',)")


@pytest.mark.parametrize("keys", [(), ("another secret of somebody",)])
def test_unsigned_or_foreign__fails_with_the_reason_and_is_recorded(
    project: WorkerProject, job_server: JobServer, keyed: Client, keys: tuple[str, ...]
) -> None:
    with client_of(job_server, *keys) as stranger:
        with pytest.raises(JobFailed, match=r"BadSignature.*signing_keys") as caught:
            stranger.submit(project.function("echo"), "never")
        assert caught.value.failure is not None
        assert caught.value.failure.type.endswith("BadSignature")
        stranger.delay(project.function("echo"), "never")
    wait_for(lambda: len(records(project, "echo")) == 2, "the records of both")
    assert keyed.submit(project.function("echo"), 1) == [1]
    assert not any("never" in note for note in project.diary)


def test_replayed_at_another_function__fails(
    project: WorkerProject, keyed: Client, job_server: JobServer
) -> None:
    outgoing = keyed._prepare(
        project.function("open_to_all"), ["x"], {}, SubmitOptions(), waits=False
    )
    with GearmanClient([job_server.address]) as raw:
        for name in ("echo", "echo+later"):
            raw.submit_job(project.function(name), outgoing.data, background=True)
    wait_for(lambda: len(records(project, "echo")) == 2, "the records of both")
    assert not project.diary


def test_open_task__does_for_strangers_nothing_but_itself(
    project: WorkerProject, job_server: JobServer, keyed: Client
) -> None:
    """Its worker, which has the key, is not made to sign other jobs for them."""
    after = {
        "call": project.function("echo"), "with": json.dumps([["never"], {}, {}]), "chain": "c",
        "number": 1, "takes_result": False, "runs_always": True, "for": 0,
    }  # fmt: skip
    meta = {"id": "0" * 32, "hook": "os.abort", "chain": [after]}
    payload = json.dumps({"v": 1, "args": ["hello"], "kwargs": {}, "meta": meta})
    with GearmanClient([job_server.address]) as raw:
        done = raw.submit_job(project.function("open_to_all"), payload.encode())
        assert done.result == b'"HELLO"'
    assert keyed.submit(project.function("echo"), "last") == ["last"]
    assert project.diary == ["open hello", "echo ('last',)"]


def test_raw_task__takes_bytes_of_everybody(
    project: WorkerProject, keyed: Client, job_server: JobServer
) -> None:
    data = bytes(range(256))
    with GearmanClient([job_server.address]) as raw:
        assert raw.submit_job(project.function("reverse"), data).result == data[::-1]
    options = SubmitOptions(codec="raw")
    assert keyed.run(project.function("reverse"), [data], {}, options) == data[::-1]


def test_worker__without_the_key_that_a_task_needs_does_not_start(
    tmp_path: Path, job_server: JobServer
) -> None:
    project = WorkerProject(tmp_path, job_server.address, more=TASKS)
    try:
        process = project.start()
        assert process.wait() == 78
        assert "real has to be signed, because its codec is 'pickle'" in process.output()
        with pytest.raises(ConfigError, match="set 'signing_keys'"):
            project.client.enqueue(project.function("real"), [1j], {}, PICKLED)
    finally:
        project.close()


# Other languages

LANGUAGES = {
    "perl": ("call.pl", ["perl", "-MGearman::Client", "-e", "1"]),
    "php": ("call.php", ["php", "-r", "exit(extension_loaded('gearman') ? 0 : 1);"]),
    "sh": ("call.sh", ["sh", "-c", "command -v gearman && command -v openssl"]),
}


@pytest.fixture(params=LANGUAGES)
def caller(request: pytest.FixtureRequest) -> list[str]:
    """Return the command of a client in a language that this machine has."""
    script, probe = LANGUAGES[request.param]
    if shutil.which(probe[0]) is None or run(probe, cwd=ROOT).returncode:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{request.param} or its Gearman client is missing; see .ci/run")
        pytest.skip(f"{request.param} has no Gearman client here")
    return [request.param, str(ROOT / "examples" / "languages" / script)]


def test_other_language__calls_a_task(
    project: WorkerProject, job_server: JobServer, caller: list[str]
) -> None:
    def call(task: str, args: str, **environment: str) -> tuple[int, str, str]:
        done = run(
            [*caller, job_server.address, project.function(task), args],
            cwd=ROOT,
            env=clean_environment(**environment),
        )
        return done.returncode, done.stdout, done.stderr

    signed = call("echo", '["Zoë", {"a": [1.5, null]}]', GEARFLEET_SIGNING_KEY=KEY)
    assert signed[0] == 0, signed[2]
    assert json.loads(signed[1]) == ["Zoë", {"a": [1.5, None]}]
    assert json.loads(call("open_to_all", '["ada"]')[1]) == "ADA"
    failed = call("echo", "[1]")
    assert failed[0] != 0
    assert "not signed" in failed[1] + failed[2]
