"""Users' templates: by file, by block, and what they may not do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gearfleet.errors import InvalidFleet, TemplateError
from gearfleet.fleet import render, render_one, validate
from gearfleet.fleet.templates import template_root
from tests.support.fleets import ONE, fleet
from tests.support.read_back import read_back

if TYPE_CHECKING:
    from pathlib import Path

EXTEND = '{% extends "builtin/program.conf.j2" %}'
PLANNED = fleet(ONE)


def program_text(folder: Path, template: str) -> str:
    """Return the program's file, drawn by a user's `template`."""
    (folder / "program.conf.j2").write_text(template)
    files = render(PLANNED, template_dir=folder)
    validate(PLANNED, files)
    return files["worker_foo.conf"]


def test_override__of_a_block(tmp_path: Path) -> None:
    text = program_text(tmp_path, EXTEND + "{% block extra %}\nserverurl=http://x\n{% endblock %}")
    assert text.endswith("GEARFLEET_RUN_DIR='/run/gearfleet'\nserverurl=http://x\n")


def test_override__of_a_block_with_what_stood_there(tmp_path: Path) -> None:
    template = EXTEND + "{% block options %}\n{{ super() }}serverurl=http://x\n{% endblock %}"
    ours = render(PLANNED)["worker_foo.conf"]
    assert program_text(tmp_path, template) == ours + "serverurl=http://x\n"


def test_override__of_a_file(tmp_path: Path) -> None:
    template = (
        "[program:{{ program.name }}]\n"
        "{% for name, text in lines | sort %}\n{{ name }} = {{ text }}\n{% endfor %}\n"
    )
    assert "\nstartretries = 24\n" in program_text(tmp_path, template)


def test_override__of_the_header_keeps_the_line_that_install_looks_for(tmp_path: Path) -> None:
    (tmp_path / "header.conf.j2").write_text("; ours")
    first, second = render_one(PLANNED, template_dir=tmp_path).splitlines()[:2]
    assert first.startswith("; Written by gearfleet")
    assert second == "; ours"


def test_override__leaves_the_other_templates(tmp_path: Path) -> None:
    (tmp_path / "header.conf.j2").write_text("; ours\n")
    ours = render(PLANNED, template_dir=tmp_path)
    assert (
        ours["groups.conf"].partition("\n\n")[2]
        == render(PLANNED)["groups.conf"].partition("\n\n")[2]
    )


def test_value__is_quoted_though_the_author_forgot(tmp_path: Path) -> None:
    template = EXTEND + "{% block extra %}\nserverurl={{ 'http://x/50%?a<b&\"' }}\n{% endblock %}"
    text = program_text(tmp_path, template)
    assert text.endswith('serverurl=http://x/50%%?a<b&"\n')
    assert read_back(text)["worker_foo"][0]["serverurl"] == 'http://x/50%?a<b&"'


@pytest.mark.parametrize("value", ["'a ;b'", "'a\\nb'", "' a'"])
def test_value__that_cannot_be_written_names_the_template_s_line(
    tmp_path: Path, value: str
) -> None:
    template = EXTEND + "{% block extra %}\nserverurl={{ " + value + " }}\n{% endblock %}"
    with pytest.raises(TemplateError, match=r"program.conf.j2:2: holds|program.conf.j2:2: begins"):
        program_text(tmp_path, template)


@pytest.mark.parametrize(
    ("filter_", "line"),
    [("arg", "'a ''; 50%%'"), ("env", None), ("comment", "a ; 50%")],
)
def test_filters(tmp_path: Path, filter_: str, line: str | None) -> None:
    (tmp_path / "header.conf.j2").write_text("; {{ 'a ; 50%' | " + filter_ + " }}\n")
    if line is None:
        with pytest.raises(TemplateError, match="white space followed by ';'"):
            render_one(PLANNED, template_dir=tmp_path)
    else:
        assert f"\n; {line}\n" in render_one(PLANNED, template_dir=tmp_path)


def test_macro__may_write_what_is_quoted(tmp_path: Path) -> None:
    template = (
        EXTEND
        + "{% block extra %}{% macro key(name, value) %}{{ name }}={{ value }}\n{% endmacro %}"
        "{{ key('serverurl', 'x%y') }}{% endblock %}"
    )
    assert program_text(tmp_path, template).endswith("serverurl=x%%y\n")


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("[program:x]\n{{ programm.name }}", r"/program.conf.j2:2: 'programm' is undefined"),
        ("[program:x]\n{% for %}", r"/program.conf.j2:2: "),
        ("{% extends 'buildin/x' %}", r"buildin/x does not exist \(asked for by program.conf.j2\)"),
        ("a\n{{ 1 / 0 }}", r"/program.conf.j2:2: division by zero"),
    ],
)
def test_template_error__names_file_and_line(tmp_path: Path, template: str, message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        program_text(tmp_path, template)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("priority=5", None),
        ("startsecs=9", "'startsecs' of program 'worker_foo' as 9 where 2 is meant"),
        ("command=x", r"'command' of program 'worker_foo' as \['x'\]"),
        ("environment=A='b'", "'environment' of program 'worker_foo'"),
        ("numprocs=2", "a process 'worker_foo_01' that is not in the plan"),
        ("numprocs=0", "no process 'worker_foo_00' of program 'worker_foo'"),
        ("process_name=x", "a process 'x' that is not in the plan"),
        ("[program:y]\ncommand=y", "'y' is in a template, but not in the plan"),
        ("user=no-such-user", "Supervisor refuses the rendered text: Invalid user name"),
        ("no delimiter", "Supervisor refuses the rendered text"),
    ],
)
def test_plan__is_what_a_template_has_to_say(
    tmp_path: Path, extra: str, message: str | None
) -> None:
    template = EXTEND + "{% block extra %}\n" + extra + "\n{% endblock %}"
    if message is None:
        assert program_text(tmp_path, template)
        return
    with pytest.raises(InvalidFleet, match=message):
        program_text(tmp_path, template)


def test_plan__a_group_that_a_template_forgot(tmp_path: Path) -> None:
    (tmp_path / "group.conf.j2").write_text("; nothing\n")
    with pytest.raises(InvalidFleet, match="Group 'foo' is planned, but not in the rendered files"):
        validate(PLANNED, render(PLANNED, template_dir=tmp_path))


def test_plan__a_line_before_the_first_section(tmp_path: Path) -> None:
    (tmp_path / "header.conf.j2").write_text("stray=1\n")
    with pytest.raises(InvalidFleet, match="has a line before its first section"):
        validate(PLANNED, render(PLANNED, template_dir=tmp_path))


def test_builtin_templates__are_found() -> None:
    names = {entry.name for entry in template_root().iterdir()}
    assert {"header.conf.j2", "program.conf.j2", "group.conf.j2"} <= names


def test_macros__quote_and_put_together(tmp_path: Path) -> None:
    template = (
        '{% from "builtin/quoting.conf.j2" import command, environment, option %}'
        "[program:{{ program.name }}]\n"
        "{{ command(program.command) }}\n{{ environment(program.environment) }}\n"
        "{% for name, text in lines if name not in ('command', 'environment') %}"
        "{{ option(name, text) }}\n{% endfor %}"
    )
    assert sorted(program_text(tmp_path, template).splitlines()[2:]) == sorted(
        line for line in render(PLANNED)["worker_foo.conf"].splitlines()[2:] if line[:1] != ";"
    )


def test_macros__of_a_value_that_cannot_be_written(tmp_path: Path) -> None:
    template = (
        '{% from "builtin/quoting.conf.j2" import environment %}{{ environment({"A": "a ;"}) }}'
    )
    with pytest.raises(TemplateError, match=r"quoting.conf.j2:\d+: holds white space followed"):
        program_text(tmp_path, template)
