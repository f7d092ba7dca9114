"""Each verb does its work in a process that has imported nothing: it imports all that it needs.

Most other stories save the time for that, see `tests.support.ready`.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from gearfleet.cli.builder import SUMMARIES
from tests.originals.projects import make_project
from tests.support.live_fleets import LiveFleet
from tests.support.ports import free_port
from tests.support.processes import GEARFLEET, ROOT, Process, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.job_servers import JobServer

#: The words of each verb that ends by itself.
WORDS = {
    "tasks": "--json",
    "plan": "--json",
    "render": "-o {folder}/rendered",
    "supervisor-conf": "",
    "check": "",
    "diff": "-o {conf_d}",
    "apply": "-o {conf_d} -c {config} --dry-run",
    "doctor": "--json -c {config}",
    "config": "",
    "templates": "",
    "scale": "foo=1 -c {config}",
    "exec": "-- true",
    "scheduler": "--once",
    "schedule": "",
    "submit": "{package}.worker_foo.echo --arg 1",
    "failed": "",
    "ps": "",
    "top": "--json",
    "info": "",
    "status": "-c {config}",
    "quiet": "foo -c {config}",
    "resume": "foo -c {config}",
    "tail": "foo -c {config}",
    "restart": "foo -c {config}",
    "stop": "foo -c {config}",
    "start": "foo -c {config}",
}
#: What some end with: there is something to say, of queues without a process.
CODES = {"check": 1, "doctor": 2}
#: What undoes what some have done.
UNDO = {"quiet": "resume", "stop": "start"}
#: What a verb that goes on until it is told to stop says when it has begun, and its words.
GOES_ON = {
    "worker": ("Registered at job server", "-a {package} -n worker_foo -q bar"),
    "server": ("Listening", "--listen 127.0.0.1:{port}"),
}
#: Which have stories of their own, below and in `test_demo`.
ELSEWHERE = {"demo", "init"}

TOML = """
[fleet]
startsecs = 1
[queues.foo]
processes = 1
[queues.bar]
processes = 0
[queues.pool]
processes = 0
"""


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, gearmand: JobServer) -> Iterator[LiveFleet]:
    with LiveFleet(tmp_path_factory.mktemp("fresh"), gearmand, toml=TOML) as fleet:
        yield fleet


def words(live: LiveFleet, text: str) -> list[str]:
    return text.format(
        folder=live.folder,
        conf_d=live.daemon.conf_d,
        config=live.daemon.config,
        package=live.package,
        port=free_port(),
    ).split()


def test_verbs__are_all_told_of() -> None:
    assert sorted(SUMMARIES) == sorted([*WORDS, *GOES_ON, *ELSEWHERE])


@pytest.mark.parametrize("verb", WORDS)
def test_verb__alone(live: LiveFleet, verb: str) -> None:
    command = [*GEARFLEET, verb, *words(live, WORDS[verb])]
    done = run(command, cwd=live.folder, env=live.env, fresh=True)
    assert done.returncode == CODES.get(verb, 0), done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    if verb in UNDO:
        assert live.control(UNDO[verb], "foo").returncode == 0


def test_init__alone(live: LiveFleet, tmp_path: Path) -> None:
    shutil.copytree(live.folder / live.package, tmp_path / live.package)
    done = run([*GEARFLEET, "init"], cwd=tmp_path, fresh=True)
    assert done.returncode == 0, done.stderr
    assert live.package in (tmp_path / "gearfleet.toml").read_text()


@pytest.mark.parametrize("verb", GOES_ON)
def test_verb_that_goes_on__alone(live: LiveFleet, verb: str, tmp_path: Path) -> None:
    said, text = GOES_ON[verb]
    command = [*GEARFLEET, verb, *words(live, text)]
    process = Process(command, log=tmp_path / "log", cwd=live.folder, env=live.env, fresh=True)
    try:
        process.wait_for_output(said)
    finally:
        process.terminate()
    assert process.wait() == 0


COMMANDS = sorted(
    path.stem for path in (ROOT / "gearfleet/contrib/django/management/commands").glob("[!_]*.py")
)


@pytest.mark.parametrize("command", COMMANDS)
def test_management_command__alone(tmp_path: Path, command: str) -> None:
    project = make_project(tmp_path / "project", "127.0.0.1:1", {})
    done = run(project.manage(command, "--help"), cwd=project.folder, fresh=True)
    assert done.returncode == 0, done.stderr
    assert command in done.stdout
