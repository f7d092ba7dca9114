"""Quoting: what the texts look like, and what is refused; test_render_* parses them."""

from __future__ import annotations

import shlex

import pytest

from gearfleet.fleet import quoting
from gearfleet.fleet.quoting import Refused

CONTROL = ["a\nb", "a\rb", "a\tb", "a\0b", "a\x7fb", "\x1b[1m"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("/srv/app/bin/x", "/srv/app/bin/x"),
        ("5%", "5%%"),
        ("", "''"),
        ("a b", "'a b'"),
        ("a ; b", "'a ''; b'"),
        ("a;b", "'a;b'"),
        ("it's", "'it'\"'\"'s'"),
        ("%(here)s", "'%%''(here)s'"),
        ("é", "'é'"),
    ],
)
def test_argument(value: str, text: str) -> None:
    assert quoting.argument(value) == text
    assert shlex.split(quoting.argument(value).replace("%%", "%")) == [value]


def test_command__joins_arguments() -> None:
    assert quoting.command(["a", "b c", "d"]) == "a 'b c' d"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "'plain'"),
        ("", "''"),
        ("5%", "'5%%'"),
        ('{"a": 1}', "'{\"a\": 1}'"),
        ("it's", '"it\'s"'),
        ("C:\\x", "'C:\\x'"),
        ("a;b#c", "'a;b#c'"),
    ],
)
def test_variable(value: str, text: str) -> None:
    assert quoting.variable(value) == text


@pytest.mark.parametrize(
    "value", ["a\"b'c", '"a"', "'a'", "it's \\", "a ;b", "a\u00a0#b", "%(here)s"]
)
def test_variable__that_no_spelling_carries(value: str) -> None:
    with pytest.raises(Refused):
        quoting.variable(value)


@pytest.mark.parametrize(
    "quote", [quoting.argument, quoting.variable, quoting.plain, quoting.log_file]
)
@pytest.mark.parametrize("value", [*CONTROL, "a\udcffb"])
def test_every_quotation__refuses_what_a_line_cannot_carry(quote: object, value: str) -> None:
    assert callable(quote)
    with pytest.raises(Refused, match=r"control character|newline"):
        quote(value)


@pytest.mark.parametrize("value", ["a ;b", "a #b", " a", "a ", "a\u00a0", "", "%(here)s"])
def test_plain__that_would_be_read_as_something_else(value: str) -> None:
    with pytest.raises(Refused):
        quoting.plain(value)


def test_plain__doubles_the_percent_sign() -> None:
    assert quoting.plain("%(program_name)s 5%") == "%%(program_name)s 5%%"


def test_log_file__keeps_expansions_and_escapes_the_rest_twice() -> None:
    assert quoting.log_file("/l/5%-%(program_name)s.%(process_num)02d") == (
        "/l/5%%%%-%(program_name)s.%(process_num)02d"
    )


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("/l/%(numprocs)d", "would change every process whenever the fleet is scaled"),
        ("/l/%(ENV_HOME)s", "where supervisord lacks that variable"),
        ("/l/%(here)s", "the folder of whatever file"),
        ("/l/%(progam_name)s", r"the expansions are %\(program_name\)s"),
        ("/l/%(process_num)s", r"the expansions are"),
    ],
)
@pytest.mark.parametrize("quote", [quoting.log_file, quoting.process_name, quoting.fixed_path])
def test_expansion__that_is_refused(quote: object, value: str, reason: str) -> None:
    assert callable(quote)
    with pytest.raises(Refused, match=reason):
        quote(value)


def test_fixed_path__takes_no_expansion() -> None:
    with pytest.raises(Refused, match="in process_name and log files"):
        quoting.fixed_path("/srv/%(program_name)s")


@pytest.mark.parametrize("value", ["a b", "a:b", "a/b", "5%", "é", "", "%(process_num)02x"])
def test_process_name__of_other_characters(value: str) -> None:
    with pytest.raises(Refused):
        quoting.process_name(value)


def test_expand__is_supervisor_s_expansion() -> None:
    names = {"program_name": "p", "group_name": "g", "host_node_name": "h", "process_num": 7}
    value = "%(group_name)s/%(program_name)s_%(process_num)03d@%(host_node_name)s 100% %d %(x)s"
    assert quoting.expand(value, names) == "g/p_007@h 100% %d %(x)s"


@pytest.mark.parametrize(
    ("value", "found"),
    [("%(process_num)d", True), ("x%(process_num)02d", True), ("%(program_name)s", False)],
)
def test_has_process_number(value: str, found: bool) -> None:
    assert quoting.has_process_number(value) is found
