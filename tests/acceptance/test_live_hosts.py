"""Verbs with `--host` on a fleet at work: each supervisord changes what is on its own host."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.crews import EXTENSION, require_debian
from tests.support.processes import GEARFLEET, clean_environment, run
from tests.support.sites import Load, Site
from tests.support.supervisord import Supervisord

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.job_servers import JobServer


class Farm:
    """Two supervisords on one machine that stand for two hosts of a project: 4.3, and 4.2.5."""

    def __init__(self, site: Site, other: Supervisord) -> None:
        self.site, self.daemons = site, {"web1": site.daemon, "web2": other}

    def reset(self) -> Farm:
        """Have two workers on each host."""
        hosts = "".join(
            f"[hosts.{name}]\nrole = 'web'\nurl = '{daemon.url}'\n"
            for name, daemon in self.daemons.items()
        )
        self.site.settings(2, f"[hosts.web]\n{hosts}")
        for name, daemon in self.daemons.items():
            words = ["apply", "--force", "-o", str(daemon.conf_d), "-c", str(daemon.config)]
            done = self.gearfleet(*words, "--host", name)
            assert done.returncode == 0, done.stderr
        return self

    def gearfleet(self, *words: str) -> subprocess.CompletedProcess[str]:
        return run([*GEARFLEET, *words], cwd=self.site.folder, env=clean_environment())

    def pids(self, host: str) -> dict[str, int]:
        return {name: info["pid"] for name, info in self.daemons[host].processes().items()}

    @property
    def toml(self) -> Path:
        return self.site.folder / "gearfleet.toml"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, gearmand: JobServer) -> Iterator[Farm]:
    other = Supervisord(python=require_debian(), sections=EXTENSION)
    folder = tmp_path_factory.mktemp("farm")
    try:
        with Site(folder, gearmand.address, python=sys.executable) as site:
            yield Farm(site, other.start())
    finally:
        other.close()


@pytest.fixture
def farm(shared: Farm) -> Farm:
    """Two hosts with two workers each, shared."""
    return shared.reset()


def test_scale__of_a_role_goes_from_host_to_host_under_load(farm: Farm) -> None:
    before = {host: farm.pids(host) for host in farm.daemons}
    with Load(farm.site) as load:
        load.wait_for_more()
        done = farm.gearfleet("scale", "bar=3", "--host", "web", "--json")
    assert done.returncode == 0, done.stderr
    first, second = json.loads(done.stdout)
    assert [first["host"], second["host"]] == ["web1", "web2"]
    assert first["summary"] == second["summary"] == "1 added"
    for host, daemon in farm.daemons.items():
        after = farm.pids(host)
        assert after.keys() == {f"worker_bar_0{number}" for number in range(3)}
        assert {name: after[name] for name in before[host]} == before[host]
        assert daemon.ctl("reread").stdout == "No config updates to processes\n"


def test_restart_stop_and_start__from_host_to_host_under_load(farm: Farm) -> None:
    before = [*farm.pids("web1").values(), *farm.pids("web2").values()]
    with Load(farm.site) as load:
        load.wait_for_more()
        restarted = farm.gearfleet("restart", "bar", "--host", "web", "--json")
        assert restarted.returncode == 0, restarted.stderr
        load.wait_for_more()
        stopped = farm.gearfleet("stop", "bar", "--host", "web1")
        assert (stopped.returncode, set(farm.pids("web1").values())) == (0, {0}), stopped.stderr
        load.wait_for_more()
        started = farm.gearfleet("start", "bar", "--host", "all")
        assert started.returncode == 0, started.stderr
        load.wait_for_more()
    hosts = json.loads(restarted.stdout)
    assert [len(host["result"][0]["restarted"]) for host in hosts] == [2, 2]
    assert [host["result"][0]["killed"] for host in hosts] == [[], []]
    after = [*farm.pids("web1").values(), *farm.pids("web2").values()]
    assert all(after) and not {*after} & {*before}


def test_scale__what_is_tried_or_refused_changes_no_host(farm: Farm) -> None:
    files = {path: path.read_text() for d in farm.daemons.values() for path in d.conf_d.iterdir()}
    done = farm.gearfleet("scale", "bar=1", "--host", "all", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("bar:worker_bar_01: will drain and go") == 2
    assert "1 to remove, 1 stay as they are" in done.stdout.splitlines()[-2]
    done = farm.gearfleet("scale", "baz=3", "--host", "web1")
    assert done.returncode == 1
    assert "Unknown group 'baz' (known: bar). Did you mean 'bar'?" in done.stderr
    done = farm.gearfleet("scale", "bar=3", "--save", "--url", farm.daemons["web1"].url)
    assert done.returncode == 2
    assert "name it with --host" in done.stderr
    assert {path: path.read_text() for path in files} == files


def test_scale__halts_at_the_first_host_that_refuses(farm: Farm) -> None:
    before = farm.pids("web2")
    with (farm.daemons["web1"].conf_d / "worker_bar.conf").open("a") as file:
        file.write("; by hand\n")
    done = farm.gearfleet("scale", "bar=3", "--host", "all")
    assert done.returncode == 1
    assert "web1: The supervisord at unix:" in done.stderr
    assert "Edited by hand since gearfleet wrote it: worker_bar.conf" in done.stderr
    assert "not begun" in done.stdout
    assert "go on with: `gearfleet scale bar=3 --host web1`, `gearfleet sca" in done.stderr
    assert farm.pids("web2") == before


@pytest.mark.parametrize(
    ("host", "table"), [("web", ["hosts", "web", "queues"]), ("all", ["queues"])]
)
def test_scale__is_saved_where_it_is_meant(farm: Farm, host: str, table: list[str]) -> None:
    done = farm.gearfleet("scale", "bar=1", "--host", host, "--save")
    assert done.returncode == 0, done.stderr
    line = farm.toml.read_text().partition(f"[{'.'.join(table)}.bar]\n")[2].partition("\n")[0]
    assert line == "processes = 1"
    for name, daemon in farm.daemons.items():
        assert len(farm.pids(name)) == 1
        done = farm.gearfleet("diff", "-o", str(daemon.conf_d), "--host", name)
        assert done.returncode == 0, done.stdout
