"""The other verbs of `supervisorctl gearfleet`, its help, its errors and its exit statuses."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.crews import Crew, require_debian
from tests.support.processes import clean_environment, run
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module", params=["venv", "debian"])
def python(request: pytest.FixtureRequest) -> str:
    return sys.executable if request.param == "venv" else require_debian()


@pytest.fixture(scope="module")
def crew(python: str) -> Iterator[Crew]:
    """A supervisord in which everything runs; tests leave it so."""
    with Crew({"bar": {"w": 3}, "foo": {"x": 1}}, python=python) as crew:
        yield crew


def test_plugin__needs_the_standard_library_and_supervisor_only(python: str) -> None:
    code = (
        "import sys, gearfleet.supervisor.ctlplugin\n"
        "bad = {'jinja2', 'rich', 'psutil', 'django', 'markupsafe'}\n"
        "print(bad & {name.split('.')[0] for name in sys.modules})"
    )
    done = run([python, "-c", code])
    assert (done.stdout, done.stderr) == ("set()\n", "")


@pytest.mark.parametrize("words", [["gearfleet"], ["gearfleet", "help"], ["help", "gearfleet"]])
def test_help__lists_the_verbs(crew: Crew, words: list[str]) -> None:
    done = crew.daemon.ctl(*words)
    assert (done.returncode, done.stderr) == (0, "")
    for verb in ("restart", "status", "stop", "start", "tail", "quiet", "resume", "help"):
        assert f"gearfleet {verb}" in done.stdout
    assert "No help" not in done.stdout


@pytest.mark.parametrize("words", [["help", "restart"], ["restart", "--help"], ["restart", "-h"]])
def test_help__of_a_verb(crew: Crew, words: list[str]) -> None:
    done = crew.daemon.ctl("gearfleet", *words)
    assert done.returncode == 0
    assert done.stdout.startswith("usage: gearfleet restart [--max-unavailable N|P%]")


def test_help__of_other_commands_is_not_spoilt(crew: Crew) -> None:
    assert "No help" not in crew.daemon.ctl("help", "status").stdout


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("restart", "the following arguments are required: GROUP (see `gearfleet help restart`)"),
        ("restart --paus bar", "unrecognized arguments: --paus (see `gearfleet help restart`)"),
        ("restart bar --pause x", "--pause is a number of seconds from 0, not 'x'"),
        ("restart bar --timeout x", "--timeout is a number of seconds above 0, not 'x'"),
        ("restart bar --timeout=-1", "--timeout is a number of seconds above 0, not '-1'"),
        ("restart bar --max-unavailable 0", "--max-unavailable is a number from 1, or 1% to 100%"),
        ("restart baz", "Unknown group 'baz' (known: bar, foo). Did you mean 'bar'?"),
        ("restart bar:w_9", "Unknown process of group 'bar' 'w_9' (known: w_00, w_01, w_02)."),
        ("stop b*", "'b*' is no group"),
        ("status baz", "Unknown group 'baz'"),
        (
            "restrt bar",
            "Unknown verb 'restrt' (known: help, quiet, restart, resume, start, status, stop, tail).",
        ),
        ("help restrt", "Unknown verb 'restrt'"),
    ],
)
def test_usage__one_line_and_status_2(crew: Crew, words: str, complaint: str) -> None:
    before = crew.pids()
    done = crew.daemon.ctl("gearfleet", *words.split())
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"gearfleet: {complaint}")
    assert done.stderr.count("\n") == 1
    assert crew.pids() == before


@pytest.mark.parametrize("verb", ["restart bar", "stop bar", "start bar", "status"])
def test_daemon_down__one_line_and_status_4(crew: Crew, python: str, verb: str) -> None:
    config = crew.folder / "elsewhere.conf"
    text = crew.daemon.config.read_text()
    config.write_text(text.replace("serverurl=unix://", "serverurl=unix:///nowhere"))
    command = [python, "-m", "supervisor.supervisorctl", "-c", config, "gearfleet", *verb.split()]
    done = run(command, env=clean_environment())
    assert done.returncode == 4
    assert done.stdout == ""
    assert done.stderr.startswith("gearfleet: No supervisord answers at unix:///nowhere/")
    assert done.stderr.count("\n") == 1


def test_status__healthy(crew: Crew) -> None:
    done = crew.daemon.ctl("gearfleet", "status", "bar")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [[f"bar:w_0{n}", "RUNNING"] for n in range(3)]
    assert len(crew.daemon.ctl("gearfleet", "status").stdout.splitlines()) == 4


def test_json__is_one_document_and_the_talk_goes_elsewhere(crew: Crew) -> None:
    done = crew.daemon.ctl("gearfleet", "restart", "foo", "--json")
    (result,) = json.loads(done.stdout)
    assert result["restarted"][0]["pid_after"] == crew.pids("foo")["x_00"]
    assert "foo:x_00: restarted" in done.stderr
    shown = json.loads(crew.daemon.ctl("gearfleet", "status", "foo", "--json").stdout)
    assert [(each["name"], each["healthy"]) for each in shown] == [("x_00", True)]


def test_stop_and_start__a_group(crew: Crew) -> None:
    crew.job(0.5)
    stopped = crew.daemon.ctl("gearfleet", "stop", "bar")
    crew.job(0)
    assert stopped.returncode == 0
    lines = [line.split()[0] for line in (crew.folder / "diary").read_text().splitlines()]
    assert lines[-6:] == ["stopping"] * 3 + ["done"] * 3  # together, and each job is finished
    assert stopped.stdout.count(": stopped (") == 3
    assert set(crew.states("bar").values()) == {"STOPPED"}
    assert set(crew.states("foo").values()) == {"RUNNING"}
    assert crew.daemon.ctl("gearfleet", "status", "bar").returncode == 3
    assert crew.daemon.ctl("gearfleet", "status", "foo").returncode == 0
    again = crew.daemon.ctl("gearfleet", "stop", "bar")
    assert again.returncode == 0
    assert again.stdout.count(": already STOPPED") == 3
    started = crew.daemon.ctl("gearfleet", "start", "bar")
    assert started.returncode == 0
    assert started.stdout.count(": started (pid ") == 3
    assert set(crew.states("bar").values()) == {"RUNNING"}


def test_start__failure_and_a_status_that_does_not_call_it_fine(crew: Crew) -> None:
    crew.daemon.ctl("gearfleet", "stop", "foo")
    crew.mark("broken", "x_00")
    done = crew.daemon.ctl("gearfleet", "start", "foo")
    assert done.returncode == 1
    assert "foo:x_00: FAILED, BACKOFF: Exited too quickly" in done.stdout
    assert "`supervisorctl tail foo:x_00`" in done.stderr

    def backoff() -> bool:
        status = crew.daemon.ctl("gearfleet", "status", "foo")
        return "BACKOFF" in status.stdout and status.returncode == 3

    wait_for(backoff, "status 3 because of BACKOFF")
    (crew.folder / "broken.x_00").unlink()
    crew.daemon.ctl("gearfleet", "stop", "foo")
    assert crew.daemon.ctl("gearfleet", "start", "foo").returncode == 0


def test_stop__a_job_ended_by_sigkill_is_a_failure(python: str) -> None:
    with Crew({"bar": {"w": 1}}, python=python, stopwaitsecs=1) as crew:
        crew.mark("deaf", "w_00")
        done = crew.daemon.ctl("gearfleet", "stop", "bar")
        assert done.returncode == 1
        assert "bar:w_00: KILLED after" in done.stdout
        assert "stopwaitsecs" in done.stderr


def test_interactive__an_error_does_not_end_the_shell(crew: Crew, python: str) -> None:
    command = [python, "-m", "supervisor.supervisorctl", "-c", crew.daemon.config]
    lines = "gearfleet restart\ngearfleet --help\ngearfleet status foo\n"
    done = run(command, env=crew.daemon.env, stdin=lines)
    assert "the following arguments are required" in done.stderr
    assert "gearfleet help [VERB]" in done.stdout
    assert "foo:x_00  RUNNING" in done.stdout
