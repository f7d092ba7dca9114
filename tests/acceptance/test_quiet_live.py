"""Workers at work under Debian's supervisord, with the plugin in the system's Python."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.crews import require_debian
from tests.support.live_fleets import LiveFleet
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.job_servers import JobServer

TOML = """
[fleet]
startsecs = 1
[queues.foo]
processes = 2
[queues.bar]
processes = 0
[queues.pool]
processes = 2
mode = "pool"
"""
FOO = ("foo:worker_foo_foo_00", "foo:worker_foo_foo_01")


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, gearmand: JobServer) -> Iterator[LiveFleet]:
    folder = tmp_path_factory.mktemp("quiet")
    with LiveFleet(folder, gearmand, toml=TOML, python=require_debian()) as fleet:
        other = fleet.daemon.conf_d / "other.conf"
        other.write_text("[program:other]\ncommand=sleep 1000\nstartsecs=0\n")
        fleet.daemon.ctl("update", "other")
        yield fleet


def test_quiet__says_who_takes_no_job_and_who_finishes_one(live: LiveFleet) -> None:
    held = live.submit("wait_for", "go")
    wait_for(live.busy, "the job to begin")
    done = live.daemon.ctl("gearfleet", "quiet", "foo")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count(": quiet") == 2
    assert done.stdout.count(": quiet, finishing ") == 1
    waiting = live.submit("echo", 7)
    live.allow("go")
    assert held.result() == "go"
    wait_for(lambda: not live.busy(), "the job to be finished")
    assert not waiting.done()

    done = live.control("resume", "foo", "--json")
    assert done.returncode == 0, done.stderr
    assert {each["name"] for each in json.loads(done.stdout)["done"]} == set(FOO)
    assert waiting.result() == [7]


def test_quiet__of_a_pool_is_that_of_its_workers(live: LiveFleet) -> None:
    done = live.control("quiet", "pool")
    assert done.stdout.splitlines() == ["pool:worker_foo_pool_00: quiet (2 workers)", "1 done"]
    done = live.daemon.ctl("gearfleet", "resume", "pool")
    assert "pool:worker_foo_pool_00: takes jobs again (2 workers)" in done.stdout


def test_quiet__freezes_no_process_that_is_no_worker(live: LiveFleet) -> None:
    done = live.daemon.ctl("gearfleet", "quiet", "other")
    assert done.returncode == 1
    assert "other: FAILED, RUNNING: neither its board nor a job server knows it" in done.stdout
    (info,) = live.daemon.processes("other").values()
    with open(f"/proc/{info['pid']}/stat") as stat:  # noqa: PTH123
        assert stat.read().rpartition(")")[2].split()[0] == "S"


def test_tail__has_the_lines_of_every_process(live: LiveFleet) -> None:
    done = live.daemon.ctl("gearfleet", "tail", "foo", "-n", "3")
    assert done.returncode == 0, done.stderr
    lines = [line.split(" | ")[0] for line in done.stdout.splitlines()]
    assert lines == [name for name in FOO for _ in range(3)]
    (first, *_) = json.loads(live.control("tail", "foo", "--json").stdout)
    assert first["process"] == FOO[0]
    assert first["text"]


def test_restart__of_workers_and_pools_under_load_loses_no_job(live: LiveFleet) -> None:
    (parent,) = live.pids("pool").values()
    before = live.pids("foo")
    with live.loaded("tick", callers=2):
        done = live.daemon.ctl("gearfleet", "restart", "foo", "pool")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not set(before.values()) & set(live.pids("foo").values())
    assert "never fewer than 1 of 2 running" in done.stdout
    assert f"(pid {parent} stays, 2 new workers, " in done.stdout
