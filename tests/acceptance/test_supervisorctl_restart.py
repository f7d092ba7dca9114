"""`supervisorctl gearfleet restart`, as an operator runs it, on a live supervisord."""

from __future__ import annotations

import re
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.crews import Crew, Watch, require_debian
from tests.support.processes import Process, run
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from tests.support.supervisord import Supervisord


@pytest.fixture(params=["venv", "debian"])
def python(request: pytest.FixtureRequest) -> str:
    """The Python of supervisord and supervisorctl: ours with 4.3, Debian's with 4.2.5."""
    return sys.executable if request.param == "venv" else require_debian()


def ctl(daemon: Supervisord, *args: str) -> Process:
    """Start supervisorctl, to be interrupted."""
    command = [daemon.python, "-m", "supervisor.supervisorctl", "-c", daemon.config, *args]
    return Process(command, log=daemon.folder / "ctl.log", env=daemon.env)


def assert_all_running(crew: Crew) -> None:
    wait_for(lambda: set(crew.states().values()) == {"RUNNING"}, "all RUNNING again")


def test_restart__in_waves_with_a_line_per_process(python: str) -> None:
    with Crew({"bar": {"w": 3, "one": 1}, "foo": {"x": 1}}, python=python, job=0.3) as crew:
        before, others = crew.pids("bar"), crew.pids("foo")
        with Watch(crew.daemon, "bar") as watch:
            done = crew.daemon.ctl("gearfleet", "restart", "bar")
        assert (done.returncode, done.stderr) == (0, "")
        after = crew.pids("bar")
        lines = done.stdout.splitlines()
        assert lines[0].startswith("bar: restarting 4 processes, at most 1 at a time")
        assert lines[1] == "bar:one_00: the only one of its program, away meanwhile"
        for name, pid in before.items():
            assert pid != after[name]
            wanted = rf"^bar:{name}: restarted \(pid {pid} -> {after[name]}, \d\.\d s\)$"
            assert re.search(wanted, done.stdout, re.MULTILINE)
        assert "never fewer than 3 of 4 running" in lines[-1]
        assert len(lines) == 7
        assert watch.looks > 10
        assert watch.lowest_total == 3
        assert watch.lowest["w"] == 2
        assert crew.diary("done") == crew.diary("stopping")
        assert crew.pids("foo") == others
        assert set(crew.states().values()) == {"RUNNING"}


def test_restart__floor_holds_per_program_whatever_the_wave(python: str) -> None:
    with (
        Crew({"bar": {"a": 2, "b": 2}}, python=python, job=0.2) as crew,
        Watch(crew.daemon, "bar") as watch,
    ):
        before = crew.pids()
        done = crew.daemon.ctl("gearfleet", "restart", "--max-unavailable", "100%", "bar")
        assert done.returncode == 0, done.stderr
        assert all(before[name] != pid for name, pid in crew.pids().items())
    assert watch.lowest == {"a": 1, "b": 1}
    assert watch.lowest_total == 2  # so two were away at the same time


def test_restart__halts_at_a_process_that_does_not_come_back(python: str) -> None:
    with Crew({"bar": {"w": 3}, "foo": {"x": 1}}, python=python) as crew:
        before = crew.pids()
        crew.mark("broken", "w_01")
        done = crew.daemon.ctl("gearfleet", "restart", "bar", "foo")
        assert done.returncode == 1
        after = crew.pids()
        assert after["w_00"] != before["w_00"]
        assert after["w_02"] == before["w_02"]
        assert after["x_00"] == before["x_00"]
        assert "bar:w_01: FAILED, BACKOFF: Exited too quickly" in done.stdout
        assert "bar: bar:w_01 did not come back." in done.stderr
        assert "still running as before: bar:w_02." in done.stderr
        assert "still running as before: foo:x_00." in done.stderr
        assert "`supervisorctl tail bar:w_01`" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_restart__interrupted_leaves_nothing_stopped(number: signal.Signals) -> None:
    with Crew({"bar": {"w": 4}}, job=60) as crew:
        before = crew.pids()
        ctl_process = ctl(crew.daemon, "gearfleet", "restart", "bar", "--max-unavailable", "2")
        wait_for(lambda: len(crew.diary("stopping")) == 2, "two processes to finish their jobs")
        ctl_process.signal(number)
        ctl_process.wait_for_output(
            f"halted: interrupted by {number.name}; waiting for bar:w_00, bar:w_01"
        )
        ctl_process.signal(number)  # again: it says again what it waits for
        wait_for(
            lambda: ctl_process.output().count("halted: interrupted by") == 2, "the second answer"
        )
        crew.job(0)
        assert ctl_process.wait() == 1
        assert not {"STOPPED", "STOPPING"} & set(crew.states().values())
        assert sorted(crew.diary("done")) == ["w_00", "w_01"]
        assert_all_running(crew)
        after = crew.pids()
        assert [name for name in sorted(before) if after[name] != before[name]] == ["w_00", "w_01"]
        assert "bar:w_00: started" in ctl_process.output()
        assert "still running as before: bar:w_02, bar:w_03" in ctl_process.output()


def test_restart__reader_that_goes_away_leaves_nothing_stopped() -> None:
    with Crew({"bar": {"w": 3}}, job=0.5) as crew:
        daemon = crew.daemon
        command = f"{daemon.python} -m supervisor.supervisorctl -c {daemon.config} gearfleet"
        done = run(["bash", "-c", f"{command} restart bar | head -1"], env=daemon.env)
        assert done.stdout.startswith("bar: restarting 3 processes")
        assert not {"STOPPED", "STOPPING"} & set(crew.states().values())
        assert_all_running(crew)


def test_restart__a_job_ended_by_sigkill_is_reported(python: str) -> None:
    with Crew({"bar": {"w": 2}}, python=python, stopwaitsecs=1) as crew:
        before = crew.pids()
        crew.mark("deaf", "w_01")
        done = crew.daemon.ctl("gearfleet", "restart", "bar")
        assert done.returncode == 1
        assert re.search(r"^bar:w_01: KILLED after \d+ s", done.stdout, re.MULTILINE)
        assert "bar:w_00: KILLED" not in done.stdout
        assert "stopwaitsecs" in done.stderr
        assert all(before[name] != pid for name, pid in crew.pids().items())


def test_restart__what_is_down_is_left_down_and_counts(python: str) -> None:
    with Crew({"bar": {"w": 3}}, python=python) as crew:
        crew.daemon.ctl("stop", "bar:w_01")
        before = crew.pids()
        refused = crew.daemon.ctl("gearfleet", "restart", "bar")
        assert refused.returncode == 1
        assert "1 of 3 processes are down (bar:w_01)" in refused.stderr
        assert "--max-unavailable 2" in refused.stderr
        assert crew.pids() == before
        done = crew.daemon.ctl("gearfleet", "restart", "bar", "--max-unavailable=2")
        assert done.returncode == 0, done.stderr
        assert "bar:w_01: STOPPED before, left as it is" in done.stdout
        assert crew.states()["w_01"] == "STOPPED"


def test_restart__one_process(python: str) -> None:
    with Crew({"bar": {"w": 2}}, python=python) as crew:
        before = crew.pids()
        assert crew.daemon.ctl("gearfleet", "restart", "bar:w_01").returncode == 0
        after = crew.pids()
        assert after["w_00"] == before["w_00"]
        assert after["w_01"] != before["w_01"]


def test_restart__all_groups_one_after_the_other() -> None:
    with Crew({"bar": {"w": 2}, "foo": {"x": 1}}) as crew:
        before = crew.pids()
        done = crew.daemon.ctl("gearfleet", "restart", "all")
        assert done.returncode == 0
        assert all(before[name] != pid for name, pid in crew.pids().items())
        assert crew.diary("stopping") == ["w_00", "w_01", "x_00"]
