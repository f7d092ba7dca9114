"""Files of a directory are exchanged for others, all together or not at all.

They are staged in a hidden folder inside the directory, because a rename is
atomic only within one file system, and Supervisor's ``*.conf`` does not look
there. What they replace is copied beside them first. Only then does the first
rename happen; should a later one fail, the copies go back.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from gearfleet.errors import GearfleetError
from gearfleet.fleet.manifest import MODE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gearfleet.fleet.install import Changes

#: How the names begin of what is staged.
HIDDEN = ".gearfleet-"


def exchange(files: Mapping[str, str], target: Path, changes: Changes) -> None:
    """Make `changes` in `target`: add and change to what is in `files`, and remove.

    Raises:
        OSError: the system refuses; everything is as it was before.
        GearfleetError: it refuses that, too.
    """
    with TemporaryDirectory(prefix=HIDDEN, dir=target) as folder:
        staged, before = Path(folder) / "staged", Path(folder) / "before"
        staged.mkdir()
        before.mkdir()
        for name in (*changes.added, *changes.changed):
            _write(staged / name, files[name].encode())
        for name in (*changes.changed, *changes.removed):
            shutil.copy2(target / name, before / name)
        try:
            _rename(staged, target, changes)
        except BaseException:
            _restore(before, target, changes)
            raise


def put_back(texts: Mapping[str, bytes], target: Path, changes: Changes) -> None:
    """Undo `changes`; `texts` has what the files were before."""
    for name in (*changes.changed, *changes.removed):
        _replace(target / name, texts[name])
    for name in changes.added:
        (target / name).unlink(missing_ok=True)
    _sync(target)


def sweep(target: Path) -> None:
    """Remove what a command left behind that was killed."""
    for left in target.glob(f"{HIDDEN}*"):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def _replace(path: Path, text: bytes) -> None:
    draft = path.with_name(f"{HIDDEN}{path.name}.old")
    _write(draft, text)
    draft.replace(path)


def _write(path: Path, text: bytes) -> None:
    with path.open("wb") as file:
        file.write(text)
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
