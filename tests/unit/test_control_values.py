"""Addresses, targets, waves, registrations, texts: values in, values out."""

from __future__ import annotations

from pathlib import Path

import pytest

from gearfleet.errors import ConfigError, UnknownName, UnrepresentableValue, UsageError
from gearfleet.supervisor import paste, report
from gearfleet.supervisor.address import Address
from gearfleet.supervisor.control import Supervisor
from gearfleet.supervisor.events import (
    Halted,
    JobServerSilent,
    ProcessBack,
    ProcessDown,
    ProcessFailed,
    ProcessKilled,
    ProcessStopping,
    RolloutResult,
    RolloutStarted,
    SwitchResult,
)
from gearfleet.supervisor.processes import Process, State, program_of
from gearfleet.supervisor.registrations import Registration
from gearfleet.supervisor.targets import Target, select
from gearfleet.supervisor.waves import MaxUnavailable
from tests.support.histories import running

FLEET = [*running("bar", "w_00", "w_01"), *running("foo", "x_00"), *running("mail", "mail")]


# Addresses


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("unix:///run/s.sock", Address(url="unix:///run/s.sock")),
        ("http://h:9001", Address(url="http://h:9001")),
        ("http://h", Address(url="http://h:80")),
        ("http://[::1]:9001", Address(url="http://[::1]:9001")),
        ("http://u:p%40@h:1/", Address(url="http://h:1", username="u", password="p@")),
    ],
)
def test_address__of_a_url(url: str, address: Address) -> None:
    assert Address.from_url(url) == address


@pytest.mark.parametrize("url", ["", "h:9001", "https://h", "unix://", "http://", "http://h:x"])
def test_address__of_something_else(url: str) -> None:
    with pytest.raises(UsageError, match="is no address of a supervisord"):
        Address.from_url(url)


def test_address__hides_the_password() -> None:
    assert "secret" not in repr(Address(url="http://h:1", username="u", password="secret"))


def test_address__of_a_config_as_supervisorctl_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHO", "ops")
    config = tmp_path / "s.conf"
    config.write_text(
        "[supervisorctl]\nserverurl=unix://%(here)s/s.sock\nusername=%(ENV_WHO)s\npassword=x\n"
        "[ctlplugin:other]\nsupervisor.ctl_factory = not.importable:here\n"
    )
    assert Address.from_config(config) == Address(
        url=f"unix://{tmp_path}/s.sock", username="ops", password="x"
    )


def test_address__of_a_config_without_supervisorctl(tmp_path: Path) -> None:
    config = tmp_path / "s.conf"
    config.write_text("[inet_http_server]\nport=9001\n[unix_http_server]\nfile=%(here)s/s.sock\n")
    assert Supervisor.from_config(config).address == Address(url=f"unix://{tmp_path}/s.sock")


def test_address__of_a_config_with_a_port_only(tmp_path: Path) -> None:
    config = tmp_path / "s.conf"
    config.write_text("[inet_http_server]\nport=*:9001\nusername=u\npassword=p\n")
    assert Address.from_config(config) == Address(
        url="http://127.0.0.1:9001", username="u", password="p"
    )


@pytest.mark.parametrize(
    "text", ["", "[supervisord]\n", "no section\n", "[supervisorctl]\nserverurl=%(x)s"]
)
def test_address__of_a_config_that_names_none(tmp_path: Path, text: str) -> None:
    config = tmp_path / "s.conf"
    config.write_text(text)
    with pytest.raises(ConfigError, match=r"s\.conf gives no address of a supervisord: "):
        Address.from_config(config)


def test_address__of_a_config_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        Address.from_config(tmp_path / "none.conf")


# Targets


@pytest.mark.parametrize("text", ["bar", "bar:", "bar:*"])
def test_target__group(text: str) -> None:
    assert Target.parse(text) == Target(group="bar")


def test_target__process() -> None:
    assert Target.parse("bar:w_00") == Target(group="bar", process="w_00")


@pytest.mark.parametrize("text", ["", ":", ":w", "bar:w:x", "b*", "bar:w*", "a b", "bár", "bar;x"])
def test_target__neither(text: str) -> None:
    with pytest.raises(UsageError, match="is no group"):
        Target.parse(text)


def test_select__groups_in_the_order_named() -> None:
    assert list(select(FLEET, ["foo", "bar"])) == ["foo", "bar"]
    assert [p.name for p in select(FLEET, ["bar"])["bar"]] == ["w_00", "w_01"]


def test_select__twice_is_once() -> None:
    assert [p.name for p in select(FLEET, ["bar:w_01", "bar"])["bar"]] == ["w_01", "w_00"]


def test_select__all() -> None:
    assert list(select(FLEET, ["all"])) == ["bar", "foo", "mail"]
    assert select([], ["all"]) == {}


def test_select__nothing_is_nothing() -> None:
    assert select(FLEET, []) == {}


def test_select__unknown_group_lists_the_groups() -> None:
    with pytest.raises(UnknownName, match=r"Unknown group 'baz' \(known: bar, foo, mail\)"):
        select(FLEET, ["baz"])


def test_select__unknown_process_lists_the_processes() -> None:
    with pytest.raises(UnknownName, match=r"process of group 'bar' 'w_9' \(known: w_00, w_01\)"):
        select(FLEET, ["bar:w_9"])


@pytest.mark.parametrize(
    ("name", "program"),
    [
        ("worker_bar_00", "worker_bar"),
        ("worker_bar_117", "worker_bar"),
        ("worker_bar2", "worker_bar2"),
        ("worker_bar2_03", "worker_bar2"),
        ("mail", "mail"),
        ("_00", "_00"),
        ("a_1_2", "a_1"),
    ],
)
def test_program_of__process_name(name: str, program: str) -> None:
    assert program_of(name) == program


# Waves


@pytest.mark.parametrize(
    ("text", "total", "number"),
    [("3", 2, 3), ("25%", 8, 2), ("25%", 3, 1), ("100%", 4, 4), ("1%", 5, 1), ("050%", 5, 2)],
)
def test_max_unavailable__of_a_group(text: str, total: int, number: int) -> None:
    assert MaxUnavailable.parse(text).of(total) == number


@pytest.mark.parametrize("text", ["", "0", "0%", "-1", "101%", "x", "1.5", "٣"])
def test_max_unavailable__neither_number_nor_share(text: str) -> None:
    with pytest.raises(UsageError, match="--max-unavailable is a number from 1, or 1% to 100%"):
        MaxUnavailable.parse(text)


# Registrations


def test_registration__of_a_client_id() -> None:
    assert Registration.parse("gearfleet/web1/worker_bar/812/abc") == Registration(
        host="web1", program="worker_bar", pid=812, release="abc"
    )


@pytest.mark.parametrize(
    "client_id", ["-", "", "gearfleet/web1/w/-/r", "other/h/p/1/r", "gearfleet/h"]
)
def test_registration__of_somebody_else(client_id: str) -> None:
    assert Registration.parse(client_id) is None


# Texts


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (
            ProcessBack(name="bar:w", pid_before=812, pid_after=933, seconds=1.44),
            "bar:w: restarted (pid 812 -> 933, 1.4 s)",
        ),
        (ProcessStopping(name="bar:w", pid=1), ""),
        (
            ProcessFailed(name="bar:w", state=State.FATAL, reason="why"),
            "bar:w: FAILED, FATAL: why",
        ),
        (
            ProcessDown(name="bar:w", state=State.FATAL, detail="why"),
            "bar:w: FATAL before, left as it is (why)",
        ),
        (
            ProcessKilled(name="bar:w", seconds=10.2),
            "bar:w: KILLED after 10 s, its job was cut short",
        ),
        (Halted(reason="why"), "halted: why"),
        (
            Halted(reason="why", waiting_for=("bar:w",)),
            "halted: why; waiting for bar:w to finish the job in hand, to start it again",
        ),
        (
            JobServerSilent(server="h:1", reason="refused"),
            "job server h:1 does not tell who is registered (refused); going on without it",
        ),
        (
            RolloutStarted(group="bar", names=("bar:w",), wave=1, singles=("bar:w",), at_least=2),
            "bar: restarting 1 process, at most 1 at a time, in 2 s or more; jobs in hand are "
            "finished\nbar:w: the only one of its program, away meanwhile",
        ),
    ],
)  # fmt: skip
def test_text__of_an_event(event: ProcessBack, text: str) -> None:
    assert report.text(event) == text


def test_summary__of_a_rollout() -> None:
    back = ProcessBack(name="bar:w_00", pid_before=1, pid_after=2, seconds=1)
    result = RolloutResult(
        group="bar",
        restarted=(back,),
        untouched=("bar:w_01",),
        total=4,
        lowest_running=3,
        seconds=2,
    )
    assert report.summary(result) == (
        "bar: 1 restarted, 1 untouched in 2.0 s; never fewer than 3 of 4 running"
    )


def test_advice__none_after_success() -> None:
    back = ProcessBack(name="bar:w_00", pid_before=1, pid_after=2, seconds=1)
    assert report.advice(RolloutResult(group="bar", restarted=(back,), total=1)) == []


def test_advice__names_what_to_do_next() -> None:
    failed = ProcessFailed(name="bar:w_00", state=State.FATAL, reason="why")
    result = RolloutResult(
        group="bar", failed=(failed,), untouched=("bar:w_01",), total=2, halted="stop"
    )
    said = " ".join(report.advice(result))
    assert "still running as before: bar:w_01" in said
    assert "`supervisorctl tail bar:w_00`" in said


def test_advice__a_kill_points_to_stopwaitsecs() -> None:
    killed = (ProcessKilled(name="bar:w_00", seconds=9),)
    for said in (
        report.advice(RolloutResult(group="bar", killed=killed)),
        report.switch_advice(SwitchResult(killed=killed)),
    ):
        assert "bar:w_00" in said[0]
        assert "stopwaitsecs" in said[0]


def test_status_lines__are_aligned() -> None:
    lines = report.status_lines(
        [
            Process(group="bar", name="w", state=State.RUNNING, description="pid 1"),
            Process(group="bar", name="long", state=State.FATAL, description="no file"),
        ]
    )
    assert lines == ["bar:w     RUNNING   pid 1", "bar:long  FATAL     no file"]


# What is pasted


def test_sections__are_read_back_by_supervisor(tmp_path: Path) -> None:
    from supervisor.options import ClientOptions

    config = tmp_path / "s.conf"
    text = paste.sections(servers=["127.0.0.1:4730", "[::1]:4730"], run_dir=Path("/run/gear fleet"))
    config.write_text(f"[supervisorctl]\n{text}")
    options = ClientOptions()
    options.read_config(str(config))
    name, factory, extras = options.plugin_factories[-1]
    assert (name, factory.__name__) == ("gearfleet", "make_controllerplugin")
    assert extras == {"servers": "127.0.0.1:4730,[::1]:4730", "run_dir": "/run/gear fleet"}


@pytest.mark.parametrize("run_dir", ["/run/100%", "/run/a ;b", "/run/a #b", "/run/a\nb", "/run/a "])
def test_sections__what_supervisor_would_misread_is_refused(run_dir: str) -> None:
    with pytest.raises(UnrepresentableValue, match="run_dir"):
        paste.sections(servers=[], run_dir=Path(run_dir))
