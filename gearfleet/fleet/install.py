"""Files go to their directory all together or not at all.

They are staged in a hidden folder inside the target, because a rename is
atomic only within one file system, and Supervisor's ``*.conf`` does not look
there. What they replace is copied beside them first. Only then does the first
rename happen; should a later one fail, the copies go back.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from gearfleet.errors import ConfigError, GearfleetError
from gearfleet.fleet.render import MARKER

if TYPE_CHECKING:
    from collections.abc import Mapping

MODE = 0o644

#: How the folder's name begins in which files are staged.
HIDDEN = ".gearfleet-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What `install` did, or found to be as it should: names of files, sorted."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()


def install(files: Mapping[str, str], target: Path) -> Changes:
    """Make `files` (text by name) the files of their fleet in `target`; return what changed.

    A file that an earlier call wrote for the same fleet and that is not in
    `files` is removed. Files of others are left alone. `target` is made if its
    parent exists.

    Raises:
        ConfigError: a file of this name exists that was not written for this fleet.
        GearfleetError: the system refuses; everything is as it was before.
    """
    try:
        target.mkdir(exist_ok=True)
        changes = _compare(files, target)
        if changes.added or changes.changed or changes.removed:
            _apply(files, target, changes)
    except OSError as error:
        raise GearfleetError(
            f"Cannot write to {_place(error, target)}: {error.strerror}. Nothing was changed"
        ) from error
    return changes


def _place(error: OSError, target: Path) -> str:
    """Return what could not be written, in words of the user's: our hidden folder is not one."""
    place = str(error.filename2 or error.filename or target)
    return str(target) if HIDDEN in place else place


def _compare(files: Mapping[str, str], target: Path) -> Changes:
    """Return what has to be done; all that can be refused is refused here."""
    marks = {_first_line(text.encode()) for text in files.values()}
    if len(marks) != 1 or not (mark := marks.pop()).startswith(MARKER.encode()):
        raise ValueError("files must be what render() returned for one fleet")
    ours = {path.name: path.read_bytes() for path in target.glob("*.conf") if _is_ours(path, mark)}
    for name in files:
        if name not in ours and os.path.lexists(target / name):
            raise ConfigError(
                f"{target / name} exists, and gearfleet did not write it for this fleet. Move it "
                "away, or set 'name' in [fleet] so that this fleet's files have other names"
            )
    same = {name for name in ours.keys() & files.keys() if ours[name] == files[name].encode()}
    return Changes(
        added=tuple(sorted(files.keys() - ours.keys())),
        changed=tuple(sorted((ours.keys() & files.keys()) - same)),
        removed=tuple(sorted(ours.keys() - files.keys())),
        unchanged=tuple(sorted(same)),
    )


def _is_ours(path: Path, mark: bytes) -> bool:
    """Tell whether `path` is a file that an earlier call wrote for the same fleet."""
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.readline().rstrip(b"\r\n") == mark


def _first_line(data: bytes) -> bytes:
    return data.partition(b"\n")[0]


def _apply(files: Mapping[str, str], target: Path, changes: Changes) -> None:
    with TemporaryDirectory(prefix=HIDDEN, dir=target) as folder:
        staged, before = Path(folder) / "staged", Path(folder) / "before"
        staged.mkdir()
        before.mkdir()
        for name in (*changes.added, *changes.changed):
            _write(staged / name, files[name])
        for name in (*changes.changed, *changes.removed):
            shutil.copy2(target / name, before / name)
        try:
            _rename(staged, target, changes)
        except BaseException:
            _restore(before, target, changes)
            raise


def _write(path: Path, text: str) -> None:
    with path.open("wb") as file:
        file.write(text.encode())
        os.fchmod(file.fileno(), MODE)
        file.flush()
        os.fsync(file.fileno())


def _rename(staged: Path, target: Path, changes: Changes) -> None:
    for name in (*changes.added, *changes.changed):
        (staged / name).replace(target / name)
    for name in changes.removed:
        (target / name).unlink()
    _sync(target)


def _restore(before: Path, target: Path, changes: Changes) -> None:
    try:
        for name in changes.added:
            (target / name).unlink(missing_ok=True)
        for name in (*changes.changed, *changes.removed):
            # What could not be replaced cannot be put back either, and need not be.
            if not _is_same(before / name, target / name):
                (before / name).replace(target / name)
        _sync(target)
    except OSError as error:
        raise GearfleetError(
            f"Only some files of {target} were replaced, and putting the others back failed too: "
            f"{error}. Render again before supervisord reads them"
        ) from error


def _is_same(one: Path, other: Path) -> bool:
    return other.exists() and one.read_bytes() == other.read_bytes()


def _sync(folder: Path) -> None:
    """Make the renames in `folder` survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
