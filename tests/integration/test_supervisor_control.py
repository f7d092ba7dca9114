"""The XML-RPC control against a real supervisord: what it reads, does, and says when it cannot."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import pytest

from gearfleet.errors import SupervisorError, SupervisorUnreachable
from gearfleet.supervisor.control import Supervisor
from gearfleet.supervisor.processes import Limits, State
from tests.support.crews import Crew, require_debian
from tests.support.ports import free_port
from tests.support.processes import Process
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.supervisord import Supervisord


@pytest.fixture(scope="module", params=["venv", "debian"])
def crew(request: pytest.FixtureRequest) -> Iterator[Crew]:
    python = sys.executable if request.param == "venv" else require_debian()
    with Crew({"bar": {"w": 2}, "foo": {"x": 1}}, python=python, stopwaitsecs=17) as crew:
        yield crew


@pytest.fixture
def control(crew: Crew) -> Supervisor:
    return Supervisor.from_config(crew.daemon.config)


def test_processes__of_a_group_and_of_all(crew: Crew, control: Supervisor) -> None:
    processes = control.processes("bar")
    assert [p.namespec for p in processes] == ["bar:w_00", "bar:w_01"]
    assert {p.name: p.pid for p in processes} == crew.pids("bar")
    assert all(p.is_running and p.start > 0 and p.now >= p.start for p in processes)
    assert len(control.processes()) == 3


def test_limits__are_those_of_the_configuration(control: Supervisor) -> None:
    limits = control.limits()["bar:w_01"]
    assert limits == Limits(startsecs=1, stopwaitsecs=17, command=limits.command)
    assert limits.command.endswith("/crew.py")


def test_stop_and_start__return_only_what_was_refused(control: Supervisor) -> None:
    assert control.stop(["bar:w_00", "bar:w_01"]) == ()
    wait_for(lambda: {p.state for p in control.processes("bar")} == {State.STOPPED}, "STOPPED")
    (gone,) = control.stop(["bar:w_00", "bar:none"])  # not running is what was asked for
    assert (gone.name, gone.code) == ("bar:none", 10)
    assert control.start(["bar:w_00", "bar:w_01"]) == ()
    assert control.start(["bar:w_00"]) == ()  # already started likewise
    wait_for(lambda: all(p.is_running for p in control.processes("bar")), "RUNNING")


def test_start__a_missing_binary_is_refused_with_the_reason(supervisord: Supervisord) -> None:
    (supervisord.conf_d / "a.conf").write_text(
        "[program:mail]\ncommand=/nonexistent/mail\nautostart=false\n"
    )
    supervisord.start()
    (refusal,) = Supervisor.from_url(supervisord.url).start(["mail"])
    assert refusal.name == "mail"
    assert "can't find command '/nonexistent/mail'" in refusal.text


def test_start__one_that_cannot_be_spawned_shows_it_in_its_state(supervisord: Supervisord) -> None:
    (supervisord.conf_d / "a.conf").write_text(
        "[program:mail]\ncommand=/bin/cat\ndirectory=/nonexistent\nautostart=false\n"
    )
    supervisord.start()
    control = Supervisor.from_url(supervisord.url)
    assert control.start(["mail"]) == ()
    wait_for(lambda: control.processes()[0].state is State.BACKOFF, "BACKOFF")
    assert control.processes()[0].spawnerr


def test_stop_and_start__nothing_asks_nobody(tmp_path: Path) -> None:
    nowhere = Supervisor.from_url(f"unix://{tmp_path}/none.sock")
    assert nowhere.stop([]) == nowhere.start([]) == ()


def test_unreachable__no_socket(tmp_path: Path) -> None:
    control = Supervisor.from_url(f"unix://{tmp_path}/none.sock")
    with pytest.raises(SupervisorUnreachable, match=r"none\.sock: No such file.*Is it running"):
        control.processes()


def test_unreachable__nobody_listens() -> None:
    control = Supervisor.from_url(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(SupervisorUnreachable, match="Connection refused"):
        control.processes()


def answers(control: Supervisor) -> bool:
    try:
        return bool(control.processes())
    except SupervisorUnreachable:
        return False


def test_unreachable__a_daemon_that_is_blocked_costs_the_timeout_only(crew: Crew) -> None:
    control = Supervisor.from_url(crew.daemon.url, timeout=1)
    assert crew.daemon.process is not None
    crew.daemon.process.pause()
    try:
        began = time.monotonic()
        with pytest.raises(SupervisorUnreachable, match=r"did not answer within 1 s"):
            control.processes()
        assert time.monotonic() - began < 9
    finally:
        crew.daemon.process.go_on()
    wait_for(lambda: answers(control), "the same object to be usable again")


def test_http__with_a_password(supervisord: Supervisord) -> None:
    port = free_port()
    config = supervisord.config
    http = f"[inet_http_server]\nport=127.0.0.1:{port}\nusername=ops\npassword=pass:word\n"
    config.write_text(http + config.read_text())
    (supervisord.conf_d / "a.conf").write_text("[program:a]\ncommand=/bin/cat\n")
    supervisord.start()
    control = Supervisor.from_url(f"http://ops:pass%3Aword@127.0.0.1:{port}")
    assert [p.namespec for p in control.processes()] == ["a"]
    with pytest.raises(SupervisorError, match="wants another user name and password"):
        Supervisor.from_url(f"http://ops:wrong@127.0.0.1:{port}").processes()
    with pytest.raises(SupervisorError, match="wants another user name and password"):
        Supervisor.from_url(f"http://127.0.0.1:{port}").processes()


def test_fault__without_supervisors_own_interface(supervisord: Supervisord) -> None:
    text = supervisord.config.read_text()
    supervisord.config.write_text(text.replace("[rpcinterface:supervisor]", "[rpcinterface:x]"))
    command = [sys.executable, "-m", "supervisor.supervisord", "-c", supervisord.config]
    process = Process(command, log=supervisord.folder / "out.log", env=supervisord.env)
    control = Supervisor.from_url(supervisord.url)

    def complaint() -> str:
        try:
            control.processes()
        except SupervisorUnreachable:
            return ""
        except SupervisorError as error:
            return str(error)
        raise AssertionError("it answered")

    try:
        assert "add the [rpcinterface:supervisor] section" in wait_for(complaint, "a fault")
    finally:
        process.terminate()


def test_fault__while_supervisord_shuts_down() -> None:
    with Crew({"bar": {"w": 1}}, stopwaitsecs=5) as crew:
        crew.mark("deaf", "w_00")
        control = Supervisor.from_url(crew.daemon.url)
        crew.daemon.rpc().supervisor.shutdown()
        with pytest.raises(SupervisorError, match="is shutting down or restarting"):
            control.processes()
        assert crew.daemon.process is not None
        crew.folder.joinpath("deaf.w_00").unlink()
        crew.daemon.process.wait()
