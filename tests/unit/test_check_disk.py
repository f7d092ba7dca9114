"""Rules over a directory with rendered files, and over names that others have."""

from __future__ import annotations

from pathlib import Path

import pytest

from gearfleet.config.lines import line_of
from gearfleet.fleet import render
from gearfleet.fleet.checks import check_fleet
from gearfleet.fleet.checks.disk import Folder, review_clashes, review_folder, review_inclusion
from gearfleet.fleet.checks.ini import read
from gearfleet.fleet.checks.texts import Configuration
from tests.support.fleets import ONE, fleet
from tests.support.hosts import FakeHost

FLEET = fleet(ONE)
FILES = render(FLEET)
CONF_D = Path("/etc/conf.d")


def found(files: dict[str, str], edited: frozenset[str] = frozenset()) -> list[tuple[str, str]]:
    folder = Folder(path=CONF_D, files=files, edited=edited)
    return [(each.code, each.place) for each in review_folder(FLEET, FILES, folder)]


def test_folder__as_it_should_be() -> None:
    assert found(FILES) == []
    assert found({**FILES, "other.conf": "[program:other]\ncommand=x\n"}) == []


def test_folder__that_is_not_there() -> None:
    (missing,) = review_folder(FLEET, FILES, Folder(path=CONF_D, exists=False))
    assert missing.code == "GF401"


def test_folder__with_a_file_that_is_missing() -> None:
    assert found({"groups.conf": FILES["groups.conf"]}) == [
        ("GF401", "/etc/conf.d/worker_foo.conf")
    ]


@pytest.mark.parametrize(
    ("edited", "code"), [(frozenset(), "GF402"), (frozenset({"worker_foo.conf"}), "GF403")]
)
def test_folder__with_a_file_that_differs(edited: frozenset[str], code: str) -> None:
    other = FILES["worker_foo.conf"].replace("numprocs=1", "numprocs=9")
    line = other[: other.index("numprocs=9")].count("\n") + 1
    assert found({**FILES, "worker_foo.conf": other}, edited) == [
        (code, f"/etc/conf.d/worker_foo.conf:{line}")
    ]


def test_folder__with_a_file_that_is_left_over() -> None:
    old = FILES["worker_foo.conf"].replace("worker_foo", "worker_old")
    assert found({**FILES, "worker_old.conf": old}) == [("GF404", "/etc/conf.d/worker_old.conf")]


def test_folder__with_a_file_in_the_way() -> None:
    assert found({**FILES, "groups.conf": "[group:foo]\nprograms=x\n"}) == [
        ("GF405", "/etc/conf.d/groups.conf")
    ]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[program:worker_foo]\ncommand=x\n", "x.conf:1"),
        ("[group:foo]\nprograms=x\n", "x.conf:1"),
        ("\n[eventlistener:foo]\ncommand=x\n", "x.conf:2"),
    ],
)
def test_clash__of_a_name_with_a_file_of_others(text: str, place: str) -> None:
    configuration = Configuration(files=(read(text, "x.conf"),))
    assert [(each.code, each.place) for each in review_clashes(FLEET, configuration)] == [
        ("GF207", place)
    ]


def test_clash__not_with_our_own_files_or_with_other_names() -> None:
    texts = [*FILES.values(), "[program:other]\ncommand=x\n[group:all_foo]\nprograms=other\n"]
    configuration = Configuration(files=tuple(read(text, "x") for text in texts))
    assert list(review_clashes(FLEET, configuration)) == []


@pytest.mark.parametrize(
    ("pattern", "codes"),
    [
        ("/etc/conf.d/*.conf", []),
        ("/etc/conf.d/*", []),
        ("/etc/conf.d/w*.conf", ["GF406"]),
        ("/etc/*.conf", ["GF406"]),
    ],
)
def test_inclusion__of_the_directory(pattern: str, codes: list[str]) -> None:
    main = Configuration(files=(read("", "main"),), has_main=True, patterns=(pattern,))
    found = review_inclusion(main, FILES, Folder(path=CONF_D))
    assert [each.code for each in found] == codes


def test_fleet__asks_its_host() -> None:
    planned = fleet(
        ONE,
        fleet={"user": "nobody-here", "directory": "/no", "stdout_logfile": "/no/x"},
        programs={"worker_foo": {"executable": "/no/run"}},
    )
    codes = [each.code for each in check_fleet(planned, render(planned), FakeHost())]
    assert sorted(codes) == ["GF301", "GF302", "GF303", "GF304"]


def test_fleet__asks_for_what_its_commands_run_and_read() -> None:
    planned = fleet(
        ONE,
        fleet={"env_files": ["/srv/here.env", "/srv/lost.env"], "directory": "/srv"},
        programs={"cron": {"command": ["/no/cron", "-f"]}},
    )
    host = FakeHost(programs=FLEET.programs[0].command[:1], files=("/srv/here.env",))
    found = list(check_fleet(planned, render(planned), host))
    assert {each.code for each in found} == {"GF301", "GF305"}
    assert any("'/no/cron', which does not exist" in each.message for each in found)
    assert all("here.env" not in each.message for each in found)


def test_fleet__with_a_template_that_adds_a_key_or_changes_the_plan() -> None:
    host = FakeHost(directories=("/srv/shop",), programs=FLEET.programs[0].command[:1])
    assert list(check_fleet(FLEET, FILES, host)) == []
    name, text = "worker_foo.conf", FILES["worker_foo.conf"]
    (added,) = check_fleet(FLEET, {**FILES, name: text + "stopwaitsec=1\n"}, host)
    assert (added.code, added.file, added.fix) == ("GF202", name, "Write it as 'stopwaitsecs'")
    (changed,) = check_fleet(FLEET, {**FILES, name: text + "priority=1\nstartsecs=9\n"}, host)
    assert (changed.code, "'startsecs'" in changed.message) == ("GF220", True)


TOML = """\
name = "x"
[tool.gearfleet.fleet]  # all
user = "shop"
[queues.bar]
environment = { A = "b" }
[programs."shop.x"]
directory = "/srv"
"""


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("name", 1),
        ("fleet.user", 3),
        ("fleet.directory", 2),
        ("queues.bar.environment.A", 5),
        ('programs."shop.x".directory', 7),
        ("hosts.web1.fleet.user", 0),
    ],
)
def test_line__of_a_setting(key: str, line: int) -> None:
    assert line_of(TOML, key) == line
