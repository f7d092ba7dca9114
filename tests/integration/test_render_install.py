"""Installing: all files or none, ours and no others."""

from __future__ import annotations

import itertools
import json
import os
import stat
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from gearfleet.errors import ConfigError, GearfleetError
from gearfleet.fleet import Changes, install, render
from gearfleet.fleet.install import edited_files, examine, installation
from tests.support.fleets import ONE, SHOP, fleet
from tests.support.processes import run
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
    """Return the files that Supervisor would read, and what else lies there in sight."""
    seen = (path for path in folder.iterdir() if not path.name.startswith(".gearfleet."))
    return {path.name: path.read_text() for path in seen}


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
    [("open", 8), ("mkdir", 1), ("replace", 0), ("replace", 1), ("replace", 3), ("unlink", 0)],
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
    break_disk(monkeypatch, "replace", after=3, times=float("inf"))
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


def edit(target: Path, name: str = "worker_bar.conf") -> str:
    text = (target / name).read_text() + "; somebody was here\n"
    (target / name).write_text(text)
    return text


def test_install__refuses_to_lose_what_was_edited_by_hand(tmp_path: Path) -> None:
    install(FILES, tmp_path)
    edited = edit(tmp_path)
    with pytest.raises(ConfigError, match=r"Edited by hand since .*/worker_bar\.conf.*--force"):
        install(FILES, tmp_path)
    assert content(tmp_path) == {**FILES, "worker_bar.conf": edited}
    assert edited_files(tmp_path) == {"worker_bar.conf"}
    assert install(FILES, tmp_path, force=True).edited == ("worker_bar.conf",)
    assert content(tmp_path) == FILES
    assert edited_files(tmp_path) == set()


def test_install__refuses_to_remove_what_was_edited_by_hand(tmp_path: Path) -> None:
    install(FILES, tmp_path)
    edit(tmp_path, "worker_bar2.conf")
    with pytest.raises(ConfigError, match=r"worker_bar2\.conf"):
        install(OTHERS, tmp_path)
    assert install(OTHERS, tmp_path, force=True).removed == ("worker_bar2.conf",)


def test_install__a_file_whose_first_line_was_edited_is_still_ours(tmp_path: Path) -> None:
    install(FILES, tmp_path)
    (tmp_path / "worker_bar.conf").write_text("; mine now\n")
    with pytest.raises(ConfigError, match="Edited by hand"):
        install(FILES, tmp_path)


def test_install__an_edit_that_the_settings_have_now_too_is_none(tmp_path: Path) -> None:
    install(FILES, tmp_path)
    (tmp_path / "worker_bar.conf").write_text(OTHERS["worker_bar.conf"])
    assert "worker_bar.conf" in install(OTHERS, tmp_path).unchanged


def test_install__files_from_before_there_was_a_manifest_are_taken_over(tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    assert install(OTHERS, tmp_path).edited == ()
    assert content(tmp_path) == OTHERS
    edit(tmp_path)
    assert edited_files(tmp_path) == {"worker_bar.conf"}


def test_install__a_manifest_that_is_none_is_refused(tmp_path: Path) -> None:
    install(FILES, tmp_path)
    (tmp_path / ".gearfleet.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"\.gearfleet\.json is not as gearfleet wrote it"):
        install(FILES, tmp_path)


@pytest.mark.parametrize("killed_at", range(4))
def test_install__killed_at_any_rename_takes_nothing_for_edited(
    tmp_path: Path, killed_at: int
) -> None:
    install(FILES, tmp_path)
    script = (
        "import os, sys, json; from pathlib import Path; from gearfleet.fleet import install\n"
        "files, target, after = json.load(sys.stdin)\n"
        "real = Path.replace; done = []\n"
        "def replace(path, to):\n"
        "    len(done) == after and os.kill(os.getpid(), 9)\n"
        "    done.append(path); return real(path, to)\n"
        "Path.replace = replace\n"
        "install(files, Path(target))\n"
    )
    told = json.dumps([OTHERS, str(tmp_path), killed_at])
    assert run([sys.executable, "-c", script], stdin=told).returncode == -9
    assert edited_files(tmp_path) == set()
    for name, text in content_of_files(tmp_path).items():
        assert text in {FILES.get(name), OTHERS.get(name)}
    install(FILES, tmp_path)  # neither what was, nor what was to come, is in its way
    assert content(tmp_path) == FILES


def content_of_files(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.glob("*.conf")}


def test_install__two_at_the_same_time(tmp_path: Path) -> None:
    with (
        installation(FILES, tmp_path),
        pytest.raises(GearfleetError, match="Another gearfleet command is writing"),
    ):
        install(FILES, tmp_path)
    install(FILES, tmp_path)


def test_installation__remembers_groups_until_supervisord_was_brought_to_the_files(
    tmp_path: Path,
) -> None:
    install(FILES, tmp_path)
    install(OTHERS, tmp_path)
    fewer = render(fleet(ONE))
    install(fewer, tmp_path)
    assert set(examine(fewer, tmp_path).groups) == {"bar", "foo", "new", "nightly"}
    with installation(fewer, tmp_path) as ready:
        ready.commit()
        ready.settle()  # not while it is at it itself
    assert set(examine(fewer, tmp_path).groups) == {"bar", "foo", "new", "nightly"}
    ready.settle()
    assert examine(fewer, tmp_path).groups == ("foo",)
