"""Every value survives Supervisor's parsers or is refused by name: hostile strings, drawn at random.

Supervisor 4.3.0 reads what was rendered here, and 4.2.5 in the system Python.
``HYPOTHESIS_PROFILE=thorough`` draws 10,000 examples of each kind of value.
"""

from __future__ import annotations

import atexit
import os
import platform
import re
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, assume, event, example, given, settings

from gearfleet.errors import ConfigError, UnrepresentableValue
from gearfleet.fleet import Fleet, Program, render, validate
from gearfleet.fleet.quoting import expand
from tests.support.debian import OldReader, require_system_supervisor
from tests.support.fleets import ONE, fleet
from tests.support.read_back import read_back

if TYPE_CHECKING:
    from collections.abc import Iterable

EXAMPLES = 10_000 if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else 50
hostile_settings = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)

#: What some reader on the way takes for something else, and what looks as if.
PIECES = [
    *" ;#%'\"\\,=$()[]{}:*?~&<>|!@^`+-",
    *("\t\n\r\0\x0b\x1c\x7f\x85\u00a0\u2028\u3000\ufeff\ud800é漢🐟"),
    *("%%", "%d", "%s", "%(here)s", "%(program_name)s", "%(process_num)02d", "%(numprocs)d"),
    *("%(ENV_PATH)s", "%(x)s", " ;", " #", "''", '"', "\\'", "$HOME", "[program:x]", "command="),
    *("a", "b", "1", "/", ".", "none", "auto", "syslog"),
]


def strings(pieces: Iterable[str]) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from([*pieces]), max_size=8).map("".join)


hostile = st.one_of(strings(PIECES), st.text(max_size=12))
PLANNED = fleet(ONE)


@cache
def old_reader() -> OldReader:
    """Return the only one, which is started by whoever needs it first."""
    require_system_supervisor()
    reader = OldReader()
    atexit.register(reader.close)
    return reader


def both(*texts: str) -> dict[str, list[dict[str, Any]]]:
    """Return what both versions of Supervisor read from `texts`."""
    read = read_back(*texts)
    assert old_reader().read_back(*texts) == read
    return read


def with_program(**changes: Any) -> Fleet:
    """Return a fleet of one program with `changes`, past all checks of the settings."""
    program = replace(PLANNED.programs[0], **changes)
    return replace(PLANNED, programs=(program,))


def with_option(name: str, value: Any) -> Fleet:
    return with_program(options={**PLANNED.programs[0].options, name: value})


def survived(planned: Fleet) -> dict[str, Any] | None:
    """Return the process as Supervisor reads it, or None if a value was refused."""
    try:
        files = render(planned)
    except UnrepresentableValue as error:
        assert "program 'worker_foo'" in str(error)
        event("refused")
        return None
    validate(planned, files)
    return both(*files.values())["foo"][0]


@hostile_settings
@given(st.lists(hostile, min_size=1, max_size=4))
def test_command__arrives_or_is_refused(arguments: list[str]) -> None:
    read = survived(with_program(command=tuple(arguments)))
    if read is not None:
        assert read["command"] == arguments


@hostile_settings
@given(strings(piece for piece in PIECES if piece.isprintable()))
def test_command__every_printable_argument_has_a_form(argument: str) -> None:
    read = survived(with_program(command=("run", argument)))
    assert read is not None
    assert read["command"] == ["run", argument]


@hostile_settings
@given(st.dictionaries(st.from_regex(r"\A[A-Za-z_][A-Za-z0-9_]*\Z"), hostile, max_size=4))
def test_environment__arrives_or_is_refused(environment: dict[str, str]) -> None:
    read = survived(with_program(environment=environment))
    if read is not None:
        assert read["environment"] == environment


@hostile_settings
@given(hostile)
@example("/srv/%(here)s")
def test_directory__arrives_or_is_refused(directory: str) -> None:
    read = survived(with_option("directory", directory))
    if read is not None:
        assert read["directory"] == directory


@hostile_settings
@given(hostile)
@example("%(program_name)s/%%")
@example("%%(program_name)s")
def test_log_file__arrives_or_is_refused(name: str) -> None:
    # The directory must exist: the hostile part stays within the file's name.
    value = "/tmp/" + name.replace("/", "_")
    read = survived(with_option("stdout_logfile", value))
    if read is not None:
        names = {"program_name": "worker_foo", "group_name": "foo", "process_num": 0}
        assert read["stdout_logfile"] == expand(value, {"host_node_name": platform.node(), **names})


@hostile_settings
@given(hostile)
def test_process_name__arrives_or_is_refused(name: str) -> None:
    read = survived(with_option("process_name", name))
    if read is not None:
        names = {"program_name": "worker_foo", "group_name": "foo", "process_num": 0}
        assert read["name"] == expand(name, {"host_node_name": platform.node(), **names})


@hostile_settings
@given(hostile)
def test_serverurl__arrives_or_is_refused(url: str) -> None:
    read = survived(with_option("serverurl", url))
    if read is not None:
        assert read["serverurl"] == (None if url.upper() == "AUTO" else url)


@hostile_settings
@given(hostile, hostile)
def test_names__are_planned_as_they_are_or_refused(module: str, queue: str) -> None:
    path = f"shop.gearman_workers.{module.replace('.', '') or 'x'}"
    assume(queue and not re.search(r"[\s\0\ud800-\udfff]", queue))  # @task refuses those
    try:
        planned = fleet({path: {"greet": queue}})
    except ConfigError as error:
        assert "Queue" in str(error) or "program of" in str(error)
        return
    assert list(both(*render(planned).values())) == [queue]


@hostile_settings
@given(hostile, st.lists(hostile, min_size=1, max_size=3), hostile, st.integers())
def test_programs_of_the_settings__arrive_or_are_refused(
    name: str, command: list[str], group: str, priority: int
) -> None:
    table = {"programs": {name: {"command": command}}}
    groups = {group: {"programs": [name], "priority": priority}}
    try:
        planned = fleet(ONE, **table, groups=groups)
        files = render(planned)
    except ConfigError as error:
        assert "programs" in str(error) or "group" in str(error) or "program of" in str(error)
        return
    validate(planned, files)
    (read,) = both(*files.values())[group]
    assert read["command"][1:] == command[1:]
    assert read["name"] == f"{name}_00"


@hostile_settings
@given(hostile)
def test_user__arrives_or_is_refused(user: str) -> None:
    # Only users of this host can be read back; what is none must not become one.
    planned = with_option("user", user)
    try:
        files = render(planned)
        validate(planned, files)
    except ConfigError as error:
        assert "'user' of program 'worker_foo'" in str(error)
        return
    assert both(*files.values())["foo"][0]["uid"] is not None


@hostile_settings
@given(hostile, hostile, hostile)
def test_comments__let_nothing_out(origin: str, host: str, task: str) -> None:
    program: Program = replace(PLANNED.programs[0], tasks=(task,))
    planned = replace(PLANNED, origin=origin, host=host, programs=(program,))
    files = render(planned)
    validate(planned, files)
    assert both(*files.values()) == read_back(*render(PLANNED).values())


def test_refusal__names_the_setting_the_reason_and_the_way_out() -> None:
    planned = fleet(ONE, programs={"worker_foo": {"environment": {"MOTTO": "a\nb"}}})
    with pytest.raises(UnrepresentableValue) as raised:
        render(planned)
    assert str(raised.value) == (
        "Setting 'programs.worker_foo.environment.MOTTO' holds a newline, which a configuration "
        "line cannot carry; put it into a file that the worker reads"
    )


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("executable", ["run", "a\nb"]),
        ("directory", "/srv/a ;b"),
        ("user", "root #1"),
        ("stdout_logfile", "/tmp/%(numprocs)d"),
        ("process_name", "a:b"),
        ("serverurl", ""),
    ],
)
def test_refusal__names_the_layer_that_gave_the_value(option: str, value: Any) -> None:
    planned = fleet(ONE, queues={"foo": {option: value}})
    with pytest.raises(UnrepresentableValue, match=rf"^Setting 'queues.foo.{option}' "):
        render(planned)
