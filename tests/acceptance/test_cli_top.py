"""``gearfleet top``, at a real terminal and elsewhere, with real workers."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.job_servers import JobServer
from tests.support.processes import GEARFLEET, clean_environment, run
from tests.support.terminals import Terminal
from tests.support.waiting import wait_for
from tests.support.workers import WorkerProject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.supervisord import Supervisord

    Open = Callable[..., Terminal]

#: So that a test does not wait for the next look.
OFTEN = ("--interval", "0.1")


@pytest.fixture(scope="module")
def gearmand() -> Iterator[JobServer]:
    """One that knows of no other test's tasks: they would fill the screen."""
    server = JobServer("gearmand").start()
    yield server
    server.close()


@pytest.fixture(scope="module")
def busy(gearmand: JobServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProject]:
    """A worker with a job in hand, and two jobs of another task that wait behind it."""
    made = WorkerProject(tmp_path_factory.mktemp("busy"), gearmand.address)
    made.start_ready()
    made.delay("wait_for", "go")
    made.wait_for_note("begin go")
    for number in range(2):
        made.delay("echo", number)
    yield made
    made.allow("go")
    made.close()


@pytest.fixture
def open_top() -> Iterator[Open]:
    """Start ``gearfleet top`` for a project at a terminal of its own."""
    opened: list[Terminal] = []

    def start(project: WorkerProject, *words: str, size: tuple[int, int] = (140, 40)) -> Terminal:
        command = [*GEARFLEET, "top", *OFTEN, *words]
        made = Terminal(command, cwd=project.folder, env=environment(project), size=size)
        opened.append(made)
        return made

    yield start
    for each in opened:
        each.close()


def environment(project: WorkerProject) -> dict[str, str]:
    return clean_environment(GEARFLEET_RUN_DIR=str(project.run_dir))


def top(project: WorkerProject, *words: str) -> Any:
    """Return what ``top`` says to a program, and its exit code."""
    command = [*GEARFLEET, "top", "--json", *words]
    done = run(command, cwd=project.folder, env=environment(project))
    return {**json.loads(done.stdout), "code": done.returncode}


def cells(lines: list[str], name: str) -> list[str]:
    """Return the cells of the row that has this name among them."""
    return next(line.split() for line in lines if name in line.split())


def test_terminal__shows_servers_queues_and_what_each_worker_does(
    busy: WorkerProject, open_top: Open, gearmand: JobServer
) -> None:
    screen = open_top(busy).wait_for("busy", "waiting")
    assert cells(screen, gearmand.address)[1] == "up"
    queue, function, waiting, delayed, running, workers = cells(screen, busy.function("echo"))
    assert (queue, function) == ("foo", busy.function("echo"))
    assert (waiting, delayed, running, workers) == ("2", "0", "0", "1")
    assert cells(screen, busy.function("wait_for"))[2:] == ["0", "0", "1", "1"]
    assert cells(screen, "1/1")[:3] == ["worker_foo", "1/1", "1"]
    process = next(line.split() for line in screen if {"worker_foo", "busy"} <= {*line.split()})
    assert process[3] == busy.function("wait_for")


def test_terminal__keys_choose_and_sort_and_q_leaves_it_as_it_was(
    busy: WorkerProject, open_top: Open
) -> None:
    terminal = open_top(busy)
    terminal.wait_for(busy.function("echo"), "by name")
    terminal.type("s")
    terminal.wait_for("by waiting")
    terminal.type("r")
    terminal.wait_for("by waiting, reversed")
    terminal.type("/ECH")
    terminal.wait_for("with: ECH", busy.function("echo"), without=busy.function("hold_on"))
    terminal.type("\x7fx\x1b")
    terminal.wait_for(busy.function("hold_on"), without="with:")
    terminal.type("\t\t")
    screen = terminal.wait_for("- queues")
    assert not any("busy" in line for line in screen)
    terminal.type("\x1b[B")
    terminal.wait_for(without=busy.function("exit_process"))
    terminal.type("q")
    assert terminal.wait() == 0
    assert terminal.is_as_before


def test_terminal__another_size_is_filled(busy: WorkerProject, open_top: Open) -> None:
    terminal = open_top(busy, size=(140, 40))
    screen = terminal.wait_for("busy")
    assert len(screen) == 40
    terminal.resize(50, 12)
    screen = terminal.wait_for("more", without="worker_foo.wait_for ")
    assert len(screen) == 12
    assert max(map(len, screen)) <= 50
    terminal.resize(1, 1)
    wait_for(lambda: terminal.screen == ["."], "a screen of one character")
    terminal.resize(140, 40)
    assert len(terminal.wait_for("busy")) == 40


@pytest.mark.parametrize("how", ["Ctrl-C", "SIGTERM", "SIGHUP"])
def test_terminal__is_as_it_was_after_a_signal(
    busy: WorkerProject, open_top: Open, how: str
) -> None:
    terminal = open_top(busy)
    terminal.wait_for("busy")
    if how == "Ctrl-C":
        terminal.type("\x03")
    else:
        terminal.process.send_signal(signal.Signals[how])
    assert terminal.wait() == 0
    assert terminal.is_as_before
    assert "Traceback" not in terminal.said


def test_terminal__is_as_it_was_while_suspended(busy: WorkerProject, open_top: Open) -> None:
    terminal = open_top(busy)
    terminal.wait_for("busy")
    terminal.type("\x1a")
    wait_for(lambda: terminal.is_as_before, "the terminal to be left")
    _, status = os.waitpid(terminal.process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    terminal.process.send_signal(signal.SIGCONT)
    wait_for(lambda: not terminal.is_as_before, "the screen again")
    terminal.wait_for("busy")
    terminal.type("q")
    assert terminal.wait() == 0
    assert terminal.is_as_before


def test_terminal__a_server_that_goes_and_comes(tmp_path: Path, open_top: Open) -> None:
    server = JobServer("gearmand")
    project = WorkerProject(tmp_path, server.address)
    try:
        terminal = open_top(project, "--timeout", "60")
        screen = terminal.wait_for(f"Down: Cannot connect to job server {server.address}")
        assert cells(screen, server.address)[1] == "down"
        server.start()
        terminal.wait_for(" up ", without="Down")
        assert server.process is not None
        server.process.pause()  # it does not answer, and keys are obeyed all the same
        terminal.type("\t")
        terminal.wait_for("- servers")
        began = time.monotonic()
        terminal.type("q")
        assert terminal.wait() == 0
        assert time.monotonic() - began < 20, "it waited for the job server"
        server.process.go_on()
    finally:
        project.close()
        server.close()


def test_elsewhere__it_is_shown_once(busy: WorkerProject, gearmand: JobServer) -> None:
    done = run(
        [*GEARFLEET, "top", "--filter", "worker_foo"], cwd=busy.folder, env=environment(busy)
    )
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert cells(lines, gearmand.address)[1] == "up"
    assert cells(lines, busy.function("wait_for"))[0] == "bar" or "busy" in done.stdout
    assert "\x1b" not in done.stdout
    assert busy.function("hold_on") in done.stdout


def test_json__everything(busy: WorkerProject, gearmand: JobServer) -> None:
    shown = top(busy, "--filter", busy.package)
    assert (shown["code"], shown["notices"]) == (0, [])
    (server,) = shown["servers"]
    assert (server["address"], server["is_up"]) == (gearmand.address, True)
    assert {row["function"] for row in shown["queues"]} >= {busy.function("echo")}
    (process,) = shown["processes"]
    assert (process["state"], process["tasks"]) == ("busy", [busy.function("wait_for")])
    assert process["handles"][0].startswith("H:")
    assert 0 < process["seconds"] < 120
    assert shown["supervisord"] == "" or shown["silence"]


def test_json__the_exit_code_says_whether_servers_are_up(
    tmp_path: Path, gearmand: JobServer
) -> None:
    project = WorkerProject(tmp_path, gearmand.address)
    assert top(project, "--servers", f"127.0.0.1:1,{gearmand.address}")["code"] == 1
    assert top(project, "--servers", "127.0.0.1:1")["code"] == 4
    project.close()


def test_tasks_that_do_not_import__are_no_reason_to_show_nothing(
    tmp_path: Path, gearmand: JobServer
) -> None:
    project = WorkerProject(tmp_path, gearmand.address, more="raise RuntimeError('broken')\n")
    shown = top(project)
    project.close()
    assert shown["code"] == 0
    assert "the tasks do not import" in shown["notices"][0]


def test_supervisord__its_processes_too(
    tmp_path: Path, gearmand: JobServer, supervisord: Supervisord
) -> None:
    project = WorkerProject(tmp_path, gearmand.address)
    worker = " ".join(project.command())
    (supervisord.conf_d / "fleet.conf").write_text(
        f"""[program:worker_foo]
command={worker}
directory={tmp_path}
environment=GEARFLEET_RUN_DIR="{project.run_dir}",GEARFLEET_PROGRAM="worker_foo"
process_name=%(program_name)s_%(process_num)02d
numprocs=2
startsecs=0

[program:broken]
command={sys.executable} -c "raise SystemExit(1)"
startretries=0

[group:foo]
programs=worker_foo,broken
"""
    )
    supervisord.start()
    options = ("-c", str(supervisord.config))

    def settled() -> dict[str, Any] | None:
        shown = top(project, *options)
        states = {row["process"]: row["state"] for row in shown["processes"]}
        as_meant = {"foo:broken": "FATAL", "foo:worker_foo_00": "idle", "foo:worker_foo_01": "idle"}
        return shown if states == as_meant else None

    shown = wait_for(settled, "two workers, and a program that does not start")
    rows = {row["process"]: row for row in shown["processes"]}
    assert rows["foo:worker_foo_00"]["supervised"] == "RUNNING"
    assert rows["foo:worker_foo_00"]["pid"] != rows["foo:worker_foo_01"]["pid"]
    programs = {row["program"]: row for row in shown["programs"]}
    assert (programs["worker_foo"]["up"], programs["worker_foo"]["processes"]) == (2, 2)
    assert (programs["broken"]["up"], programs["broken"]["processes"]) == (0, 1)
    project.close()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--interval", "0"], "--interval is '0'; give seconds, from 0.1 to 3600"),
        (["-c", "nowhere.conf"], "No supervisord configuration at nowhere.conf"),
        (["--sort", "colour"], "invalid choice: 'colour'"),
    ],
)
def test_usage__wrong_words(tmp_path: Path, words: list[str], said: str) -> None:
    done = run([*GEARFLEET, "top", *words], cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
