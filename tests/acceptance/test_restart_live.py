"""A rolling restart of a fleet at work: idle first, new code only, pools, and no job is lost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.live_fleets import LiveFleet
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.job_servers import JobServer

TOML = """
release = "one"
[fleet]
startsecs = 1
[queues.foo]
processes = 3
[queues.bar]
processes = 0
[queues.pool]
processes = 2
mode = "pool"
"""


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, gearmand: JobServer) -> Iterator[LiveFleet]:
    """Three workers of foo and a pool of two; tests leave it so."""
    with LiveFleet(tmp_path_factory.mktemp("live"), gearmand, toml=TOML) as fleet:
        yield fleet


def release(live: LiveFleet, name: str) -> None:
    """Install another release."""
    settings = live.folder / "gearfleet.toml"
    lines = settings.read_text().splitlines()
    settings.write_text("\n".join(f'release = "{name}"' if "release" in x else x for x in lines))


def test_restart__takes_the_busy_one_last_and_interrupts_nothing(live: LiveFleet) -> None:
    long = live.submit("wait_for", "long")
    wait_for(live.busy, "the long job to begin")
    (pid,) = live.busy()
    (busy,) = [name for name, known in live.pids("foo").items() if known == pid]
    restart = live.start_control("restart", "foo")
    wait_for(
        lambda: restart.output().count(": restarted (pid ") == 2 or restart.returncode is not None,
        "the idle ones to be back",
    )
    assert restart.returncode is None, restart.output()
    assert f"foo:{busy}: restarted" not in restart.output()
    assert not long.done()
    live.allow("long")
    assert restart.wait() == 0
    assert f"foo:{busy}: restarted (pid {pid} -> " in restart.output()
    assert long.result() == "long"


def test_restart__of_what_has_changed(live: LiveFleet) -> None:
    before = live.pids("foo")
    done = live.control("restart", "foo", "--only-changed", "--json")
    (result,) = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert (len(result["current"]), result["restarted"]) == (3, [])
    assert "foo: 3 processes of release one already, left as they are" in done.stderr
    assert live.pids("foo") == before

    release(live, "two")
    first = "foo:worker_foo_foo_01"
    assert live.control("restart", first).returncode == 0
    with live.loaded("tick"):
        done = live.daemon.ctl("gearfleet", "restart", "foo", "--only-changed")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "foo: 1 process of release two already" in done.stdout
    assert f"{first}: restarted" not in done.stdout
    assert done.stdout.count(": restarted (pid ") == 2
    wait_for(
        lambda: {live.workers()[pid]["release"] for pid in live.pids("foo").values()} == {"two"},
        "release two everywhere",
    )


def test_restart__of_a_pool_keeps_its_pid_and_replaces_its_workers(live: LiveFleet) -> None:
    (pid,) = live.pids("pool").values()
    before = {each for each, worker in live.workers().items() if "/" in worker["process"]}
    with live.loaded("tack"):
        done = live.control("restart", "pool")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"(pid {pid} stays, 2 new workers, " in done.stdout
    assert live.pids("pool") == {"worker_foo_pool_00": pid}
    assert live.submit("parent").result() == pid
    after = {each for each, worker in live.workers().items() if "/" in worker["process"]}
    assert len(after) == 2
    assert not before & after


def test_restart__of_a_pool_whose_new_code_does_not_import_fails(live: LiveFleet) -> None:
    module = live.folder / live.package / "gearman_workers/worker_foo.py"
    source = module.read_text()
    live.submit("parent").result()  # it has imported the code that works
    module.write_text(source + "\nraise RuntimeError('half a deployment')\n")
    try:
        done = live.daemon.ctl("gearfleet", "restart", "pool", "--timeout", "2")
    finally:
        module.write_text(source)
    assert done.returncode == 1
    assert "it keeps the code that it has when the new one does not import" in done.stdout
    assert live.submit("parent").result() == live.pids("pool")["worker_foo_pool_00"]
