"""The reader of configuration files: it sees what Supervisor's parser sees, and the lines."""

from __future__ import annotations

import configparser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gearfleet.fleet.checks.ini import read

TEXT = """\
; a comment
[program:a]
command = sh -c "x ; y"
  more words   # said aside
Environment: A='b'

[group:g]
programs=a,b ;c
"""


def test_read__knows_the_line_of_everything() -> None:
    program, group = read(TEXT, "x.conf").sections
    assert (program.name, program.kind, program.title) == ("program:a", "program", "a")
    assert (program.place, group.place) == (("x.conf", 2), ("x.conf", 7))
    command, environment = program.entries
    assert (command.value, command.line) == ('sh -c "x\nmore words', 3)
    assert command.comment == '; y"'
    assert (environment.key, environment.value) == ("environment", "A='b'")
    assert (group.value("programs"), group.at("programs")) == ("a,b", ("x.conf", 8))
    assert (group.value("priority"), group.at("priority")) == ("", ("x.conf", 7))


@pytest.mark.parametrize("line", ["nonsense", "= x", "\ufeff[program:a]"])
def test_read__goes_on_after_what_no_parser_takes(line: str) -> None:
    found = read(f"{line}\n[a]\nx=1\n", "x.conf")
    assert found.broken == ((1, "a line before the first section"),)
    assert [section.name for section in found.sections] == ["a"]
    within = read(f"[a]\n{line}\nx=1\n", "x.conf")
    assert within.sections[-1].value("x") == "1"


PIECES = st.sampled_from(
    [*"[]=:;#%\"' \t\nab", " ;", " #", "[a]\n", "[b:c]\n", "x=1\n", "  y\n", "\n\n", "=", "é"]
)


@given(st.lists(PIECES, max_size=30).map("".join))
def test_read__agrees_with_the_parser(text: str) -> None:
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"), strict=False)
    mine = read(text, "x.conf")
    try:
        parser.read_string(text)
    except configparser.Error:
        assert mine.broken
        return
    assert not mine.broken
    merged: dict[str, dict[str, str]] = {}
    for section in mine.sections:
        of_section = merged.setdefault(section.name, {})
        of_section.update((entry.key, entry.value) for entry in section.entries)
    lines = {
        name: {key: value.split() for key, value in parser._sections[name].items()}  # type: ignore[attr-defined]
        for name in parser.sections()
    }
    assert {
        name: {key: value.split() for key, value in entries.items()}
        for name, entries in merged.items()
    } == lines
