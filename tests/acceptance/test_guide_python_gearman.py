"""The guide for the users of python-gearman, and its reference: their code runs, without a project."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from gearfleet import gearman
from tests.support import pages
from tests.support.processes import GEARFLEET, ROOT, Process, clean_environment, run
from tests.support.running import running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.job_servers import JobServer

GUIDE = ROOT / "docs" / "how-to" / "python-gearman.md"
REFERENCE = ROOT / "docs" / "reference" / "gearman.md"
ADDRESS = "localhost:4730"

#: Runs the examples that it is given as one session, and fails with what came instead.
SESSION = """\
import doctest, sys
test = doctest.DocTestParser().get_doctest(sys.stdin.read(), {}, "guide", None, 0)
sys.exit(doctest.DocTestRunner().run(test).failed != 0)
"""


@pytest.fixture
def letters(tmp_path: Path, own_job_server: JobServer) -> Path:
    """A directory with the modules of the guide, whose job server is ours."""
    package = tmp_path / "letters"
    package.mkdir()
    (package / "__init__.py").touch()
    for block in pages.blocks(GUIDE, "python"):
        name, _, code = block.text.partition("\n")
        assert name.startswith("# ")
        (package / name[2:]).write_text(code.replace(ADDRESS, own_job_server.address))
    return package


@pytest.fixture
def start(tmp_path: Path, own_job_server: JobServer) -> Iterator[Callable[..., Process]]:
    """Start a worker; it is ended at the end."""
    started: list[Process] = []
    environment = clean_environment(
        GEARFLEET_SERVERS=own_job_server.address, GEARFLEET_RUN_DIR=str(tmp_path / "run")
    )

    def start(*command: str | Path) -> Process:
        process = Process(command, log=tmp_path / "log", cwd=tmp_path, env=environment)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()


def session(server: JobServer) -> tuple[int, str]:
    """Run the sessions of the guide as one; return the exit code and what it said."""
    texts = [block.text for block in pages.blocks(GUIDE, "pycon")]
    text = "\n".join(texts).replace(ADDRESS, server.address)
    assert text.count(">>>") > 4
    command = [sys.executable, "-W", "error", "-c", SESSION]
    done = run(command, env=clean_environment(), stdin=text)
    return done.returncode, done.stdout + done.stderr


def test_guide__its_worker_clients_and_admin_client_run(
    letters: Path, start: Callable[..., Process], own_job_server: JobServer
) -> None:
    worker = start(sys.executable, "-W", "error", letters / "worker.py")
    own_job_server.wait_for_workers("refuse", 1)
    code, said = session(own_job_server)
    assert code == 0, f"{said}\n{worker.output()}"


def test_guide__its_tasks_serve_the_clients_of_before(
    letters: Path, start: Callable[..., Process], own_job_server: JobServer
) -> None:
    worker = start(*GEARFLEET, "worker", "-a", letters.name, "-n", "gearman_jobs")
    worker.wait_for_output("ready for jobs")
    with gearman.GearmanClient([own_job_server.address]) as client:
        assert client.submit_job("reverse", b"abc", poll_timeout=30.0).result == b"cba"
        refused = client.submit_job("refuse", b"post", poll_timeout=30.0)
    assert refused.state == gearman.JOB_FAILED
    told = json.loads(refused.warning_updates.popleft())
    assert (told["type"], told["message"]) == ("ValueError", "no post today")


def test_reference__its_first_examples_run(
    own_job_server: JobServer, capsys: pytest.CaptureFixture[str]
) -> None:
    declare, submit, *_ = (
        block.text.replace(ADDRESS, own_job_server.address)
        for block in pages.blocks(REFERENCE, "python")
    )
    names: dict[str, Any] = {}
    *setting_up, work = declare.strip().splitlines()
    assert work == "worker.work()"
    exec("\n".join(setting_up), names)
    with running(names["worker"]):
        exec(submit, names)
    names["client"].shutdown()
    assert capsys.readouterr().out == "COMPLETE b'cba'\n"


def test_reference__its_encoder_and_worker_run(own_job_server: JobServer) -> None:
    names: dict[str, Any] = {}
    exec(pages.blocks(REFERENCE, "python")[2].text, names)

    class Client(gearman.GearmanClient):
        data_encoder = names["JSONDataEncoder"]

    worker = names["JSONWorker"]([own_job_server.address])
    worker.register_task("double", lambda worker, job: {"twice": job.data * 2})
    with running(worker), Client([own_job_server.address]) as client:
        assert client.submit_job("double", 21, poll_timeout=30.0).result == {"twice": 42}
