"""The rolling restart against a real supervisord and real job servers, and what may break it."""

from __future__ import annotations

import logging
import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest

from gearfleet.errors import SupervisorUnreachable
from gearfleet.supervisor import verbs
from gearfleet.supervisor.control import Supervisor
from gearfleet.supervisor.events import JobServerSilent, ProcessStopping
from gearfleet.supervisor.registrations import ask
from tests.support.crews import Crew
from tests.support.ports import free_port
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from gearfleet.supervisor.events import Event
    from tests.support.job_servers import JobServer

#: A worker that is RUNNING long before it is registered. It says so in the diary.
LATE = """\
import os, pathlib, signal, socket, sys, time
from gearfleet.gearman.protocol import Command, encode
here = pathlib.Path(__file__).parent
name, pid = os.environ["SUPERVISOR_PROCESS_NAME"], os.getpid()
def said(word):
    with (here / "diary").open("a") as diary:
        diary.write(f"{{word}} {{name}} {{pid}}\\n")
def ended(*_):
    said("end")
    sys.exit(0)
signal.signal(signal.SIGTERM, ended)
time.sleep(float((here / "job").read_text()))
connection = socket.create_connection(("127.0.0.1", {port}))
client_id = f"gearfleet/web1/{{name[:-3]}}/{{pid}}/-"
connection.sendall(encode(Command.SET_CLIENT_ID, client_id.encode()))
if not (here / f"idle.{{name}}").exists():
    said("registering")
    connection.sendall(encode(Command.CAN_DO, {function!r}.encode()))
signal.pause()
"""


def silent(_event: Event) -> None:
    pass


def nothing_is_left_stopped(crew: Crew) -> bool:
    return set(crew.states().values()) == {"RUNNING"}


def test_restart__goes_on_only_when_the_new_process_is_registered(
    job_server: JobServer, function: str
) -> None:
    script = LATE.format(port=job_server.port, function=function)
    with Crew({"bar": {"w": 2}}, script=script) as crew:
        job_server.wait_for_workers(function, 2)
        crew.job(2.5)  # startsecs is 1
        (result,) = verbs.restart(
            Supervisor.from_url(crew.daemon.url),
            ["bar"],
            report=silent,
            registrations=ask([job_server.address], silent),
        )
        assert result.ok, result
        diary = [line.split()[:2] for line in (crew.folder / "diary").read_text().splitlines()]
        assert diary[-4:] == [
            ["end", "w_00"],
            ["registering", "w_00"],
            ["end", "w_01"],
            ["registering", "w_01"],
        ]


def test_restart__one_that_never_registers_halts_it(job_server: JobServer, function: str) -> None:
    script = LATE.format(port=job_server.port, function=function)
    with Crew({"bar": {"w": 2}}, script=script) as crew:
        job_server.wait_for_workers(function, 2)
        crew.mark("idle", "w_00")  # connected under its name, but with no function
        (result,) = verbs.restart(
            Supervisor.from_url(crew.daemon.url),
            ["bar"],
            report=silent,
            timeout=1,
            registrations=ask([job_server.address], silent),
        )
        (failed,) = result.failed
        assert failed.name == "bar:w_00"
        assert "not registered at a job server after 1 s" in failed.reason
        assert result.untouched == ("bar:w_01",)
        assert nothing_is_left_stopped(crew)


def test_restart__a_silent_job_server_is_reported_once_and_left_out() -> None:
    events: list[Event] = []
    server = f"127.0.0.1:{free_port()}"
    with Crew({"bar": {"w": 2}}) as crew:
        (result,) = verbs.restart(
            Supervisor.from_url(crew.daemon.url),
            ["bar"],
            report=events.append,
            registrations=ask([server], events.append),
        )
    assert result.ok
    (silence,) = [event for event in events if isinstance(event, JobServerSilent)]
    assert silence.server == server
    assert "refused" in silence.reason


def test_restart__a_report_that_raises_leaves_nothing_stopped() -> None:
    def fail_at_first_stop(event: Event) -> None:
        if isinstance(event, ProcessStopping):
            raise RuntimeError("no screen")

    with Crew({"bar": {"w": 3}}, job=0.5) as crew:
        before = crew.pids()
        with pytest.raises(RuntimeError, match="no screen"):
            verbs.restart(Supervisor.from_url(crew.daemon.url), ["bar"], report=fail_at_first_stop)
        wait_for(lambda: nothing_is_left_stopped(crew), "all RUNNING")
        after = crew.pids()
        assert [name for name in before if after[name] != before[name]] == ["w_00"]


def test_restart__a_daemon_that_blocks_for_a_while_is_left_with_nothing_stopped() -> None:
    with Crew({"bar": {"w": 2}}, job=0.2) as crew:
        assert crew.daemon.process is not None
        daemon = crew.daemon.process
        wake = threading.Timer(4, daemon.go_on)

        def block(event: Event) -> None:
            if isinstance(event, ProcessStopping):
                daemon.pause()
                wake.start()

        control = Supervisor.from_url(crew.daemon.url, timeout=2)
        with pytest.raises(SupervisorUnreachable, match="did not answer"):
            verbs.restart(control, ["bar"], report=block)
        wake.join()
        wait_for(lambda: nothing_is_left_stopped(crew), "all RUNNING")
        assert crew.diary("stopping") == ["w_00"]


def test_restart__a_daemon_that_dies_is_given_up_with_the_names(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def hurried() -> float:
        return time.monotonic() * 20

    with Crew({"bar": {"w": 2}}, job=0.5) as crew:
        assert crew.daemon.process is not None
        daemon = crew.daemon.process

        def kill(event: Event) -> None:
            if isinstance(event, ProcessStopping):
                daemon.signal(signal.SIGKILL)
                daemon.wait()

        pids = crew.pids()
        control = Supervisor.from_url(crew.daemon.url)
        try:
            with (
                caplog.at_level(logging.ERROR),
                pytest.raises(SupervisorUnreachable, match="Is it running"),
            ):
                verbs.restart(control, ["bar"], report=kill, clock=hurried)
        finally:
            kill_all(pids.values())
        (record,) = caplog.records
        assert record.__dict__["action"] == "processes_left_stopped"
        assert "bar:w_00" in record.getMessage()
        assert "bar:w_01" not in record.getMessage()


def kill_all(pids: object) -> None:
    import psutil

    for pid in pids:  # type: ignore[attr-defined]
        if psutil.pid_exists(pid):
            psutil.Process(pid).kill()


def test_restart__signal_handlers_are_as_before() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with Crew({"bar": {"w": 1}}) as crew:
        verbs.restart(Supervisor.from_url(crew.daemon.url), ["bar"], report=silent)
    after = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    assert after == before


def test_restart__works_in_a_thread() -> None:
    results: list[bool] = []
    with Crew({"bar": {"w": 1}}) as crew:

        def work() -> None:
            control = Supervisor.from_url(crew.daemon.url)
            results.extend(r.ok for r in verbs.restart(control, ["bar"], report=silent))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join(30)
    assert results == [True]


def test_restart__a_recycling_process_is_no_failure() -> None:
    """Right after startsecs it ends with 75, and supervisord respawns it."""
    script = (
        "import os, pathlib, signal, sys, time\n"
        "here = pathlib.Path(__file__).parent\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
        "first = not (here / 'again').exists()\n"
        "(here / 'again').touch()\n"
        "time.sleep(1000 if first else 1.05)\n"
        "sys.exit(75)\n"
    )
    with Crew({"bar": {"w": 1}}, script=script) as crew:
        (result,) = verbs.restart(Supervisor.from_url(crew.daemon.url), ["bar"], report=silent)
        assert not result.failed
