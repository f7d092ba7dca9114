"""What a worker logs, where, and how; also where the project has logging of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gearfleet.config import Settings
from tests.originals.projects import SECRET_KEY, Project, make_project
from tests.support.processes import Process, clean_environment, run
from tests.support.waiting import wait_for
from tests.support.workers import WorkerProject

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.job_servers import JobServer

#: Tasks that log as user code does: by a logger of their own, and in a thread.
LOGGING = """
import logging, threading
billing = logging.getLogger("shop.billing")

@task(queue="foo")
def bill(text, level="INFO"):
    billing.log(logging.getLevelName(level), "Billing %s", text, extra={"customer": {"id": 7}})
    note(f"billed {text}")

@task(queue="foo")
def bill_in_thread(text):
    thread = threading.Thread(target=billing.warning, args=("Thread %s", text))
    thread.start()
    thread.join()
    note(f"billed {text}")

@task(queue="foo")
async def bill_later(text):
    billing.warning("Coroutine %s", text)

@task(queue="foo", retries=1, backoff=60)
def fail_once():
    raise ValueError

@task(queue="foo")
def fail(text):
    raise ValueError(text)
"""


@pytest.fixture
def project(tmp_path: Path, job_server: JobServer) -> Iterator[WorkerProject]:
    made = WorkerProject(tmp_path, job_server.address, more=LOGGING)
    yield made
    made.close()


@pytest.mark.parametrize("pool", [(), ("--processes", "1")])
def test_closed_streams__lead_nowhere(
    project: WorkerProject, tmp_path: Path, pool: tuple[str, ...]
) -> None:
    """Whoever starts a worker may have closed them: a crontab says ``>&-``."""
    log = tmp_path / "its.log"
    command = project.command("--logfile", str(log), *pool)
    closing = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command]
    project.command = lambda *options: [*closing, *options]  # type: ignore[method-assign]
    worker = project.start()
    wait_for(lambda: log.exists() and "Registered at" in log.read_text(), "a worker")
    assert {Path(f"/proc/{worker.pid}/fd/{number}").readlink() for number in range(3)} == {
        Path(os.devnull)
    }
    assert project.submit("echo", 1).result() == [1]
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def stop(worker: Process) -> str:
    """End the worker and return all that it wrote."""
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    return worker.output()


def test_human__each_line_within_a_job_names_it(project: WorkerProject) -> None:
    worker = project.start_ready()
    handle = project.client.delay(project.function("bill"), "Ann\nBob")
    project.wait_for_note("billed Ann\nBob".splitlines()[0])
    billed, following = re.findall(r".*Billing.*\n.*", stop(worker))[0].splitlines()
    task = project.function("bill")
    head, _, tail = billed.partition(" INFO     [")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}", head)
    assert (
        tail == f"{worker.pid}] shop.billing: Billing Ann [job={handle.id} attempt=1 task={task}]"
    )
    assert following == "  Bob"


def test_json__is_one_object_per_line_from_start_to_stop(project: WorkerProject) -> None:
    worker = project.start_ready("--log-format", "json")
    handle = project.client.delay(project.function("bill"), "caf\u00e9")
    project.wait_for_note("billed caf\u00e9")
    found = lines(stop(worker))
    assert next(one["action"] for one in found if "action" in one) == "worker_started"
    assert found[-1]["action"] == "worker_stopped"
    assert {one["program"] for one in found} == {"worker_foo"}
    (billed,) = [one for one in found if one["logger"] == "shop.billing"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", billed.pop("time"))
    assert billed == {
        "level": "INFO",
        "logger": "shop.billing",
        "pid": worker.pid,
        "program": "worker_foo",
        "message": "Billing caf\u00e9",
        "customer": {"id": 7},
        "job_id": handle.id,
        "attempt": 1,
        "task": project.function("bill"),
    }


def test_json__failure_says_of_which_job_it_is(project: WorkerProject) -> None:
    worker = project.start_ready("--log-format", "json")
    handle = project.client.delay(project.function("fail"), "no such customer")
    worker.wait_for_output("job_failed")
    found = lines(stop(worker))
    (failed,) = [one for one in found if one.get("action") == "job_failed"]
    assert (failed["job_id"], failed["attempt"]) == (handle.id, 1)
    assert failed["task"] == project.function("fail")
    assert failed["exception"].endswith("ValueError: no such customer")


def test_json__retry_says_which_attempt_it_was_and_which_follows(project: WorkerProject) -> None:
    worker = project.start_ready("--log-format", "json")
    project.delay("fail_once")
    worker.wait_for_output("job_retried")
    found = lines(stop(worker))
    (retried,) = [one for one in found if one.get("action") == "job_retried"]
    assert (retried["attempt"], retried["next_attempt"]) == (1, 2)


def test_job__is_known_in_coroutines_and_a_bare_thread_has_the_plain_line(
    project: WorkerProject,
) -> None:
    worker = project.start_ready("--log-format", "json")
    project.submit("bill_in_thread", "one").result()
    project.submit("bill_later", "two").result()
    billed = [one for one in lines(stop(worker)) if one["logger"] == "shop.billing"]
    assert [one["message"] for one in billed] == ["Thread one", "Coroutine two"]
    assert ["job_id" in one for one in billed] == [False, True]


@pytest.mark.parametrize(
    ("options", "logged"),
    [
        ([], ["INFO", "ERROR"]),
        (["-l", "error"], ["ERROR"]),
        (["--loglevel", "Debug"], ["DEBUG", "INFO", "ERROR"]),
    ],
)
def test_level__in_any_case_is_that_of_every_logger(
    options: list[str], logged: list[str], project: WorkerProject
) -> None:
    worker = project.start("--log-format", "json", *options)
    for level in ("DEBUG", "INFO", "ERROR"):
        project.submit("bill", level, level).result()
    found = lines(stop(worker))
    assert [one["level"] for one in found if one["logger"] == "shop.billing"] == logged
    assert ("INFO" in logged) == any(one.get("action") == "worker_registered" for one in found)


def test_level__frames_come_with_everything(project: WorkerProject) -> None:
    debug, everything = project.start("-l", "DEBUG"), project.start("-l", "NOTSET")
    for worker in (debug, everything):
        worker.wait_for_output("Registered at job server")
    assert "CAN_DO" not in stop(debug)
    assert "NOTSET" not in stop(everything)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["-l", "loud"],
            "--loglevel or GEARFLEET_LOGLEVEL is 'loud'; give one of CRITICAL, ERROR, WARNING, "
            "INFO, DEBUG, NOTSET, in any case",
        ),
        (["--log-format", "xml"], 'GEARFLEET_LOG_FORMAT is \'xml\'; give "human" or "json"'),
    ],
)
def test_option__that_makes_no_sense_is_refused(
    options: list[str], said: str, project: WorkerProject
) -> None:
    worker = project.start(*options)
    assert worker.wait() == 2
    assert said in worker.output()


def test_file__is_made_anew_when_it_was_rotated_or_deleted(project: WorkerProject) -> None:
    log = project.folder / "worker.log"
    worker = project.start("--logfile", str(log))
    project.submit("bill", "one").result()
    log.rename(project.folder / "worker.log.1")
    project.submit("bill", "two").result()
    log.unlink()
    project.submit("bill", "three").result()
    assert stop(worker) == ""
    assert "Billing one" in (project.folder / "worker.log.1").read_text()
    assert "Billing two" not in log.read_text()
    assert "Billing three" in log.read_text()
    assert "Stopped (SIGTERM)" in log.read_text()


def test_file__whose_folder_went_sends_its_lines_to_stderr(project: WorkerProject) -> None:
    folder = project.folder / "logs"
    folder.mkdir()
    worker = project.start("-f", str(folder / "worker.log"))
    project.submit("bill", "one").result()
    (folder / "worker.log").unlink()
    folder.rmdir()
    assert project.submit("bill", "two").result() is None
    worker.wait_for_output("Billing two")
    folder.mkdir()
    project.submit("bill", "three").result()
    assert "Billing three" not in stop(worker)
    assert "Billing three" in (folder / "worker.log").read_text()


def test_file__that_cannot_be_opened_is_named(project: WorkerProject) -> None:
    worker = project.start("-f", str(project.folder / "no" / "worker.log"))
    assert worker.wait() == 78
    (line,) = worker.output().splitlines()
    assert "no/worker.log' cannot be opened: No such file or directory; give another" in line


def test_file__has_what_kept_the_worker_from_starting(project: WorkerProject) -> None:
    project.write("gearman_workers/worker_foo.py", "1 / 0")
    log = project.folder / "worker.log"
    worker = project.start("-f", str(log), "--log-format", "json")
    assert worker.wait() == 3
    (line,) = lines(log.read_text())
    assert (line["action"], line["exit_code"]) == ("worker_failed", 3)
    assert "ZeroDivisionError" in line["exception"]


def test_environment__steers_the_log(
    project: WorkerProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = {
        "LOGLEVEL": "warning",
        "LOGFILE": "worker.log",
        "LOG_FORMAT": "json",
        "RELEASE": "r7",
    }
    (project.folder / "run.sh").write_text(
        "".join(f"export GEARFLEET_{name}={value}\n" for name, value in variables.items())
        + 'exec "$@"\n'
    )
    command = ["sh", "run.sh", *project.command()]
    worker = Process(
        command,
        log=project.folder / "out",
        cwd=project.folder,
        env=clean_environment(GEARFLEET_RUN_DIR=str(project.run_dir)),
    )
    try:
        project.submit("bill", "one", "WARNING").result()
        assert stop(worker) == ""
    finally:
        worker.kill()
    (line,) = lines((project.folder / "worker.log").read_text())
    assert (line["message"], line["release"]) == ("Billing one", "r7")


def test_settings__are_rendered_into_the_command(project: WorkerProject) -> None:
    (project.folder / "gearfleet.toml").write_text(
        f"apps = ['{project.package}']\n"
        "[fleet]\nloglevel = 'warning'\n[queues.foo]\nlog_format = 'json'\n"
    )
    words = [sys.executable, "-m", "gearfleet", "render"]
    done = run(words, cwd=project.folder)
    commands = [line for line in done.stdout.splitlines() if line.startswith("command=")]
    assert ["--loglevel WARNING" in command for command in commands] == [True, True]
    assert ["--log-format json" in command for command in commands] == [False, True]


# A Django project with logging of its own

DJANGO_TASKS = """\
import logging
from gearfleet import task

@task(queue="foo", signed=False)
def bill(text):
    logging.getLogger("shop.billing").info("Billing %s", text)
"""

CONSOLE = """
LOGGING = {
    "version": 1,
    "formatters": {"own": {"format": "OWN %(levelname)s %(name)s %(message)s"}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "own"},
        "file": {"class": "logging.FileHandler", "filename": "own.log", "formatter": "own"},
    },
    "root": {"handlers": ["console", "file"], "level": "INFO"},
}
"""


class DjangoWorker:
    """A worker of a Django project, by one of the two doors."""

    def __init__(self, project: Project, server: str, door: str) -> None:
        self.project = project
        self._door = door
        self._workers: list[Process] = []
        settings = Settings(servers=(server,), client_timeout=30, signing_keys=(SECRET_KEY,))
        from gearfleet import Client

        self.client = Client(settings)

    def start(self, *options: str) -> Process:
        words = ["-a", "myapp", "-n", "worker_foo", *options]
        if self._door == "manage.py":
            command = self.project.manage("gearman_worker", *words)
        else:
            command = self.project.gearfleet("worker", *words)
        folder = self.project.folder
        out = folder / f"out.{len(self._workers)}"
        worker = Process(command, log=out, cwd=folder, env=self.project.environment)
        self._workers.append(worker)
        return worker

    def log_of_one_job(self, *options: str) -> str:
        """Return what a worker writes from its start to its end."""
        worker = self.start(*options)
        self.client.submit("myapp.worker_foo.bill", "Ann")
        return stop(worker)

    def close(self) -> None:
        for worker in self._workers:
            worker.kill()
        self.client.close()


@pytest.fixture(params=["manage.py", "gearfleet"])
def django(
    request: pytest.FixtureRequest, tmp_path: Path, job_server: JobServer
) -> Iterator[DjangoWorker]:
    made = make_project(tmp_path / "project", job_server.address, {"worker_foo": DJANGO_TASKS})
    worker = DjangoWorker(made, job_server.address, request.param)
    yield worker
    worker.close()


def test_django__without_logging_of_its_own_is_logged_by_us(django: DjangoWorker) -> None:
    (billed,) = re.findall(".*Billing.*", django.log_of_one_job())
    assert "shop.billing: Billing Ann [job=" in billed


def test_django__logging_of_its_own_is_kept(django: DjangoWorker) -> None:
    django.project.add_settings(CONSOLE)
    told = django.log_of_one_job()
    assert re.findall(".*(?:Billing|Stopped).*", told) == [
        "OWN INFO shop.billing Billing Ann",
        "OWN INFO gearfleet.worker.process Stopped (SIGTERM): 1 jobs completed, 0 failed, 0 given back",
    ]
    assert "OWN INFO shop.billing Billing Ann" in (django.project.folder / "own.log").read_text()


def test_django__its_formats_may_name_the_job(django: DjangoWorker) -> None:
    django.project.add_settings(CONSOLE.replace("%(message)s", "%(message)s <%(task)s>"))
    told = django.log_of_one_job()
    assert "OWN INFO shop.billing Billing Ann <myapp.worker_foo.bill>" in told
    assert "0 given back <>" in told


def test_django__the_command_line_takes_the_place_of_its_console(django: DjangoWorker) -> None:
    django.project.add_settings(CONSOLE)
    told = django.log_of_one_job("--log-format", "json")
    logged = [json.loads(line) for line in told.splitlines() if line.startswith("{")]
    assert [one["message"] for one in logged if one["logger"] == "shop.billing"] == ["Billing Ann"]
    assert "OWN INFO shop.billing" not in told
    assert "OWN INFO shop.billing Billing Ann" in (django.project.folder / "own.log").read_text()


def test_django__its_levels_are_kept_unless_one_is_given(django: DjangoWorker) -> None:
    django.project.add_settings(CONSOLE.replace('"level": "INFO"', '"level": "WARNING"'))
    quiet, asked = django.log_of_one_job(), django.log_of_one_job("-l", "info")
    assert "Billing" not in quiet
    assert "OWN INFO shop.billing Billing Ann" in asked


def test_django__logger_of_ours_may_be_quiet(django: DjangoWorker) -> None:
    own = '    "loggers": {"gearfleet": {"level": "ERROR"}},\n    "root"'
    django.project.add_settings(CONSOLE.replace('    "root"', own))
    told = django.log_of_one_job()
    assert "OWN INFO shop.billing Billing Ann" in told
    assert "gearfleet.worker" not in told


def test_django__handlers_for_its_own_app_only_leave_ours_in_place(django: DjangoWorker) -> None:
    django.project.add_settings(
        'LOGGING = {"version": 1, "handlers": {"null": {"class": "logging.NullHandler"}},\n'
        ' "loggers": {"shop": {"handlers": ["null"], "propagate": False}}}\n'
    )
    told = django.log_of_one_job()
    assert "Billing" not in told
    assert "Stopped (SIGTERM)" in told
