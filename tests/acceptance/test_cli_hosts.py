"""``--host NAME|all``: two supervisords on one machine stand for two hosts."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.support.crews import Crew
from tests.support.ports import free_port
from tests.support.processes import GEARFLEET, clean_environment, run

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

INET = """
[inet_http_server]
port=127.0.0.1:{port}
username=ops
password=secret
"""


class Hosts:
    """Three hosts of one project: a socket, HTTP with a password, and one that is down."""

    def __init__(self, folder: Path, web1: Crew, web2: Crew, port: int) -> None:
        self.folder, self.web1, self.web2 = folder, web1, web2
        (folder / "gearfleet.toml").write_text(
            f"servers = ['127.0.0.1:{free_port()}']\n[hosts.web]\n[hosts.web1]\nrole = 'web'\nurl = '{web1.daemon.url}'\n"
            f"[hosts.web2]\nrole = 'web'\nurl = 'http://127.0.0.1:{port}'\n"
            "username_env = 'SV_USER'\npassword_env = 'SV_PASSWORD'\n"
            f"[hosts.web3]\nurl = 'http://127.0.0.1:{free_port()}'\n"
        )

    def gearfleet(self, *words: str, password: str = "secret") -> subprocess.CompletedProcess[str]:
        env = clean_environment(SV_USER="ops", SV_PASSWORD=password, HOME=str(self.folder))
        return run([*GEARFLEET, *words], cwd=self.folder, env=env, timeout=90)

    def states(self) -> dict[str, set[str]]:
        crews = {"web1": self.web1, "web2": self.web2}
        return {name: set(crew.states().values()) for name, crew in crews.items()}


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    port = free_port()
    web1, web2 = Crew({"bar": {"w": 2}}), Crew({"bar": {"w": 1}})
    config = web2.daemon.config
    config.write_text(config.read_text() + INET.format(port=port))
    with web1, web2:
        yield Hosts(tmp_path_factory.mktemp("hosts"), web1, web2, port)


def test_status__of_every_host_although_one_is_down(hosts: Hosts) -> None:
    done = hosts.gearfleet("status", "--host", "all")
    assert done.returncode == 4
    assert "== web1 (unix://" in done.stdout
    assert done.stdout.count("bar:w_00  RUNNING") == 2
    assert "gearfleet: web3: No supervisord answers at http://127.0.0.1:" in done.stderr
    assert "Is it running, and is the address right?" in done.stderr
    table = [line.split() for line in done.stdout.splitlines() if "│ web" in line]
    assert [row[1] for row in table] == ["web1", "web2", "web3"]
    assert "2 RUNNING" in done.stdout


def test_restart__of_a_role_goes_from_host_to_host(hosts: Hosts) -> None:
    before = {**hosts.web1.pids(), **hosts.web2.pids()}
    done = hosts.gearfleet("restart", "bar", "--host", "web", "--json")
    assert done.returncode == 0, done.stderr
    first, second = json.loads(done.stdout)
    assert (first["host"], first["state"]) == ("web1", "ok")
    assert (second["host"], second["state"]) == ("web2", "ok")
    assert len(first["result"][0]["restarted"]) == 2
    assert not {*before.values()} & {*hosts.web1.pids().values(), *hosts.web2.pids().values()}
    assert done.stderr.index("bar:w_01: restarted") < done.stderr.index("== web2")


def test_restart__halts_at_the_first_host_that_fails(hosts: Hosts) -> None:
    hosts.web1.mark("broken", "w_00")
    before = hosts.web2.pids()
    try:
        done = hosts.gearfleet("restart", "bar", "--host", "all")
    finally:
        (hosts.web1.folder / "broken.w_00").unlink()
    assert done.returncode == 1
    assert "not begun" in done.stdout
    assert "go on with: `gearfleet restart bar --host web2`" in done.stderr
    assert hosts.web2.pids() == before
    hosts.web1.daemon.ctl("stop", "bar:*")
    assert hosts.gearfleet("start", "bar", "--host", "web1").returncode == 0


def test_scale__on_a_host_that_cannot_says_what_is_missing(hosts: Hosts) -> None:
    done = hosts.gearfleet("scale", "bar=3", "--host", "web")
    assert done.returncode == 1
    assert "web1: supervisord has not loaded gearfleet's extension" in done.stderr
    assert "or scale on that host, with -c FILE" in done.stderr
    assert "go on with: `gearfleet scale bar=3 --host web1`, `gearfleet sca" in done.stderr


def test_stop_and_start__on_every_host_of_a_role(hosts: Hosts) -> None:
    assert hosts.gearfleet("stop", "bar", "--host", "web").returncode == 0
    assert hosts.states() == {"web1": {"STOPPED"}, "web2": {"STOPPED"}}
    assert hosts.gearfleet("start", "bar", "--host", "web").returncode == 0
    assert hosts.states() == {"web1": {"RUNNING"}, "web2": {"RUNNING"}}


def test_credentials__that_are_wrong_say_where_they_belong(hosts: Hosts) -> None:
    done = hosts.gearfleet("status", "--host", "web2", password="wrong")
    assert done.returncode == 1
    assert "username_env and password_env, or in ~/.netrc" in done.stderr


def test_credentials__from_netrc(hosts: Hosts) -> None:
    netrc = hosts.folder / ".netrc"
    netrc.write_text("machine 127.0.0.1 login ops password secret\n")
    os.chmod(netrc, 0o600)  # noqa: PTH101
    toml = hosts.folder / "gearfleet.toml"
    text = toml.read_text()
    toml.write_text(text.replace("username_env = 'SV_USER'\npassword_env = 'SV_PASSWORD'\n", ""))
    try:
        assert hosts.gearfleet("status", "--host", "web2").returncode == 0
    finally:
        toml.write_text(text)


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("web9", "Unknown host 'web9' (known: all, web, web1, web2, web3). Did you mean"),
        ("x", "Unknown host 'x' (known: all, web, web1, web2, web3)."),
    ],
)
def test_host__that_is_unknown_is_named(hosts: Hosts, host: str, said: str) -> None:
    done = hosts.gearfleet("status", "--host", host)
    assert done.returncode == 2
    assert said in done.stderr


def test_host__without_a_supervisord_is_told_how_to_name_it(tmp_path: Path) -> None:
    (tmp_path / "gearfleet.toml").write_text("[hosts.web1.queues.bar]\nprocesses = 2\n")
    for host in ("web1", "all"):
        done = run([*GEARFLEET, "status", "--host", host], cwd=tmp_path)
        assert done.returncode == 2
        assert 'say url = "..." in [hosts.' in done.stderr
