"""Installing: all files or none, ours and no others."""

from __future__ import annotations

import itertools
import os
import stat
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from gearfleet.errors import ConfigError, GearfleetError
from gearfleet.fleet import Changes, install, render
from tests.support.fleets import SHOP, fleet
from tests.support.users import unprivileged

if TYPE_CHECKING:
    from collections.abc import Mapping

FILES = render(fleet())
NAMES = tuple(sorted(FILES))
#: As FILES, but worker_bar is changed, worker_bar2 gone and worker_new new.
OTHERS = render(
    fleet(
        {
            **{path: tasks for path, tasks in SHOP.items() if not path.endswith("bar2")},
            "shop.gearman_workers.worker_new": {"x": "new"},
        },
        programs={"worker_bar": {"processes": 3}},
    )
)


def content(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_install__into_an_empty_directory(tmp_path: Path) -> None:
    assert install(FILES, tmp_path) == Changes(added=NAMES)
    assert content(tmp_path) == FILES


def test_install__makes_the_directory(tmp_path: Path) -> None:
    install(FILES, tmp_path / "conf.d")
    assert content(tmp_path / "conf.d") == FILES


def test_install__into_a_path_with_a_typing_error(tmp_path: Path) -> None:
    with pytest.raises(
        GearfleetError, match=r"supervsior/conf.d: No such file.*Nothing was changed"
    ):
        install(FILES, tmp_path / "supervsior" / "conf.d")


def test_install__again_writes_nothing(tmp_path: Path) -> None:
    install(FILES, tmp_path)
    before = {path.name: path.stat() for path in tmp_path.iterdir()}
    folder = tmp_path.stat().st_mtime_ns
    assert install(FILES, tmp_path) == Changes(unchanged=NAMES)
    assert {path.name: path.stat() for path in tmp_path.iterdir()} == before
    assert tmp_path.stat().st_mtime_ns == folder


def test_install__says_what_changed(tmp_path: Path) -> None:
    install(FILES, tmp_path)
    assert install(OTHERS, tmp_path) == Changes(
        added=("worker_new.conf",),
        changed=("groups.conf", "worker_bar.conf"),
        removed=("worker_bar2.conf",),
        unchanged=("mail_tasks_foo.conf", "mail_tasks_nightly.conf", "worker_foo.conf"),
    )
    assert content(tmp_path) == OTHERS


def test_install__files_are_readable_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        install(FILES, tmp_path)
    finally:
        os.umask(before)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o644}


def test_install__leaves_the_files_of_others(tmp_path: Path) -> None:
    (tmp_path / "nginx.conf").write_text("[program:nginx]\ncommand=nginx\n")
    (tmp_path / "binary.conf").write_bytes(b"\xff\xfe\0")
    (tmp_path / "folder.conf").mkdir()
    install(FILES, tmp_path)
    install(OTHERS, tmp_path)
    assert (tmp_path / "nginx.conf").read_text() == "[program:nginx]\ncommand=nginx\n"
    assert (tmp_path / "binary.conf").exists()


def test_install__leaves_the_files_of_another_fleet(tmp_path: Path) -> None:
    ours, theirs = (render(fleet(fleet={"name": name})) for name in ("eu", "us"))
    install(ours, tmp_path)
    assert install(theirs, tmp_path).removed == ()
    assert content(tmp_path) == {**ours, **theirs}


@pytest.mark.parametrize("kind", ["file", "folder", "link", "dangling"])
def test_install__refuses_to_overwrite_what_it_did_not_write(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "worker_bar.conf"
    if kind == "file":
        path.write_text("[program:worker_bar]\ncommand=x\n")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / ("elsewhere" if kind == "dangling" else "."))
    with pytest.raises(ConfigError) as raised:
        install(FILES, tmp_path)
    assert str(raised.value).startswith(f"{path} exists, and gearfleet did not write it")
    assert [entry.name for entry in tmp_path.iterdir()] == ["worker_bar.conf"]


def test_install__a_fleet_without_programs_removes_all_of_ours(tmp_path: Path) -> None:
    install(FILES, tmp_path)
    empty = render(fleet(fleet={"processes": 0}))
    assert list(empty) == ["groups.conf"]
    assert install(empty, tmp_path).removed == tuple(n for n in NAMES if n != "groups.conf")
    assert content(tmp_path) == empty


@pytest.mark.parametrize("files", [{}, {"x.conf": "[program:x]\ncommand=x\n"}])
def test_install__takes_only_what_was_rendered(tmp_path: Path, files: Mapping[str, str]) -> None:
    with pytest.raises(ValueError, match="what render"):
        install(files, tmp_path)


def break_disk(patch: pytest.MonkeyPatch, name: str, *, after: int, times: float = 1) -> None:
    """Let `after` calls of a file operation pass, and `times` calls fail after them."""
    real = getattr(Path, name)
    calls = itertools.count()

    def broken(path: Path, *args: object, **kwargs: object) -> object:
        if after <= next(calls) < after + times:
            raise OSError(28, "No space left on device", str(path))
        return real(path, *args, **kwargs)

    patch.setattr(Path, name, broken)


@pytest.mark.parametrize(
    ("operation", "after"),
    [("open", 7), ("mkdir", 1), ("replace", 0), ("replace", 2), ("unlink", 0)],
)
def test_install__that_fails_in_the_middle_leaves_all_as_it_was(
    tmp_path: Path, operation: str, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(FILES, tmp_path)
    with monkeypatch.context() as patch:
        break_disk(patch, operation, after=after)
        with pytest.raises(GearfleetError, match=r"No space left on device. Nothing was changed"):
            install(OTHERS, tmp_path)
    assert content(tmp_path) == FILES


def test_install__that_cannot_be_undone_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(FILES, tmp_path)
    break_disk(monkeypatch, "replace", after=2, times=float("inf"))
    with pytest.raises(GearfleetError, match="Only some files") as raised:
        install(OTHERS, tmp_path)
    assert "Nothing was changed" not in str(raised.value)


def test_install__a_file_that_can_be_neither_replaced_nor_put_back_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(FILES, tmp_path)
    mounted = str(tmp_path / "worker_foo.conf")  # as containers do with single files
    real = Path.replace

    def refuse(path: Path, to: Path) -> object:
        if str(to) == mounted:
            raise OSError(16, "Device or resource busy", str(path), None, mounted)
        return real(path, to)

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(GearfleetError) as raised:
        install({name: text + "; new\n" for name, text in FILES.items()}, tmp_path)
    assert str(raised.value) == (
        f"Cannot write to {mounted}: Device or resource busy. Nothing was changed"
    )
    assert content(tmp_path) == FILES


def test_install__names_the_directory_and_not_the_hidden_one_in_it() -> None:
    # Not tmp_path, which stands in a folder that is closed itself.
    with TemporaryDirectory() as target:
        Path(target).chmod(0o555)
        with unprivileged(), pytest.raises(GearfleetError) as raised:
            install(FILES, Path(target))
    assert str(raised.value) == f"Cannot write to {target}: Permission denied. Nothing was changed"
