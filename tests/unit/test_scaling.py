"""Another number of processes, in rendered files and in the settings."""

from __future__ import annotations

import tomllib

import pytest

from gearfleet.config.writing import maybe_changed
from gearfleet.errors import UnknownName, UsageError
from gearfleet.fleet import render
from gearfleet.fleet.checks.ini import read
from gearfleet.fleet.checks.texts import Configuration
from gearfleet.fleet.scaling import parse_target, scale
from tests.support.fleets import fleet

KEY = ("queues", "bar", "processes")


def configuration(**table: object) -> Configuration:
    """Return rendered files, and one of somebody else, as they would lie on the disk."""
    files = {**render(fleet(**table)), "other.conf": "[program:theirs]\ncommand=x\nnumprocs=1\n"}
    return Configuration(files=tuple(read(text, f"/c/{name}") for name, text in files.items()))


def numbers(files: dict[str, str]) -> dict[str, str]:
    return {
        section.title: section.value("numprocs")
        for text in files.values()
        for section in read(text, "").sections
        if section.kind == "program"
    }


@pytest.mark.parametrize("name", ["", "eu"])
def test_scale__gives_each_program_of_a_group_the_number(name: str) -> None:
    before = configuration(fleet={"name": name})
    scaled = scale(before, {"bar": 8})
    prefix = f"{name}_" if name else ""
    assert scaled.programs == {f"{prefix}worker_bar": 8, f"{prefix}worker_bar2": 8}
    assert scaled.groups == {"bar"}
    wanted = fleet(fleet={"name": name}, queues={"bar": {"processes": 8}})
    assert dict(scaled.files) == render(wanted)


def test_scale__one_program_and_a_group() -> None:
    scaled = scale(configuration(), {"worker_bar": 3, "nightly": 0})
    found = numbers(dict(scaled.files))
    assert (found["worker_bar"], found["worker_bar2"]) == ("3", "1")
    assert found["mail_tasks_nightly"] == "0"
    assert scaled.groups == {"nightly"}


def test_scale__a_pool_gets_more_workers() -> None:
    pool = {"mode": "pool", "processes": 4}
    scaled = scale(configuration(queues={"bar": pool}), {"bar": 12})
    wanted = fleet(queues={"bar": {**pool, "processes": 12}})
    assert dict(scaled.files) == render(wanted)
    assert numbers(dict(scale(configuration(queues={"bar": pool}), {"bar": 0}).files)) == {
        "mail_tasks_foo": "1",
        "mail_tasks_nightly": "1",
        "worker_bar": "0",
        "worker_bar2": "0",
        "worker_foo": "1",
    }


def test_scale__names_that_gearfleet_did_not_render() -> None:
    with pytest.raises(UnknownName, match=r"Unknown group 'barr'.*Did you mean 'bar'"):
        scale(configuration(), {"barr": 1})
    with pytest.raises(UnknownName, match="theirs"):
        scale(configuration(), {"theirs": 1})


@pytest.mark.parametrize("text", ["bar", "bar=", "bar=-1", "bar=x", "=3", "b ar=3", "bar=99999"])
def test_parse_target__refuses(text: str) -> None:
    with pytest.raises(UsageError, match="GROUP=N"):
        parse_target(text)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("[queues.bar]\nprocesses = 4\n", "[queues.bar]\nprocesses = 8\n"),
        ("# a\n[queues.bar]\nprocesses=4 # b", "# a\n[queues.bar]\nprocesses=8 # b"),
        ('[queues.bar]\r\nprocesses = "cpu"\r\n', "[queues.bar]\r\nprocesses = 8\r\n"),
        ("[queues]\nbar.processes = 4\n", "[queues]\nbar.processes = 8\n"),
        ("queues.bar.processes = 4\n", "queues.bar.processes = 8\n"),
        ("[queues.bar]\numask = '2'\n", "[queues.bar]\nprocesses = 8\numask = '2'\n"),
        ("apps = ['a']\n", "apps = ['a']\n\n[queues.bar]\nprocesses = 8\n"),
        ("", "\n[queues.bar]\nprocesses = 8\n"),
        (
            "[queues.foo]\nprocesses = 4",
            "[queues.foo]\nprocesses = 4\n\n[queues.bar]\nprocesses = 8\n",
        ),
    ],
)
def test_maybe_changed__keeps_everything_else(text: str, wanted: str) -> None:
    assert maybe_changed(text, KEY, 8) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "queues = { bar = { processes = 4 } }\n",
        "[queues]\nbar = { processes = 4 }\n",
        '[queues."bar"] # x\numask = "027"\n',
        '[queues.bar]\nprocesses = """cpu"""\nx = """\n[queues.bar]\nprocesses = 4\n"""\n',
    ],
)
def test_maybe_changed__what_is_written_oddly_is_left_alone_or_right(text: str) -> None:
    changed = maybe_changed(text, KEY, 8)
    if changed is not None:
        assert tomllib.loads(changed)["queues"]["bar"]["processes"] == 8


def test_maybe_changed__in_pyproject() -> None:
    text = "[project]\nname = 'x'\n\n[tool.gearfleet.queues.bar]\nprocesses = 4\n"
    changed = maybe_changed(text, KEY, 8, table="tool.gearfleet")
    assert changed == text.replace("4", "8")
    bare = maybe_changed("[project]\n", KEY, 8, table="tool.gearfleet")
    assert bare == "[project]\n\n[tool.gearfleet.queues.bar]\nprocesses = 8\n"
