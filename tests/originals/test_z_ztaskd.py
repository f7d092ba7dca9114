"""Z7, Z8, Z9, Z10, Z16, Z20, Z21, Z22: ``manage.py ztaskd``."""

from __future__ import annotations

import os
import re
import signal
from functools import partial
from typing import TYPE_CHECKING

import pytest

from gearfleet import Client
from gearfleet.config import Settings
from tests.originals.projects import SECRET_KEY, Project, make_project, starting
from tests.support.processes import ROOT, Process, run
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.job_servers import JobServer
    from tests.support.supervisord import Supervisord

    Start = Callable[..., Process]

TASKS = """\
import logging
import os
import time
from pathlib import Path
from gearfleet.compat import task

HERE = Path(__file__).parent
VERSION = "first"

@task(name="{prefix}.version")
def version():
    logging.getLogger("shop").info("asked for the version")
    return VERSION

@task(name="{prefix}.nothing")
def nothing():
    return None

@task(name="{prefix}.fails")
def fails():
    raise LookupError("shelf")

@task(name="{prefix}.hold")
def hold(name):
    (HERE / f"begun {{name}}").write_text(str(os.getpid()))
    while not (HERE / "go").exists():
        time.sleep(0.01)
    (HERE / f"done {{name}}").touch()
    return os.getpid()
"""

#: A task that fails until somebody has mended it.
REPLAYED = """
@task(name="{prefix}.moody")
def moody(text):
    if not (HERE / "mended").exists():
        raise LookupError(text)
    with (HERE / "replayed").open("a") as notes:
        notes.write(text + "\\n")
"""

#: What ZTASKD_ON_LOAD names: a function, a class, and one that fails.
ON_LOAD = """\
from pathlib import Path

def note(text):
    with (Path(__file__).parent / "diary").open("a") as diary:
        diary.write(text + "\\n")

def startup():
    note("function")

def broken():
    raise RuntimeError("of on_load")

class Middleware:
    def __init__(self, get_response=None):
        note(f"class {get_response}")
"""

#: As django-ztask writes a line: time - logger - level - message.
LINE = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - (\S+) - ([A-Z]+) - (.*)$", re.MULTILINE)


@pytest.fixture
def project(tmp_path: Path, gearmand: JobServer, function: str) -> Project:
    project = make_project(tmp_path / "project", gearmand.address, {})
    (project.folder / "myapp" / "tasks.py").write_text(TASKS.format(prefix=function))
    return project


@pytest.fixture
def start(project: Project) -> Iterator[Start]:
    """Start ``ztaskd`` with some options; it and whatever it has begun are ended with the test."""
    with starting(project) as start:
        yield partial(start, "ztaskd")


@pytest.fixture
def client(gearmand: JobServer) -> Iterator[Client]:
    client = Client(Settings(servers=(gearmand.address,), signing_keys=(SECRET_KEY,)))
    yield client
    client.close()


def mark(project: Project, name: str) -> Path:
    return project.folder / "myapp" / name


def begun(project: Project, name: str) -> int:
    """Return the process that a job has begun in, 0 if it has not."""
    path = mark(project, f"begun {name}")
    return int(path.read_text() or 0) if path.exists() else 0


def lines(log: str) -> list[tuple[str, ...]]:
    """Return logger, level and message of each event."""
    return LINE.findall(log)


def test_z7__serves_all_tasks_one_after_the_other(
    project: Project, start: Start, client: Client, gearmand: JobServer, function: str
) -> None:
    worker = start("--noreload")
    for name in ("a", "b"):
        client.delay(f"{function}.hold", name)
    wait_for(mark(project, "begun a").exists, "the first job")
    assert gearmand.workers_of(f"{function}.version") == 1
    assert not mark(project, "begun b").exists()
    mark(project, "go").touch()
    wait_for(mark(project, "done b").exists, "the second job")
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0


@pytest.mark.parametrize(("level", "told"), [("warning", False), ("NotSet", True)])
def test_z7__log_level_in_any_case(
    start: Start, client: Client, function: str, gearmand: JobServer, level: str, told: bool
) -> None:
    worker = start("--noreload", "-l", level)
    gearmand.wait_for_workers(f"{function}.version")
    assert client.submit(f"{function}.version") == "first"
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    assert (("shop", "INFO") in {line[:2] for line in lines(worker.output())}) is told


def test_z7__standard_output_unless_a_file_is_named(
    project: Project, gearmand: JobServer, function: str, tmp_path: Path, start: Start
) -> None:
    command = [*project.manage("ztaskd", "--noreload")]
    out, err = tmp_path / "out", tmp_path / "err"
    shell = ["sh", "-c", f'exec "$@" >{out} 2>{err}', "sh", *command]
    worker = Process(shell, log=tmp_path / "log", cwd=project.folder, env=project.environment)
    gearmand.wait_for_workers(f"{function}.version")
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    assert "Stopped (SIGTERM)" in out.read_text()
    assert err.read_text() == ""
    file = tmp_path / "ztaskd.log"
    worker = start("--noreload", "-f", str(file))
    gearmand.wait_for_workers(f"{function}.version")
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    assert "Stopped (SIGTERM)" in file.read_text()
    assert worker.output() == ""


def test_z8__starts_anew_after_the_job_in_hand_when_the_source_changes(
    project: Project, start: Start, client: Client, function: str
) -> None:
    """Without any option; and ZTASKD_ON_LOAD is called once more (Z16)."""
    (project.folder / "onload.py").write_text(ON_LOAD)
    project.add_settings("ZTASKD_ON_LOAD = ('onload.startup',)\n")
    parent = start()
    parent.wait_for_output("Registered at job server")
    client.delay(f"{function}.hold", "a")
    wait_for(mark(project, "begun a").exists, "the job to begin")
    source = mark(project, "tasks.py")
    source.write_text(source.read_text().replace('"first"', '"second"'))
    parent.wait_for_output("the worker is replaced after the job in hand")
    assert not mark(project, "done a").exists()
    mark(project, "go").touch()
    wait_for(lambda: parent.output().count("Registered at job server") == 2, "the next worker")
    assert mark(project, "done a").exists()
    assert client.submit(f"{function}.version") == "second"
    assert (project.folder / "diary").read_text() == "function\n" * 2
    parent.signal(signal.SIGTERM)
    assert parent.wait() == 0


def test_z8__noreload_stays(project: Project, start: Start, client: Client, function: str) -> None:
    worker = start("--noreload")
    worker.wait_for_output("Registered at job server")
    mark(project, "go").touch()
    assert client.submit(f"{function}.hold", "a") == worker.pid  # no parent watches it


def test_z10__jobs_run_in_parallel_and_none_is_lost(
    project: Project, start: Start, client: Client, function: str
) -> None:
    """Jobs in flight were lost when a worker or the parent died, and the workers stayed."""
    pool = start("--multiprocess", "--worker-pool-size", "3")
    pool.wait_for_output("All 3 workers serve")
    for name in "abc":
        client.delay(f"{function}.hold", name)
    for name in "abc":
        wait_for(lambda name=name: begun(project, name), "all jobs at a time")
    victim = begun(project, "a")
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: begun(project, "a") not in (0, victim), "its job to run in another worker")
    pool.signal(signal.SIGTERM)
    pool.wait_for_output("Draining: 3 workers")
    mark(project, "go").touch()
    assert pool.wait() == 0
    assert all(mark(project, f"done {name}").exists() for name in "abc")


@pytest.mark.parametrize("size", ["0", "many"])
def test_z10__a_pool_of_nobody_is_wrong_usage(project: Project, size: str) -> None:
    command = project.manage("ztaskd", "--multiprocess", "--worker-pool-size", size)
    done = run(command, cwd=project.folder, env=project.environment)
    assert done.returncode == 2
    assert f"--worker-pool-size is '{size}'; give a whole number, 1 or more" in done.stderr


def test_z10__eight_workers_unless_told(project: Project, start: Start) -> None:
    pool = start("--multiprocess")
    pool.wait_for_output("All 8 workers serve")
    pool.signal(signal.SIGTERM)
    assert pool.wait() == 0


def test_z16__functions_and_classes_are_called_at_the_start_in_their_order(
    project: Project, start: Start, gearmand: JobServer, function: str
) -> None:
    (project.folder / "onload.py").write_text(ON_LOAD)
    names = ("onload.Middleware", "onload.broken", "onload.startup")
    project.add_settings(f"ZTASKD_ON_LOAD = {names}\n")
    worker = start("--noreload")
    gearmand.wait_for_workers(f"{function}.version")
    assert (project.folder / "diary").read_text() == "class None\nfunction\n"
    assert "Hook onload.broken raised RuntimeError" in worker.output()


def test_z16__a_name_that_does_not_exist_is_a_mistake_of_the_configuration(
    project: Project,
) -> None:
    project.add_settings("ZTASKD_ON_LOAD = ('onload.nowhere',)\n")
    command = project.manage("ztaskd", "--noreload")
    done = run(command, cwd=project.folder, env=project.environment)
    assert done.returncode == 78
    assert "'onload.nowhere' cannot be used" in done.stderr + done.stdout


@pytest.mark.parametrize("options", [["--noreload"], ["--multiprocess", "--worker-pool-size", "2"]])
def test_z20__the_log_says_what_became_of_each_job(
    start: Start, client: Client, function: str, options: list[str], tmp_path: Path
) -> None:
    """Also that of the pool's parent: it is one log. None is a success."""
    file = tmp_path / "ztaskd.log"
    worker = start(*options, "-f", str(file))
    wait_for(lambda: file.exists() and "Registered at" in file.read_text(), "a worker")
    handles = [client.delay(f"{function}.{name}") for name in ("version", "nothing", "fails")]
    wait_for(lambda: len(re.findall(r"Job \S+ of \S+ (done|failed)", file.read_text())) == 3, "all")
    assert len(handles) == 3
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    told = [
        (level, message) for name, level, message in lines(file.read_text()) if name == "ztaskd"
    ]
    assert any(f"{function}.version done: 'first'" in text for level, text in told)
    assert any(f"{function}.nothing done: None" in text for level, text in told if level == "INFO")
    failed = [text for level, text in told if level == "ERROR"]
    assert len(failed) == 1
    assert f"{function}.fails failed: LookupError: shelf" in failed[0]


def test_z21__one_command_line_with_a_log_file(
    project: Project, client: Client, function: str, tmp_path: Path, gearmand: JobServer
) -> None:
    """As README's rc.local has it: in the background of a shell, which ends."""
    file = tmp_path / "ztaskd.log"
    words = " ".join(project.manage("ztaskd", "--noreload", "-f", str(file)))
    script = f"cd {project.folder}\n{words} >/dev/null 2>&1 &\necho $!\n"
    done = run(["bash", "-e", "-c", script], cwd=tmp_path, env=project.environment)
    pid = int(done.stdout)
    try:
        gearmand.wait_for_workers(f"{function}.version")
        assert client.submit(f"{function}.version") == "first"
    finally:
        os.kill(pid, signal.SIGTERM)
    wait_for(lambda: "Stopped (SIGTERM): 1 jobs completed" in file.read_text(), "its end")


def test_z21__the_service_file_of_the_documentation(
    supervisord: Supervisord,
    project: Project,
    client: Client,
    function: str,
    tmp_path: Path,
    gearmand: JobServer,
) -> None:
    page = (ROOT / "docs/how-to/ztask.md").read_text()
    (text,) = re.findall(r"```ini\n(\[program:ztaskd\].*?)```", page, re.DOTALL)
    python, *_ = project.manage()
    places = {
        "/srv/shop/.venv/bin/python": python,
        "/var/log/shop/ztaskd.log": str(tmp_path / "ztaskd.log"),
        "/srv/shop": str(project.folder),
        "user = shop\n": "",
    }
    for place, value in places.items():
        assert place in text
        text = text.replace(place, value)
    text += f"environment = GEARFLEET_RUN_DIR='{project.folder}/run'\n"
    (supervisord.conf_d / "ztaskd.conf").write_text(text)
    supervisord.start()
    supervisord.wait_until_running()
    gearmand.wait_for_workers(f"{function}.version")
    assert client.submit(f"{function}.version") == "first"


def test_z22__logger_and_format(
    project: Project, start: Start, client: Client, function: str, gearmand: JobServer
) -> None:
    """Our lines are those of the logger ztaskd, also to a handler that the project gave it."""
    own = project.folder / "own.log"
    project.add_settings(
        f"""LOGGING = {{
    "version": 1,
    "handlers": {{"own": {{"class": "logging.FileHandler", "filename": {str(own)!r}}}}},
    "loggers": {{"ztaskd": {{"handlers": ["own"]}}}},
}}
"""
    )
    worker = start("--noreload")
    gearmand.wait_for_workers(f"{function}.version")
    assert client.submit(f"{function}.version") == "first"
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    found = lines(worker.output())
    assert len(found) == len(worker.output().splitlines())
    assert {name for name, _, _ in found} == {"ztaskd"}
    assert "Stopped (SIGTERM): 1 jobs completed" in own.read_text()


def test_z9__replayfailed_submits_failed_jobs_again_the_oldest_first(
    project: Project, start: Start, client: Client, function: str, gearmand: JobServer
) -> None:
    source = mark(project, "tasks.py")
    source.write_text(source.read_text() + REPLAYED.format(prefix=function))
    worker = start("--noreload")
    worker.wait_for_output("Registered at job server")
    for text in ("first", "second"):
        client.delay(f"{function}.moody", text)
    wait_for(lambda: worker.output().count("moody failed") == 2, "two failures")
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    mark(project, "mended").touch()
    worker = start("--noreload", "--replayfailed")
    wait_for(lambda: worker.output().count("moody done") == 2, "both to succeed")
    assert mark(project, "replayed").read_text() == "first\nsecond\n"
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    failed = project.manage("gearfleet", "failed", "--json")
    assert run(failed, cwd=project.folder, env=project.environment).stdout == "[]\n"
