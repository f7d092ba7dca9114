"""J14, Q15, Q16, Z6: what jobs carry, who may have sent it, and how many bytes it takes."""

from __future__ import annotations

import json
import pickle
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from gearfleet import Client
from gearfleet.config import Settings
from gearfleet.errors import ConfigError, JobFailed, PayloadEncodeError
from gearfleet.gearman import GearmanClient
from gearfleet.gearman.protocol import Command
from gearfleet.results import open_store
from gearfleet.tasks import SubmitOptions
from tests.originals.projects import SECRET_KEY, Project, make_project
from tests.support.processes import Process, run
from tests.support.taps import Tap
from tests.support.waiting import wait_for
from tests.support.workers import WorkerProject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.job_servers import JobServer

PICKLED = SubmitOptions(codec="pickle")

TASKS = """
@task(queue="foo", codec="pickle")
def half(number):
    return str(number / 2)
"""


@pytest.fixture
def project(tmp_path: Path, any_job_server: JobServer) -> Iterator[WorkerProject]:
    project = WorkerProject(
        tmp_path, any_job_server.address, more=TASKS, toml=f"signing_keys = [{SECRET_KEY!r}]"
    )
    project.start_ready()
    yield project
    project.close()


@pytest.fixture
def client(any_job_server: JobServer) -> Iterator[Client]:
    with Client(
        Settings(servers=(any_job_server.address,), signing_keys=(SECRET_KEY,), client_timeout=30)
    ) as client:
        yield client


def test_j14__a_typed_envelope_that_other_languages_can_write(
    tmp_path: Path, any_job_server: JobServer
) -> None:
    project = WorkerProject(tmp_path, any_job_server.address)
    try:
        project.start_ready()
        with GearmanClient([any_job_server.address]) as raw:
            payload = b'{"args": ["\xc3\xa9", {"$t": "decimal", "v": "1.10"}]}'
            done = raw.submit_job(project.function("echo"), payload)
        assert json.loads(done.result) == ["é", {"$t": "decimal", "v": "1.10"}]
        assert project.submit("echo", Decimal("1.10")).result(30) == [Decimal("1.10")]
    finally:
        project.close()


def test_j14__pickle_is_opt_in_and_signed(
    project: WorkerProject, client: Client, any_job_server: JobServer
) -> None:
    half = project.function("half")
    assert client.run(half, [Fraction(1, 3)], {}, PICKLED) == "1/6"
    with pytest.raises(PayloadEncodeError, match="Fraction"):
        client.submit(half, Fraction(1, 3))
    with pytest.raises(ConfigError, match="signing_keys"):
        Client(Settings(servers=(any_job_server.address,))).run(half, [1], {}, PICKLED)
    with GearmanClient([any_job_server.address]) as raw:
        refused = raw.submit_job(half, pickle.dumps({"args": [1], "kwargs": {}}))
    assert refused.state == "FAILED"


def test_z06__any_picklable_argument(project: WorkerProject, client: Client) -> None:
    assert client.run(project.function("half"), [], {"number": 3 + 4j}, PICKLED) == "(1.5+2j)"


def test_q15__jobs_are_signed_with_djangos_secret_key(
    tmp_path: Path, any_job_server: JobServer, function: str
) -> None:
    code = (
        "from gearfleet import task\n\n"
        f"@task(queue='foo', name='{function}.echo')\n"
        "def echo(value):\n    return value\n"
    )
    project = make_project(tmp_path, any_job_server.address, {"worker_foo": code})
    name = f"{function}.echo"
    words = project.manage("gearfleet", "worker", "-a", "myapp", "-n", "worker_foo")
    worker = Process(words, log=tmp_path / "worker.log", cwd=tmp_path, env=project.environment)
    try:
        any_job_server.wait_for_workers(name, 1)
        assert submitted(project, name, "7") == "7"
        settings = Settings(
            servers=(any_job_server.address,), client_timeout=30, run_dir=tmp_path / "run"
        )
        with Client(settings) as stranger:
            with pytest.raises(JobFailed, match="BadSignature"):
                stranger.submit(name, 7)
            stranger.delay(name, 7)
        store = open_store(settings)
        assert store is not None
        wait_for(lambda: len(store.failures()) == 2, "the failures in the result store")
        store.close()
        # The key that was first may still sign while the workers have the new one.
        project.add_settings("SECRET_KEY_FALLBACKS = [SECRET_KEY]\nSECRET_KEY = 'a new one'\n")
        worker.terminate()
        worker = Process(
            words, log=tmp_path / "worker.2.log", cwd=tmp_path, env=project.environment
        )
        any_job_server.wait_for_workers(name, 1)
        with Client(Settings(servers=(any_job_server.address,), signing_keys=(SECRET_KEY,))) as old:
            assert old.submit(name, 8) == 8
        assert submitted(project, name, "9") == "9"
    finally:
        worker.kill()


def submitted(project: Project, name: str, argument: str) -> str:
    done = run(
        project.gearfleet("submit", name, "--data", argument),
        cwd=project.folder,
        env=project.environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_q16__payloads_are_compressed_if_wanted(
    any_job_server: JobServer, project: WorkerProject
) -> None:
    text = "the same again and again " * 1000
    sizes = []
    for compress_above in (0, 1000):
        with Tap(any_job_server) as tap:
            settings = Settings(
                servers=(tap.address,),
                signing_keys=(SECRET_KEY,),
                compress_above=compress_above,
                client_timeout=30,
            )
            with Client(settings) as through:
                assert through.submit(project.function("echo"), text) == [text]
            submit = next(each for each in tap.requests if each.command is Command.SUBMIT_JOB)
            sizes.append(len(submit.args[-1]))
    assert sizes[0] > len(text) > 10 * sizes[1]
