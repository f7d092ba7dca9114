"""What the wheel and the sdist carry."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING
from zipfile import ZipFile

if TYPE_CHECKING:
    from pathlib import Path

    from tests.packaging.conftest import Distributions


def files_of(folder: Path, *, without: tuple[str, ...] = ()) -> set[str]:
    """Return the files below `folder`, as git would have them."""
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return {name for name in names if not name.startswith(without) and "__pycache__" not in name}


def in_wheel(distributions: Distributions, prefix: str) -> set[str]:
    """Return the names in the wheel that begin with `prefix`, without it."""
    with ZipFile(distributions.wheel) as wheel:
        return {n.removeprefix(prefix) for n in wheel.namelist() if n.startswith(prefix)}


def test_wheel__carries_every_template(distributions: Distributions) -> None:
    assert in_wheel(distributions, "gearfleet/templates/") == files_of(
        distributions.checkout / "templates"
    )


def test_wheel__carries_every_file_of_the_examples_and_nothing_they_made(
    distributions: Distributions,
) -> None:
    assert in_wheel(distributions, "gearfleet/examples/") == files_of(
        distributions.checkout / "examples", without=("shop/data/",)
    )


def test_wheel__carries_every_module_and_its_types(distributions: Distributions) -> None:
    shipped = {
        name
        for name in in_wheel(distributions, "gearfleet/")
        if not name.startswith(("templates/", "examples/"))
    }
    assert shipped == files_of(distributions.checkout / "gearfleet")
    assert "py.typed" in shipped


def test_wheel__has_nothing_but_gearfleet(distributions: Distributions) -> None:
    tops = {name.partition("/")[0].partition("-")[0] for name in in_wheel(distributions, "")}
    assert tops == {"gearfleet"}


def test_wheel__is_known_to_pytest(distributions: Distributions) -> None:
    with ZipFile(distributions.wheel) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith("/entry_points.txt"))
        points = wheel.read(name).decode()
    assert "[pytest11]\ngearfleet = gearfleet.testing.plugin\n" in points


def test_wheel__knows_its_licence_and_version(distributions: Distributions) -> None:
    from gearfleet import __version__

    with ZipFile(distributions.wheel) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith("/METADATA"))
        metadata = wheel.read(name).decode().splitlines()
    assert f"Version: {__version__}" in metadata
    assert "License-Expression: MIT" in metadata
    assert any(line.startswith("Requires-Dist: supervisor") for line in metadata)


def test_sdist__can_be_tested_and_built(distributions: Distributions) -> None:
    with tarfile.open(distributions.sdist) as sdist:
        shipped = {name.partition("/")[2] for name in sdist.getnames()}
    for folder in ("gearfleet", "templates", "examples", "tests", "docs"):
        there = files_of(distributions.checkout / folder, without=("shop/data/",))
        assert {f"{folder}/{name}" for name in there} <= shipped, folder
    assert {"Makefile", "setup.py", "README.md", "CHANGELOG.md", "LICENSE"} <= shipped
    assert not [name for name in shipped if "stale" in name or "__pycache__" in name]
