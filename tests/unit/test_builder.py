"""The command line's parser: every verb is listed, and only what is wanted is imported."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gearfleet.cli.builder import MODULES, SUMMARIES, build_parser, parse, verb_parsers

PROBE = """
import sys
from gearfleet.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print(*sorted(name for name in sys.modules if name.startswith("gearfleet.")), file=sys.stderr)
"""


def imported(*words: str) -> set[str]:
    """Return the modules of gearfleet that the command line `words` imports."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *words], capture_output=True, text=True, check=True
    )
    return set(done.stderr.splitlines()[-1].split())


def test_help__imports_no_verb() -> None:
    assert imported("--help") == {
        "gearfleet._late",
        "gearfleet._version",
        "gearfleet.cli",
        "gearfleet.cli.builder",
        "gearfleet.cli.main",
        "gearfleet.errors",
    }


def test_help__of_a_verb_imports_that_one() -> None:
    verbs = {f"gearfleet.cli.{module}" for module in MODULES}
    assert imported("ps", "--help") & verbs == {"gearfleet.cli.ps"}


def test_help__lists_every_verb_with_its_summary() -> None:
    text = " ".join(build_parser([]).format_help().split())
    for name, summary in SUMMARIES.items():
        assert f" {name} {summary}" in text


@pytest.mark.parametrize("module", MODULES)
def test_module__has_the_verbs_that_are_told_of_it(module: str) -> None:
    for name in MODULES[module]:
        assert "run" in vars(verb_parsers(build_parser([name]))[name])["_defaults"]


def test_parse__a_word_that_is_a_verb_too() -> None:
    assert parse(build_parser(["submit", "plan"]), ["submit", "plan"]).task == "plan"
