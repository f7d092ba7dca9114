"""``gearfleet demo``: a newcomer's first minute, and what it leaves behind: nothing."""

from __future__ import annotations

import json
import re
import signal
from io import StringIO
from pathlib import Path

import psutil

from gearfleet.cli.demo.stage import Stage
from gearfleet.cli.output import Output
from gearfleet.gearman import GearmanAdminClient
from tests.support.processes import GEARFLEET, Process, run
from tests.support.waiting import wait_for

SLOW = 170.0  # two cores, shared with other tests


def processes_of(folder: str) -> list[list[str]]:
    """Return the command lines that name `folder`."""
    lines = (process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"]))
    return [line for line in lines if any(folder in word for word in line)]


def folder_in(text: str) -> str:
    found = re.search(r"/tmp/gearfleet-demo-\w+", text)
    assert found, text
    return found[0]


def test_demo__restarts_a_fleet_under_load_without_losing_a_job_and_keeps_it_when_asked() -> None:
    """It says how to end what it leaves running, and that is done here to the letter."""
    done = run([*GEARFLEET, "demo", "--keep", "--jobs", "100", "--json"], timeout=SLOW, fresh=True)
    assert done.returncode == 0, done.stderr
    score = json.loads(done.stdout)
    assert score["submitted"] >= 100
    assert score["done"] == score["submitted"]
    assert not score["lost"]
    assert score["pids_before"].keys() == score["pids_after"].keys()
    assert not set(score["pids_before"].values()) & set(score["pids_after"].values())
    assert score["fewest_running"] == len(score["pids_before"]) - 1
    books = score["books"]
    assert 0 < books["recorded"] == score["in_background"] < score["submitted"]
    assert (books["schedule"], books["turnover"]) == ("overdue report", "2.10")
    assert re.fullmatch("[0-9a-f]{32}", books["job"])
    assert (books["status"], books["account"]) == ("SUCCESSFUL", {"orders": 120, "total": "239.30"})
    folder = folder_in(done.stderr)
    assert processes_of(folder)
    advice = done.stderr.partition("When you are done:")[2]
    farewell = "\n".join(line.strip() for line in advice.splitlines())
    assert run(["sh", "-ec", farewell], timeout=SLOW).returncode == 0
    wait_for(lambda: not processes_of(folder), "the advice to end everything")
    assert not Path(folder).exists()


def test_demo__cleans_up_after_ctrl_c(tmp_path: Path) -> None:
    demo = Process([*GEARFLEET, "demo", "--jobs", "4"], log=tmp_path / "log", fresh=True)
    try:
        demo.wait_for_output("gearfleet restart bar", timeout=SLOW)
        folder = folder_in(demo.output())
        assert processes_of(folder)
        demo.signal(signal.SIGINT)
        assert demo.wait(timeout=SLOW) == 130
    finally:
        demo.terminate()
    assert not Path(folder).exists()
    wait_for(lambda: not processes_of(folder), "no process of the demo to be left")


def test_stage__leaves_nothing_when_the_demo_is_over() -> None:
    output = Output(stderr=StringIO())
    with Stage(output, servers=None, keep=False) as stage:
        stage.start_job_server()
        folder = str(stage.folder)
        (pid,) = stage._pids.values()
        with GearmanAdminClient([stage.servers]) as admin:
            assert admin.version()
    assert not psutil.pid_exists(pid)
    assert not processes_of(folder)
    assert not Path(folder).exists()
