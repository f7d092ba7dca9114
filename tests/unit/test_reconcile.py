"""The extension where no supervisord is needed: versions, differences, files in place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gearfleet.errors import ConfigError
from gearfleet.fleet import render
from gearfleet.fleet.checks.parsed import parse
from gearfleet.fleet.checks.reading import read_main
from gearfleet.fleet.install import examine, install
from gearfleet.fleet.manifest import groups_in
from gearfleet.fleet.staged import staged
from gearfleet.supervisor.reconcile.internals import unknown_version
from tests.support.fleets import SHOP, fleet

if TYPE_CHECKING:
    from pathlib import Path

FILES = render(fleet())


@pytest.mark.parametrize("version", ["4.2.5", "4.2.0", "4.3.0", "4.3.1"])
def test_unknown_version__known_ones(version: str) -> None:
    assert unknown_version(version) == ""


@pytest.mark.parametrize("version", ["4.1.0", "4.4.0.dev0", "5.0", "4.20.1"])
def test_unknown_version__is_named(version: str) -> None:
    assert f"this one is {version}" in unknown_version(version)


def test_groups_in__groups_and_programs_outside_of_them() -> None:
    text = "[group:g]\nprograms=a, b\n[program:a]\n[program:b]\n[program:c]\n[supervisord]\n"
    assert groups_in([text]) == {"g", "c"}
    assert groups_in(FILES.values()) == {"bar", "foo", "nightly"}


@pytest.fixture
def main(tmp_path: Path) -> Path:
    (tmp_path / "conf.d").mkdir()
    path = tmp_path / "supervisord.conf"
    path.write_text("[supervisord]\n[include]\nfiles = conf.d/*.conf\n")
    return path


def processes(path: Path, files: dict[str, str]) -> set[str]:
    ready = examine(files, path.parent / "conf.d")
    found = parse(staged(read_main(path, {}), ready))
    assert found.refusal == ""
    return {f"{each.group}:{each.config.name}" for each in found.processes}


def test_staged__is_what_supervisor_would_read_afterwards(main: Path) -> None:
    target = main.parent / "conf.d"
    (target / "other.conf").write_text("[program:other]\ncommand=x\n")
    install(FILES, target)
    fewer = render(
        fleet({path: SHOP[path] for path in [*SHOP][:1]}, queues={"bar": {"processes": 2}})
    )
    wanted = {"bar:worker_bar_00", "bar:worker_bar_01", "other:other"}
    assert processes(main, fewer) == wanted
    install(fewer, target)
    assert {f"{p.group}:{p.config.name}" for p in parse(read_main(main, {})).processes} == wanted


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[program:worker_bar]\ncommand=x\n", r"\[program:worker_bar\] stands in .*other.conf:1"),
        ("[program:bar]\ncommand=x\n", "'bar' is a group of this fleet, and a group or program"),
        ("\n[group:bar]\nprograms=x\n", r"\[group:bar\] stands in .*other.conf:2"),
    ],
)
def test_staged__names_of_others_are_refused(main: Path, text: str, said: str) -> None:
    (main.parent / "conf.d" / "other.conf").write_text(text)
    with pytest.raises(ConfigError, match=said):
        staged(read_main(main, {}), examine(FILES, main.parent / "conf.d"))


def test_staged__a_directory_that_is_not_included_is_refused(main: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(ConfigError, match="does not include"):
        staged(read_main(main, {}), examine(FILES, tmp_path / "elsewhere"))
