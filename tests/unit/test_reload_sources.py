"""What `--reload` watches: two looks at the files, compared."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

from gearfleet.cli.reload.child import imported, is_own, sources_of
from gearfleet.cli.reload.sources import Sources

LONG_AGO = 1_000_000_000


def written(path: Path, text: str = "", *, at: float = LONG_AGO) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (at, at))
    return str(path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return Path(written(tmp_path / "parts.py"))


def watching(*files: Path) -> Sources:
    sources = Sources(map(str, files))
    assert sources.changed(since=LONG_AGO + 1) == []
    return sources


def changed(sources: Sources) -> list[str]:
    """Return what has changed, once: at the next look it is not new any more."""
    found = sources.changed(since=LONG_AGO + 1)
    assert sources.changed(since=LONG_AGO + 1) == []
    return found


def test_file__that_is_written_deleted_and_back(file: Path) -> None:
    sources = watching(file)
    for text, at in (("a", LONG_AGO), ("b", LONG_AGO + 5), ("c", LONG_AGO - 5)):
        written(file, text, at=at)
        assert changed(sources) == [str(file)]
    file.unlink()
    assert changed(sources) == [str(file)]
    written(file)
    assert changed(sources) == [str(file)]


def test_file__that_nobody_watches(file: Path) -> None:
    sources = watching(file)
    other = written(file.with_name("other.py"), at=time.time())
    assert changed(sources) == []
    assert not sources.is_watched(other)


@pytest.mark.parametrize(
    ("seconds", "is_new"), [(-60, False), (-0.005, True), (0.5, True), (3600, False)]
)
def test_file__first_seen_counts_if_written_since_the_worker_started(
    file: Path, seconds: float, is_new: bool
) -> None:
    started = time.time() - 1
    written(file, at=started + seconds)
    assert Sources([str(file)]).changed(since=started) == ([str(file)] if is_new else [])


def test_tree__new_and_deleted_files_count(tmp_path: Path) -> None:
    old = written(tmp_path / "a" / "old.txt")
    sources = watching()
    sources.add_tree(str(tmp_path))
    assert sources.changed(since=LONG_AGO + 1) == []
    new = written(tmp_path / "b" / "c" / "new.txt", at=time.time())
    Path(old).unlink()
    assert changed(sources) == [old, new]
    assert sources.folders == {str(tmp_path), str(tmp_path / "b" / "c")}


@pytest.mark.parametrize(
    ("name", "is_watched"),
    [
        ("shop/new.py", True),
        ("pyproject.toml", True),
        ("shop/worker.log", False),
        (".hidden.py", False),
        (".git/hook.py", False),
        ("shop/__pycache__/x.py", False),
        ("node_modules/x.py", False),
        ("env/lib/x.py", False),
    ],
)
def test_sources_below__are_what_may_mend_a_worker(
    name: str, is_watched: bool, tmp_path: Path
) -> None:
    written(tmp_path / "env" / "pyvenv.cfg")
    sources = watching()
    sources.add_sources_below(str(tmp_path))
    assert sources.changed(since=LONG_AGO + 1) == []
    new = written(tmp_path / name, at=time.time())
    assert changed(sources) == ([new] if is_watched else [])


def test_imported__are_modules_of_the_project_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def module(name: str, file: object) -> None:
        made = ModuleType(name)
        made.__dict__["__file__"] = file
        monkeypatch.setitem(sys.modules, name, made)

    module("ours", "/srv/shop/parts.py")
    module("compiled", "/srv/shop/parts.so")
    module("strange", 7)
    module("library", "/srv/env/lib/python3.11/site-packages/x.py")
    found = imported()
    assert "/srv/shop/parts.py" in found
    assert not [path for path in found if "site-packages" in path or path.endswith(".so")]
    assert os.__file__ not in found
    assert is_own(__file__)


def test_sources_of__an_error_are_the_files_it_came_through() -> None:
    def fail() -> None:
        try:
            compile("x = = 1", "/srv/shop/broken.py", "exec")
        except SyntaxError as error:
            raise RuntimeError from error

    with pytest.raises(RuntimeError) as caught:
        fail()
    assert sources_of(caught.value) == {__file__, "/srv/shop/broken.py"}
    caught.value.__cause__.__cause__ = caught.value  # type: ignore[union-attr]
    assert __file__ in sources_of(caught.value)
