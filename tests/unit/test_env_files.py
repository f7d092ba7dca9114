"""Files with variables: what a line may be, what stands above what, and that no value is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gearfleet.config.env_files import read_env_files
from gearfleet.errors import ConfigError
from tests.support.fleets import ONE, fleet

if TYPE_CHECKING:
    from pathlib import Path


def variables(folder: Path, *texts: str, **environ: str) -> dict[str, str]:
    """Return what an environment has more after files with `texts` were read."""
    paths = []
    for number, text in enumerate(texts):
        paths.append(folder / f"{number}.env")
        paths[-1].write_text(text)
    before = {**environ, "GEARFLEET_ENV_FILES": ":".join(map(str, paths))}
    after = dict(before)
    read_env_files(after)
    after.pop("GEARFLEET_ENV_READ", None)
    return {name: value for name, value in after.items() if before.get(name) != value}


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=b", "b"),
        ("export A=b", "b"),
        ("  A = b c  # no", "b c"),
        ("A=b#c", "b#c"),
        ("A=#c", "#c"),
        ("A=", ""),
        ("A= # nothing", ""),
        ("A='b \"c\" # d'", 'b "c" # d'),
        ('A="b \\"c\\"\\n\\$d" # e', 'b "c"\n$d'),
        ('A="two\nlines"', "two\nlines"),
        ("A=b'c", "b'c"),
        ("A=$HOME %x ;y", "$HOME %x ;y"),
        ("\ufeffA=b\r", "b"),
    ],
)
def test_line(tmp_path: Path, line: str, value: str) -> None:
    text = f"\n# a comment\n{line}\n\nB=2"
    if line.startswith("\ufeff"):
        text = line + "\nB=2"
    assert variables(tmp_path, text) == {"A": value, "B": "2"}


@pytest.mark.parametrize(
    "line", ["secret", "A-B=secret", "A='secret", 'A="secret" more', "=secret"]
)
def test_line__that_is_none_is_named_and_not_shown(tmp_path: Path, line: str) -> None:
    with pytest.raises(ConfigError, match=r"0.env, line 2: write NAME=value") as raised:
        variables(tmp_path, f"B=1\n{line}\n")
    assert "secret" not in str(raised.value)


def test_file__that_is_missing() -> None:
    with pytest.raises(ConfigError, match=r"Cannot read /no/such\.env, which GEARFLEET_ENV_FILES"):
        read_env_files({"GEARFLEET_ENV_FILES": "/no/such.env"})


def test_later_files__stand_above_earlier_ones_and_the_environment_above_all(
    tmp_path: Path,
) -> None:
    found = variables(tmp_path, "A=1\nB=1\nC=1", "B=2\nC=2", C="3")
    assert found == {"A": "1", "B": "2"}


def test_child__reads_anew_what_its_parent_has_read(tmp_path: Path) -> None:
    path = tmp_path / "x.env"
    environ = {"GEARFLEET_ENV_FILES": str(path), "OWN": "1"}
    path.write_text("A=1\nB=1\nOWN=2")
    read_env_files(environ)
    path.write_text("A=2\nOWN=2")
    read_env_files(environ)
    assert environ == {
        **{"GEARFLEET_ENV_FILES": str(path), "GEARFLEET_ENV_READ": "A"},
        **{"A": "2", "OWN": "1"},
    }


def environment(**table: Any) -> Any:
    return {program.name: program for program in fleet(ONE, **table).programs}


def test_plan__names_the_files_and_no_variable_of_theirs() -> None:
    table = {"env_files": [".env", "/etc/shop.env"]}
    program = environment(fleet=table)["worker_foo"]
    assert program.environment["GEARFLEET_ENV_FILES"] == "/srv/shop/.env:/etc/shop.env"


def test_plan__another_command_is_run_by_one_that_reads_the_files() -> None:
    mill = {"command": ["bin/mill", "x"], "env_files": [".env"]}
    scheduler = {"command": ["gearfleet", "scheduler"], "env_files": [".env"]}
    found = environment(programs={"mill": mill, "scheduler": scheduler})
    gearfleet = "/srv/shop/.venv/bin/gearfleet"
    assert found["mill"].command == (gearfleet, "exec", "--", "/srv/shop/bin/mill", "x")
    assert found["scheduler"].command == (gearfleet, "scheduler")


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"env_files": ".env"}, "must be a list of texts"),
        ({"env_files": ["a:b"]}, "must be a list of paths without ':'"),
        ({"env_files": ["~/.env"]}, "'fleet.env_files' is '~/.env'"),
        ({"env_files": ["x"], "executable": "python manage.py gearfleet"}, "Leave manage.py out"),
    ],
)
def test_plan__files_that_cannot_be(table: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        environment(fleet=table)
    assert said in str(raised.value)
