"""Rules over what Supervisor's own parser makes of a configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gearfleet.fleet.checks import check_configuration
from gearfleet.fleet.checks.ini import read
from gearfleet.fleet.checks.texts import Configuration
from tests.support.hosts import FakeHost

if TYPE_CHECKING:
    from gearfleet.fleet import Finding


def found(*texts: str, has_main: bool = False) -> list[Finding]:
    files = tuple(read(text, f"{number}.conf") for number, text in enumerate(texts))
    configuration = Configuration(files=files, has_main=has_main)
    return list(check_configuration(configuration, FakeHost()))


def shown(*texts: str, has_main: bool = False) -> list[tuple[str, str]]:
    return [(each.code, each.place) for each in found(*texts, has_main=has_main)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[program:a]\nstartsecs=1\n", ("GF201", "0.conf:1")),
        ("[program:a]\ncommand=run\nstartsecs=0.5\n", ("GF201", "0.conf:1")),
        ("[group:g]\nprograms=a\n", ("GF201", "0.conf:1")),
        ("[program:a]\ncommand=run\nprocess_name=x%(process_num)02d\nnumprocs=2\n"
         "[program:b]\ncommand=run\nprocess_name=x%(process_num)02d\nnumprocs=1\n"
         "[group:g]\nprograms=a,b\n", ("GF208", "0.conf:7")),
        ("[program:a]\ncommand=run \"oops\n", ("GF210", "0.conf:2")),
        ("[program:a]\ncommand=\n", ("GF210", "0.conf:2")),
        ("[program:a]\ncommand=/no/such x\n", ("GF301", "0.conf:2")),
        ("[program:a]\ncommand=run\ndirectory=/no/such\n", ("GF302", "0.conf:3")),
        ("[program:a]\ncommand=run\nuser=nobody-here\n", ("GF303", "0.conf:3")),
        ("[program:a]\ncommand=run\nstdout_logfile=/no/such/x\n", ("GF304", "0.conf:3")),
        ("[program:a]\ncommand=run\nredirect_stderr=true\nstderr_logfile=/tmp/x\n",
         ("GF218", "0.conf:1")),
        ("[program:a]\ncommand=run\nnumprocs=2\nprocess_name=%(process_num)d\n"
         "stdout_logfile=/tmp/x\n", ("GF219", "0.conf:5")),
        ("[supervisord]\nminfds=250\n[program:a]\ncommand=run\nnumprocs=51\n"
         "process_name=%(process_num)d\n", ("GF215", "0.conf:2")),
        ("[program:a]\ncommand=run manage.py gearman_worker -a x -n y\n", ("GF101", "0.conf:1")),
        ("[program:a]\ncommand=/bin/gearfleet worker -a x --drain-timeout 120\n"
         "stopwaitsecs=80\n", ("GF101", "0.conf:3")),
    ],
)  # fmt: skip
def test_rule__finds(text: str, expected: tuple[str, str]) -> None:
    assert shown(text) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "[program:a]\ncommand=run\nstdout_logfile=/tmp/x\n",
        "[program:a]\ncommand=run\nnumprocs=2\nprocess_name=%(process_num)d\n"
        "stdout_logfile=/dev/null\n",
        "[supervisord]\nminfds=250\n[program:a]\ncommand=run\nnumprocs=50\n"
        "process_name=%(process_num)d\n",
        "[program:a]\ncommand=run manage.py gearman_worker -a x\nstopwaitsecs=75\n",
        "[program:a]\ncommand=/bin/gearfleet worker --stop immediate -a x\nstopwaitsecs=15\n",
        "[program:a]\ncommand=run x\nnumprocs=2\nprocess_name=%(process_num)d\n"
        "stdout_logfile=/tmp/x\nstdout_logfile_maxbytes=0\n",
        "[rpcinterface:no]\nsupervisor.rpcinterface_factory=no.such:thing\n"
        "[program:a]\ncommand=run\n",
    ],
)
def test_rule__passes(text: str) -> None:
    assert shown(text) == []


def test_refusal__is_told_once_when_a_finding_explains_it() -> None:
    assert shown("[program:a]\ncommand=run 5%\n") == [("GF212", "0.conf:2")]


def test_main_file__without_its_section() -> None:
    (refused,) = found("[program:a]\ncommand=run\n", has_main=True)
    assert (refused.code, refused.file) == ("GF201", "0.conf")
    assert "does not include supervisord section" in refused.message


def test_files__are_read_as_one_configuration() -> None:
    main = "[supervisord]\n[include]\nfiles=*.conf\n[group:g]\nprograms=a\n"
    assert shown(main, "[program:a]\ncommand=run %(here)s\n", has_main=True) == []


def test_here__of_an_included_file_is_its_directory() -> None:
    main = read("[supervisord]\n[include]\nfiles=x\n", "/etc/main.conf")
    part = read("[program:a]\ncommand=run\ndirectory=%(here)s\n", "/srv/a.conf")
    configuration = Configuration(files=(main, part), has_main=True)
    assert list(check_configuration(configuration, FakeHost())) == []
