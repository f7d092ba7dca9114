"""Validation: what is checked on this host, and that nothing of the caller is touched."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from gearfleet.errors import ConfigError, GearfleetError, InvalidFleet
from gearfleet.fleet import refusal_line, render, render_one, validate
from tests.support.fleets import ONE, fleet
from tests.support.read_back import read_back


def checked(root: Path, **options: Any) -> None:
    planned = fleet(ONE, root=root, fleet=options)
    validate(planned, render(planned))


@pytest.mark.parametrize(
    "options",
    [
        {"user": "root"},
        {"user": "0"},
        {"umask": "077"},
        {"autorestart": False},
        {"autorestart": True},
        {"exitcodes": [0]},
        {"stopsignal": "USR2"},
        {"stdout_logfile": "AUTO", "stdout_logfile_maxbytes": "1GB"},
        {"stdout_logfile": "NONE"},
        {"stdout_logfile": "/dev/stdout"},
        {"stdout_logfile": "%(host_node_name)s-%(group_name)s-%(process_num)03d"},
        {"redirect_stderr": False, "stderr_logfile": "x.log", "stderr_logfile_maxbytes": 1},
        {"stdout_logfile_backups": 0, "stdout_capture_maxbytes": "2kb"},
        {"stdout_events_enabled": True, "stdout_syslog": True, "stderr_syslog": True},
        {"stopasgroup": True, "priority": -3, "startsecs": 0, "autostart": False},
        {"serverurl": "AUTO"},
        {"serverurl": "unix:///run/x.sock"},
        {"processes": 120, "startretries": 0},
    ],
)
def test_option__is_read_back_as_meant(tmp_path: Path, options: dict[str, Any]) -> None:
    checked(tmp_path, **options)


def test_user__that_this_host_lacks(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        checked(tmp_path, user="no-such-user")
    assert str(raised.value) == (
        "Setting 'fleet.user' is 'no-such-user', and this host has no such user; "
        "create it, or render on the host where the workers run"
    )


def test_log_directory__that_this_host_lacks(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        checked(tmp_path, stdout_logfile="log/%(program_name)s/x.log")
    assert str(raised.value) == (
        f"Setting 'fleet.stdout_logfile' is '{tmp_path}/log/%(program_name)s/x.log', and this "
        f"host has no directory {tmp_path}/log/worker_foo; "
        "create it, or render on the host where the workers run"
    )


def test_process_names__that_meet_in_a_group() -> None:
    modules = {"shop.gearman_workers.a": {"x": "bar"}, "shop.gearman_workers.b": {"y": "bar"}}
    planned = fleet(modules, fleet={"process_name": "w%(process_num)d"})
    with pytest.raises(InvalidFleet) as raised:
        validate(planned, render(planned))
    assert str(raised.value) == (
        "Setting 'fleet.process_name' gives two processes of group 'bar' the name 'w0' "
        "(the other is of program 'a')"
    )


def test_validate__needs_and_changes_nothing_of_the_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = fleet()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ODD", "100% %(x)s")
    monkeypatch.setattr(sys, "argv", ["--nonsense", "-c", "/no/such/file"])
    handlers = [signal.getsignal(number) for number in signal.valid_signals()]
    descriptors = _descriptors()
    validate(planned, render(planned))
    assert _descriptors() == descriptors
    assert [signal.getsignal(number) for number in signal.valid_signals()] == handlers
    assert list(tmp_path.iterdir()) == []
    assert sys.argv[0] == "--nonsense"


def _descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


HOSTILE_ERRORS = [
    "plain",
    "two\nlines\r\n[program:x]\ncommand=y",
    "; a comment",
    "command=x",
    "a: b",
    "[program:x]",
    "\u2028\x85\x00\x1b[1m",
    "\ud800",
    "",
]


@pytest.mark.parametrize("message", HOSTILE_ERRORS)
def test_refusal_line__supervisor_refuses_it_alone_and_after_other_sections(message: str) -> None:
    line = refusal_line(GearfleetError(message or None))
    assert len(line.splitlines()) == 1
    for text in (
        f"{line}\n",
        line,
        f"{render_one(fleet())}{line}\n",
        f"{line}\n{render_one(fleet())}",
    ):
        with pytest.raises(ValueError, match=r"parsing errors|no section headers"):
            read_back(text)


def test_refusal_line__tells_why() -> None:
    assert refusal_line(ConfigError("Setting 'x' is wrong:\n  really")) == (
        "= gearfleet could not render the fleet, this file is void on purpose: "
        "Setting 'x' is wrong: really"
    )
