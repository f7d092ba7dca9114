"""The pages keep their word: links lead somewhere, and nothing that exists is left out."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING

import pytest

from gearfleet import errors
from gearfleet.cli.builder import build_parser, parse, verb_parsers
from gearfleet.config import OPTIONS, Option, load
from gearfleet.errors import ConfigError
from gearfleet.fleet.codes import CODES
from tests.support import pages
from tests.support.processes import ROOT

if TYPE_CHECKING:
    from pathlib import Path

DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


every_page = pytest.mark.parametrize("page", pages.pages(), ids=name_of)


@every_page
def test_page__links_resolve(page: Path) -> None:
    for link in pages.links(page):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in pages.anchors(target), link


@every_page
def test_page__commands_are_understood(page: Path) -> None:
    for command in pages.commands(page, "gearfleet"):
        words = re.split(r" (?:[|&]|\d?>>?) ?", command.replace("GROUP", "bar"))[0]
        parse(build_parser(), shlex.split(words, comments=True)[1:])


def test_index__leads_to_every_page() -> None:
    index = DOCS / "index.md"
    led_to = {(DOCS / link).resolve() for link in pages.links(index)}
    assert led_to == {page for page in pages.pages() if DOCS in page.parents} - {index}


def toml(default: object) -> str:
    """Return a default as the settings page shows it."""
    if default is None:
        return ""
    if isinstance(default, tuple):
        return f"`[{', '.join(default)}]`"
    return f"`{json.dumps(default)}`"


@pytest.mark.parametrize("option", OPTIONS.values(), ids=lambda option: option.name)
def test_settings_page__has_every_option(option: Option) -> None:
    row = f"| `{option.name}` | {toml(option.default)} | {option.help} |"
    assert row in pages.read(REFERENCE / "settings.md")


def test_settings_page__has_every_key(tmp_path: Path) -> None:
    (tmp_path / "gearfleet.toml").write_text("nonsense = 1")
    with pytest.raises(ConfigError) as error:
        load(directory=tmp_path, environ={})
    known = re.search(r"\(known: (.*)\)", str(error.value))
    assert known is not None
    page = pages.read(REFERENCE / "settings.md")
    for key in known[1].split(", "):
        assert f"| `{key}` |" in page


def test_settings_page__examples_are_accepted(tmp_path: Path) -> None:
    for example in pages.blocks(REFERENCE / "settings.md", "toml"):
        (tmp_path / "gearfleet.toml").write_text(example.text)
        settings = load(directory=tmp_path, environ={})
    assert settings.servers == ("10.0.0.5:4730", "10.0.0.6:4730")
    assert settings.hosts["web1"].layers.queues["bar"]["processes"] == 8


@pytest.mark.parametrize("verb", verb_parsers(build_parser()))
def test_command_line_page__has_every_verb_and_option(verb: str) -> None:
    general, *sections = pages.read(REFERENCE / "command-line.md").split("\n## ")
    by_title = dict(section.split("\n", 1) for section in sections)
    common = general + by_title["Options of every verb"]
    for action in verb_parsers(build_parser())[verb]._actions:
        for flag in action.option_strings:
            assert re.search(rf"[`\[ ]{flag}\b", common + by_title[verb]), flag


def test_findings_page__has_every_code() -> None:
    page = pages.read(REFERENCE / "findings.md")
    rows = [f"| `{c.code}` | {c.severity} | {c.meaning} | {c.fix} |" for c in CODES.values()]
    shown = [line for line in page.splitlines() if line.startswith("| `GF")]
    assert shown == rows


def test_environment_page__has_every_variable() -> None:
    page = pages.read(REFERENCE / "environment.md")
    mentioned = {
        variable
        for parser in (build_parser(), *verb_parsers(build_parser()).values())
        for action in parser._actions
        for variable in re.findall(r"\[([A-Z_]+)\]", action.help or "")
    }
    assert mentioned
    sources = "".join(path.read_text() for path in (ROOT / "gearfleet").rglob("*.py"))
    read = set(re.findall(r'"(GEARFLEET_[A-Z_]+)"', sources))
    assert read
    for variable in read | mentioned:
        assert f"| `{variable}` |" in page, variable


@pytest.mark.parametrize("page", [ROOT / "README.md", REFERENCE / "exit-codes.md"], ids=name_of)
def test_exit_codes__are_all_documented(page: Path) -> None:
    codes = {value for name, value in vars(errors).items() if name.startswith("EXIT_")}
    shown = {int(code) for code in re.findall(r"^\| (\d+) \|", pages.read(page), re.MULTILINE)}
    assert codes <= shown
