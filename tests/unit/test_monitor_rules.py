"""What the doctor says of what was seen, without asking anybody."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gearfleet.fleet import Severity
from gearfleet.gearman.text import FunctionStatus
from gearfleet.monitor import Code, JobServer, Plugin, Registered, Snapshot, Supervision
from gearfleet.monitor.queues import review_servers
from gearfleet.monitor.servers import is_local, parse_options
from gearfleet.monitor.supervised import needed_descriptors, review_supervision
from gearfleet.monitor.truths import known_as
from gearfleet.supervisor.processes import Process, State
from gearfleet.supervisor.registrations import Registration
from gearfleet.worker.boards import About, BoardEntry
from tests.support.fleets import fleet, registry, settings

if TYPE_CHECKING:
    from gearfleet.fleet import Finding

TWO = {"shop.gearman_workers.worker_bar": {"resize": "bar"}}
NOW = 10_000


def process(number: int = 0, state: State = State.RUNNING, **more: Any) -> Process:
    name = f"worker_bar_{number:02}"
    fields: dict[str, Any] = {"group": "bar", "name": name, "pid": 100 + number, "now": NOW}
    return Process(**{**fields, "state": state, "start": NOW - 100, "stop": NOW - 50, **more})


def registered(pid: int = 100, release: str = "r1", host: str = "web1") -> Registered:
    found = Registered.parse(f"gearfleet/{host}/worker_bar/{pid}/{release}", ("shop.resize",))
    assert found is not None
    return found


def row(function: str, total: int = 0, workers: int = 0) -> FunctionStatus:
    return FunctionStatus(function=function, total=total, running=0, workers=workers)


def server(**fields: Any) -> JobServer:
    functions = fields.pop("functions", [row("shop.resize", workers=2)])
    known: dict[str, Any] = {"version": "1.1.20", "options": {"listen": "127.0.0.1"}}
    return JobServer(
        address="127.0.0.1:4730",
        functions={each.function: each for each in functions},
        **{"workers": (registered(100), registered(101)), **known, **fields},
    )


def snapshot(
    *processes: Process, servers: tuple[JobServer, ...] = (), **supervision: Any
) -> Snapshot:
    """Return a fleet of one program with two processes, which all is well with."""
    seen = Supervision(
        address="unix:///s.sock",
        reach="-c s.conf",
        processes=processes or (process(0), process(1)),
    )
    return Snapshot(
        code=Code.of(registry(TWO), settings(), "r1"),
        fleet=fleet(TWO, queues={"bar": {"processes": 2}}),
        supervision=replace(seen, **supervision),
        servers=servers or (server(),),
        host="web1",
        now=NOW,
    )


def found(seen: Snapshot) -> list[Finding]:
    return [*review_supervision(seen), *review_servers(seen)]


def the_finding(seen: Snapshot) -> Finding:
    (one,) = found(seen)
    return one


def test_nothing__where_all_is_well() -> None:
    assert found(snapshot()) == []


@pytest.mark.parametrize(
    ("state", "more", "code", "said"),
    [
        (State.FATAL, {"spawnerr": "no"}, "GF502", "are FATAL (bar:worker_bar_00): no"),
        (State.BACKOFF, {"spawnerr": "too quick"}, "GF503", "end before they have started"),
        (State.EXITED, {"exitstatus": 3}, "GF504", "exit code 3, its tasks do not import"),
        (State.EXITED, {"exitstatus": 78}, "GF504", "exit code 78, its settings cannot be used"),
        (State.EXITED, {"exitstatus": 9}, "GF504", "exit code 9"),
        (State.STOPPED, {}, "GF505", "1 of 2 processes of program 'worker_bar' are stopped"),
    ],
)
def test_process__that_does_not_run(
    state: State, more: dict[str, Any], code: str, said: str
) -> None:
    one = the_finding(snapshot(process(0, state, **more), process(1)))
    assert one.code == code
    assert said in one.message
    assert one.fix.endswith("gearfleet start bar:worker_bar_00 -c s.conf")


def test_process__all_of_a_program_are_started_as_a_group() -> None:
    one = the_finding(snapshot(process(0, State.FATAL), process(1, State.FATAL)))
    assert one.fix.endswith("gearfleet start bar -c s.conf")
    assert "supervisorctl tail bar:worker_bar_00" in one.fix


def test_process__on_its_way_is_not_judged() -> None:
    assert found(snapshot(process(0, State.EXITED, stop=NOW), process(1, State.STARTING))) == []


def test_process__that_only_one_side_knows() -> None:
    one, other = found(snapshot(process(0), process(7)))
    assert (one.code, "worker_bar_01" in one.message) == ("GF506", True)
    assert (other.code, "bar:worker_bar_07" in other.message) == ("GF507", True)
    foreign = replace(process(0), group="web", name="web")
    assert found(snapshot(process(0), process(1), foreign)) == []


def test_descriptors__of_the_running_supervisord() -> None:
    foreign = replace(process(0), group="web", name="web")
    seen = snapshot(process(0), process(1), foreign, descriptors=106)
    assert needed_descriptors(seen) == 2 * 2 + 3 + 100
    one = the_finding(seen)
    assert (one.code, "minfds=107" in one.fix) == ("GF509", True)
    assert found(snapshot(process(0), process(1), foreign, descriptors=107)) == []


def test_release__of_boards_and_of_other_hosts() -> None:
    about = About(program="worker_bar", release="r0", pid=100)
    board = BoardEntry(
        path=Path("/run/x"),
        about=about,
        state="idle",
        jobs=(),
        **dict.fromkeys(("done", "failed", "given_back", "rss_bytes", "ended"), 0),
        reason="",
        is_alive=True,
    )
    there = registered(100, "r0", host="web2")
    seen = snapshot(workers=(board,), servers=(server(workers=(registered(100), there)),))
    one = the_finding(seen)
    assert one.code == "GF508"
    assert one.message.startswith("2 of 2 workers of program 'worker_bar' run release r0")
    assert one.fix == "Run gearfleet restart bar -c s.conf"


def test_release__that_a_job_server_was_told_in_part() -> None:
    seen = snapshot(servers=(server(workers=(registered(100, "r"), registered(101, ""))),))
    assert found(seen) == []


@pytest.mark.parametrize(
    ("plugin", "codes"),
    [
        (Plugin(), []),
        (Plugin(is_there=False), ["GF511"]),
        (Plugin(problem="Error: x"), ["GF510"]),
        (Plugin(silence="no answer"), ["GF512"]),
        (None, []),
    ],
)
def test_plugin(plugin: Plugin | None, codes: list[str]) -> None:
    assert [one.code for one in found(snapshot(plugin=plugin))] == codes


def test_silence__of_each_side_leaves_the_others() -> None:
    codes = [one.code for one in found(snapshot(silence="No answer."))]
    assert codes == ["GF501"]
    servers = (server(), JobServer(address="10.0.0.1:4730", silence="no route."))
    one = the_finding(snapshot(servers=servers))
    assert (one.code, one.message) == ("GF601", "A job server cannot be asked: no route")


def test_task__that_one_of_two_servers_does_not_know() -> None:
    other = replace(server(functions=[]), address="127.0.0.1:4731")
    one = the_finding(snapshot(servers=(server(), other)))
    assert one.code == "GF602"
    assert one.message == "No worker serves task 'shop.resize' at 127.0.0.1:4731"
    assert "Program 'worker_bar' serves it" in one.fix


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([row("shop.resize", 3)], "3 waiting jobs of task"),
        ([row("shop.resize", 0, 2), row("shop.resize+later", 1)], "1 delayed job of task"),
    ],
)
def test_backlog__without_a_worker(rows: list[FunctionStatus], said: str) -> None:
    persistent = {"listen": "127.0.0.1", "queue-type": "libsqlite3"}
    one = the_finding(snapshot(servers=(server(functions=rows, options=persistent),)))
    assert (one.code, one.severity) == ("GF603", Severity.ERROR)
    assert one.message.startswith(said)


def test_backlog__of_a_function_that_is_nobody_s() -> None:
    rows = [row("shop.resize", 0, 2), row("old.task", 7)]
    one = the_finding(snapshot(servers=(server(functions=rows),)))
    assert one.code == "GF608"
    assert "7 jobs of function 'old.task'" in one.message


@pytest.mark.parametrize(
    ("options", "codes"),
    [
        ({"listen": "127.0.0.1"}, ["GF605"]),
        ({"listen": "127.0.0.1", "queue-type": "builtin"}, ["GF605"]),
        ({"listen": "127.0.0.1", "queue-type": "libsqlite3"}, []),
        (None, ["GF607"]),
    ],
)
def test_delayed__jobs_at_a_server_that_may_forget(
    options: dict[str, str] | None, codes: list[str]
) -> None:
    rows = [row("shop.resize", 0, 2), row("shop.resize+later", 4, 2)]
    seen = snapshot(servers=(server(functions=rows, options=options),))
    assert [one.code for one in found(seen)] == codes


def test_delayed__jobs_at_the_embedded_server() -> None:
    rows = [row("shop.resize", 0, 2), row("shop.resize+later", 4, 2)]
    seen = snapshot(servers=(server(functions=rows, options=None, version="gearfleet-0.1"),))
    assert the_finding(seen).code == "GF605"


@pytest.mark.parametrize(
    ("options", "codes"),
    [
        ({}, ["GF606"]),
        ({"keepalive": ""}, ["GF606"]),
        ({"keepalive": "", "keepalive-idle": "30"}, []),
        ({"listen": "10.0.0.1"}, ["GF606"]),
        ({"listen": "localhost"}, []),
    ],
)
def test_keepalive__where_workers_of_other_hosts_may_be(
    options: dict[str, str], codes: list[str]
) -> None:
    seen = snapshot(servers=(server(options={"queue-type": "libsqlite3", **options}),))
    assert [one.code for one in found(seen)] == codes


def test_program__that_runs_and_no_server_knows() -> None:
    one = the_finding(snapshot(servers=(server(workers=()),)))
    assert (one.code, "worker_bar_00" in one.message) == ("GF604", True)
    young = [process(number, start=NOW - 5) for number in (0, 1)]
    assert found(snapshot(*young, servers=(server(workers=()),))) == []


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (["-q", "libsqlite3", "-d"], {"queue-type": "libsqlite3", "d": ""}),
        (["-qlibsqlite3"], {"queue-type": "libsqlite3"}),
        (["--queue-type=redis", "-L", "10.0.0.1"], {"queue-type": "redis", "listen": "10.0.0.1"}),
        (["--queue-type", "redis", ""], {"queue-type": "redis"}),
    ],
)
def test_options__of_gearmand(words: list[str], options: dict[str, str]) -> None:
    assert parse_options(words) == options


def test_local__is_what_a_loopback_address_reaches() -> None:
    assert [is_local(each) for each in ("127.0.0.2", "[::1]:4730", "localhost", "10.0.0.1")] == [
        True,
        True,
        True,
        False,
    ]


def test_known_as__the_name_that_job_servers_show() -> None:
    assert known_as("worker_bar") == "worker_bar"
    long = known_as("w" * 60)
    assert long == "w" * len(long)
    assert Registration.parse(f"gearfleet/web1/{long}/1/") is not None
