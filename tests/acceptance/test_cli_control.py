"""``gearfleet restart|status|stop|start GROUP -c supervisord.conf``: no plugin section needed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.crews import Crew
from tests.support.processes import GEARFLEET, run
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def crew() -> Iterator[Crew]:
    """A supervisord in which everything runs; tests leave it so."""
    with Crew({"bar": {"w": 2}, "foo": {"x": 1}}) as crew:
        config = crew.daemon.config
        config.write_text(config.read_text().replace("[ctlplugin:gearfleet]", "[ignored]"))
        yield crew


def gearfleet(crew: Crew, *words: str) -> subprocess.CompletedProcess[str]:
    command = [*GEARFLEET, *words, "-c", str(crew.daemon.config)]
    return run(command, cwd=crew.folder, timeout=90)


def pids(crew: Crew, group: str) -> dict[str, int]:
    return {name: info["pid"] for name, info in crew.daemon.processes(group).items()}


def test_status__shows_every_process(crew: Crew) -> None:
    done = gearfleet(crew, "status")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [
        ["bar:w_00", "RUNNING"],
        ["bar:w_01", "RUNNING"],
        ["foo:x_00", "RUNNING"],
    ]


def test_status__as_json(crew: Crew) -> None:
    done = gearfleet(crew, "status", "foo", "--json")
    (process,) = json.loads(done.stdout)
    assert (process["group"], process["name"], process["state"]) == ("foo", "x_00", "RUNNING")
    assert process["pid"] == pids(crew, "foo")["x_00"]
    assert process["healthy"] is True


def test_restart__replaces_every_process_and_says_so(crew: Crew) -> None:
    before = pids(crew, "bar")
    done = gearfleet(crew, "restart", "bar")
    assert (done.returncode, done.stderr) == (0, "")
    after = pids(crew, "bar")
    for name in ("w_00", "w_01"):
        assert f"bar:{name}: restarted (pid {before[name]} -> {after[name]}, " in done.stdout


def test_restart__as_json_is_one_document(crew: Crew) -> None:
    done = gearfleet(crew, "restart", "foo", "--json", "--timeout", "30")
    (result,) = json.loads(done.stdout)
    assert result["group"] == "foo"
    assert result["restarted"][0]["pid_after"] == pids(crew, "foo")["x_00"]
    assert "foo:x_00: restarted" in done.stderr


def test_stop_and_start__wait_for_what_they_ask_for(crew: Crew) -> None:
    stopped = gearfleet(crew, "stop", "foo")
    assert stopped.returncode == 0, stopped.stderr
    assert crew.daemon.processes("foo")["x_00"]["statename"] == "STOPPED"
    assert gearfleet(crew, "status", "foo").returncode == 1

    started = gearfleet(crew, "start", "foo")
    assert started.returncode == 0, started.stderr
    assert crew.daemon.processes("foo")["x_00"]["statename"] == "RUNNING"


def test_restart__of_a_process_that_does_not_come_back_fails(crew: Crew) -> None:
    broken = crew.folder / "broken.w_00"
    broken.touch()
    try:
        done = gearfleet(crew, "restart", "bar")
    finally:
        broken.unlink()
    assert done.returncode == 1
    assert "bar:w_00: FAILED" in done.stdout
    assert "Not restarted, still running as before: bar:w_01" in done.stderr
    wait_for(
        lambda: crew.daemon.processes("bar")["w_00"]["statename"] == "RUNNING",
        "supervisord to retry what was broken",
    )


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["restart", "baz"], 2, "Unknown group 'baz' (known: bar, foo). Did you mean 'bar'?"),
        (["restart"], 2, "the following arguments are required: GROUP"),
        (["restart", "bar", "--max-unavailable", "lots"], 2, "--max-unavailable"),
        (["restart", "bar", "--timeout", "-1"], 2, "--timeout"),
        (["restart", "bar", "--pause", "-1"], 2, "--pause"),
        (["restart", "bar", "--release", "v2"], 2, "--only-changed compares with; give both"),
        (["tail", "bar", "-n", "x"], 2, "--lines is a number of lines from 0 to 999999, not 'x'"),
    ],
)
def test_usage__mistakes_are_named(crew: Crew, words: list[str], code: int, said: str) -> None:
    done = gearfleet(crew, *words)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_unreachable__is_one_line_and_exit_4(tmp_path: Path) -> None:
    done = run([*GEARFLEET, "status", "--url", f"unix://{tmp_path}/s.sock"], cwd=tmp_path)
    assert done.returncode == 4
    assert done.stderr.count("\n") == 1
    assert f"No supervisord answers at unix://{tmp_path}/s.sock" in done.stderr


def test_configuration__that_is_missing_is_named(tmp_path: Path) -> None:
    done = run([*GEARFLEET, "status", "-c", tmp_path / "nowhere.conf"], cwd=tmp_path)
    assert done.returncode == 2
    assert "nowhere.conf; name it with -c FILE, --url or --host" in done.stderr
