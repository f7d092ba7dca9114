"""Z15, Q17, Q20, QX11: tasks that fail and are tried again, and sites that share a job server."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

import gearfleet
from gearfleet import Client
from gearfleet.compat.django_q import async_task, fetch, get_task
from gearfleet.config import using
from gearfleet.errors import UnknownName
from gearfleet.gearman import GearmanAdminClient
from gearfleet.tasks import bind
from tests.originals.projects import make_project
from tests.support.django_q import q_project
from tests.support.processes import Process, run
from tests.support.waiting import wait_for
from tests.support.workers import WorkerProject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gearfleet.results import TaskRecord
    from tests.support.django_q import QProject
    from tests.support.job_servers import JobServer

#: Milliseconds; Django Q's unit.
WAIT = 20_000

ZTASKS = """
import time
from pathlib import Path

from gearfleet.compat import task

@task(name="{name}")
def fails(folder, succeeds_at):
    diary = Path(folder) / "diary"
    with diary.open("a") as file:
        file.write(f"{{time.time()}}\\n")
    if len(diary.read_text().splitlines()) != succeeds_at:
        raise LookupError("shelf")
"""

SITE = """
@task(name="shared.whose", queue="foo")
def whose():
    note("asked")
    return FOLDER.name
"""

Q_TASKS = """
@task
def imports_what_is_not_there():
    import no_such_module

@task
def exits():
    sys.exit(3)

@task(retries=2, backoff=0)
def takes_long(seconds):
    from gearfleet import current_job
    note(f"attempt {current_job().attempt}")
    time.sleep(seconds)

@task(retries=2, backoff=0)
def fails_twice():
    from gearfleet import current_job
    attempt = current_job().attempt
    note(f"attempt {attempt}")
    if attempt < 3:
        raise LookupError(f"attempt {attempt}")
    return attempt

@task(retries=2, backoff=0)
def always_fails():
    note("tried")
    raise LookupError("always")
"""


@pytest.fixture
def q(any_job_server: JobServer, tmp_path: Path) -> Iterator[QProject]:
    with q_project(tmp_path, any_job_server.address, starts=False) as project:
        source = tmp_path / project.package / "gearman_workers" / "worker_foo.py"
        source.write_text(source.read_text() + Q_TASKS)
        project.start_ready()
        yield project


def ended(job: str) -> TaskRecord:
    """Return the record of a job of Django Q's."""
    record = gearfleet.fetch(job, wait=WAIT / 1000)
    assert record is not None
    return record


def pending(server: JobServer, function: str) -> int:
    """Return how many jobs of a task, also those for later, the job server still has."""
    with GearmanAdminClient([server.address]) as admin:
        rows = {row["task"]: row["queued"] for row in admin.get_status()}
    return sum(rows.get(name, 0) for name in (function, f"{function}+later"))


@pytest.mark.parametrize(("succeeds_at", "tries"), [(0, 3), (2, 2)])
def test_z15__tries_and_seconds_between_them_by_the_settings(
    any_job_server: JobServer, function: str, tmp_path: Path, succeeds_at: int, tries: int
) -> None:
    """The first try, RETRY_COUNT more, RETRY_AFTER seconds apart; none after a success."""
    project = make_project(
        tmp_path, any_job_server.address, {"worker_foo": ZTASKS.format(name=function)}
    )
    project.add_settings("ZTASKD_RETRY_COUNT = 2\nZTASKD_RETRY_AFTER = 1\n")
    worker = Process(
        project.manage("gearman_worker", "-a", "myapp", "-n", "worker_foo"),
        log=tmp_path / "worker.log",
        cwd=tmp_path,
        env=project.environment,
    )

    def manage(*words: str) -> str:
        command = project.manage("gearfleet", *words)
        return run(command, cwd=tmp_path, env=project.environment).stdout

    def times() -> list[float]:
        diary = tmp_path / "diary"
        return [float(line) for line in diary.read_text().split()] if diary.exists() else []

    try:
        arguments = ["--arg", str(tmp_path), "--arg", str(succeeds_at)]
        job = manage("submit", function, *arguments, "--background").strip()
        wait_for(lambda: len(times()) == tries, f"{tries} tries")
        wait_for(lambda: pending(any_job_server, function) == 0, "the end of the last try")
        assert (job in manage("failed")) is (succeeds_at == 0)
    finally:
        worker.kill()
    began = times()
    assert len(began) == tries
    assert all(later - earlier >= 1 for earlier, later in itertools.pairwise(began))


def test_q17__sites_with_prefixes_share_a_job_server(
    any_job_server: JobServer, function: str, tmp_path: Path
) -> None:
    """The same task of several sites: no site takes the jobs of another."""
    sites: dict[str, WorkerProject] = {}
    clients: dict[str, Client] = {}
    try:
        for name in ("one", "two"):
            prefix = f"{function}.{name}."
            (tmp_path / name).mkdir()
            sites[name] = WorkerProject(
                tmp_path / name, any_job_server.address, more=SITE, toml=f"prefix = '{prefix}'\n"
            )
            clients[name] = Client(replace(sites[name].settings, prefix=prefix))
        sites["one"].start_ready()
        waiting = clients["two"].delay("shared.whose")
        assert [clients["one"].submit("shared.whose") for _ in range(5)] == ["one"] * 5
        assert waiting.function == f"{function}.two.shared.whose"
        assert pending(any_job_server, waiting.function) == 1
        sites["two"].start_ready()
        assert [clients["two"].submit("shared.whose") for _ in range(5)] == ["two"] * 5
        with using(clients["two"].settings), bind(clients["two"]):
            assert waiting.result(20) == "two"
        assert sites["one"].diary.count("asked") == 5
        assert sites["two"].diary.count("asked") == 6
    finally:
        for site, client in zip(sites.values(), clients.values(), strict=True):
            site.close()
            client.close()


@pytest.mark.parametrize(
    ("task", "kind"),
    [
        ("breaks", "ValueError"),
        ("imports_what_is_not_there", "ModuleNotFoundError"),
        ("exits", "SystemExit"),
    ],
)
def test_q20__a_failing_task_is_a_failure_and_the_worker_goes_on(
    q: QProject, task: str, kind: str
) -> None:
    record = ended(async_task(q.path(task)))
    assert (record.state, record.result) == ("failure", None)
    assert record.failure is not None
    assert record.failure.type == kind
    assert "Traceback" in record.failure.traceback
    assert gearfleet.result(async_task(q.path("add"), 1, b=2), wait=20) == 3
    (worker,) = q._processes
    assert worker.returncode is None


def test_q20__a_function_that_cannot_be_imported_is_refused_at_once(q: QProject) -> None:
    """Django Q found out in the worker."""
    for func in ("no_such_module.func", q.path("no_such_function")):
        with pytest.raises(UnknownName):
            async_task(func)


def test_qx11__attempts_are_counted_and_the_last_one_stands(q: QProject) -> None:
    job = async_task(q.path("fails_twice"))
    record = ended(job)
    assert (record.state, record.attempt, record.result) == ("success", 3, 3)
    assert [note for note in q.diary if note.startswith("attempt")] == [
        "attempt 1",
        "attempt 2",
        "attempt 3",
    ]
    task = fetch(job)
    assert task is not None
    assert task.attempt_count == 3


def test_qx11__no_more_attempts_than_allowed_and_nothing_is_left(
    q: QProject, any_job_server: JobServer
) -> None:
    """The last failure is acknowledged: no job server gives the job out again."""
    job = async_task(q.path("always_fails"))
    assert (ended(job).state, ended(job).attempt) == ("failure", 3)
    wait_for(lambda: pending(any_job_server, q.function("always_fails")) == 0, "the end of the job")
    assert q.diary.count("tried") == 3
    found: Any = get_task(job)
    assert found.success is False


def test_qx11__a_job_that_takes_long_does_not_run_twice(q: QProject) -> None:
    """Django Q gave a task out again when it took longer than its setting `retry`."""
    q.start_ready()
    record = ended(async_task(q.path("takes_long"), 3))
    assert (record.state, record.attempt) == ("success", 1)
    assert q.diary.count("attempt 1") == 1
