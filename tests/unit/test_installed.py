"""Entry points are found wherever `importlib.metadata` finds them, and it is asked only then."""

from __future__ import annotations

import sys
import zipfile
from importlib import metadata
from typing import TYPE_CHECKING, Any

import pytest

from gearfleet.worker.installed import entry_points

if TYPE_CHECKING:
    from pathlib import Path

GROUP = "shop.plugins"
TEXT = f"[{GROUP}]\npaper = reporters:report\n"
METADATA = "Metadata-Version: 2.1\nName: reporters\nVersion: 1.0\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place where packages are looked for, beside one that does not exist."""
    monkeypatch.setattr(sys, "path", [str(tmp_path / "gone"), str(tmp_path)])
    return tmp_path


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The groups that `importlib.metadata` was asked for."""
    groups: list[str] = []
    ask = metadata.entry_points

    def note(**given: Any) -> Any:
        groups.append(given["group"])
        return ask(**given)

    monkeypatch.setattr(metadata, "entry_points", note)
    monkeypatch.setattr(sys, "meta_path", [each for each in sys.meta_path if is_plain(each)])
    return groups


def is_plain(finder: object) -> bool:
    return isinstance(finder, type)  # pytest's and those of editable installs find nothing here


@pytest.mark.parametrize("name", ["reporters-1.0.dist-info", "reporters.egg-info"])
def test_found__what_a_folder_of_the_path_declares(folder: Path, name: str) -> None:
    (folder / name).mkdir()
    (folder / name / "METADATA").write_text(METADATA)
    (folder / name / "entry_points.txt").write_text(TEXT)
    assert [each.value for each in entry_points(GROUP)] == ["reporters:report"]


@pytest.mark.parametrize("place", ["shop.zip", "shop-1.0.egg"])
def test_found__what_a_zip_file_or_an_egg_declares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    path, told = tmp_path / place, "EGG-INFO" if place.endswith("egg") else "shop-1.0.dist-info"
    if place.endswith("egg"):
        (path / told).mkdir(parents=True)
        (path / told / "entry_points.txt").write_text(TEXT)
        (path / told / "PKG-INFO").write_text(METADATA)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(f"{told}/entry_points.txt", TEXT)
            archive.writestr(f"{told}/METADATA", METADATA)
    monkeypatch.setattr(sys, "path", [str(path)])
    assert [each.name for each in entry_points(GROUP)] == ["paper"]


def test_found__what_another_finder_knows(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Finder:
        def find_distributions(self, context: object = None) -> list[metadata.Distribution]:
            return [metadata.PathDistribution(folder / "elsewhere")]

    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "entry_points.txt").write_text(TEXT)
    (folder / "elsewhere" / "METADATA").write_text(METADATA)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder()])
    assert [each.name for each in entry_points(GROUP)] == ["paper"]


def test_none__is_known_without_reading_about_all_packages(folder: Path, asked: list[str]) -> None:
    for name, text in (
        ("other-1.0.dist-info", "[console_scripts]\nx = y:z\n"),
        ("bare.egg-info", ""),
    ):
        (folder / name).mkdir()
        if text:
            (folder / name / "entry_points.txt").write_text(text)
    (folder / "old.egg-info").write_text("a file, as of distutils")
    assert entry_points(GROUP) == ()
    assert asked == []
