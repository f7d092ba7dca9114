"""What files of a fleet mean to a directory, and how they go there: `install`, `installation`.

One command at a time writes to a directory. How files are exchanged all together
or not at all is told in `exchange`.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gearfleet.errors import ConfigError, GearfleetError
from gearfleet.fleet import manifest
from gearfleet.fleet.exchange import exchange, put_back, sweep
from gearfleet.fleet.manifest import Manifest, groups_in
from gearfleet.fleet.render import MARKER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What `install` did, or found to be as it should: names of files, sorted.

    Attributes:
        added: that were not there.
        changed: that had another text.
        removed: that the fleet does not need any more.
        unchanged: that are as they should be.
        edited: of those changed and removed, what somebody edited by hand.
    """

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    edited: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """Files, and the directory that they are to go to.

    Attributes:
        files: text by name, as `render` returned them.
        target: the directory.
        changes: what has to be done.
        groups: of Supervisor, that are in the files or were in those before.
    """

    files: Mapping[str, str]
    target: Path
    changes: Changes
    groups: tuple[str, ...]
    _path: Path
    _before: Manifest
    _texts: Mapping[str, bytes] = field(repr=False)

    def old_text(self, name: str) -> str | None:
        """Return what a file is now; None where there is none."""
        text = self._texts.get(name)
        return None if text is None else text.decode("utf-8", "replace")

    def commit(self) -> None:
        """Put the files in place.

        Raises:
            GearfleetError: the system refuses; everything is as it was before.
        """
        after = Manifest.of(_encoded(self.files), self.groups)
        if not self.changes and after == self._before:
            return
        with _explained(self.target):
            here = Manifest.of(self._texts, self.groups)
            manifest.save(self._path, self._before.or_(here).or_(after))
            if self.changes:
                exchange(self.files, self.target, self.changes)
            manifest.save(self._path, after)

    def roll_back(self) -> None:
        """Have everything as it was before `commit`: supervisord does not take the files.

        Raises:
            GearfleetError: the system refuses, or another command is at it.
        """
        with _alone(self.target), _explained(self.target):
            put_back(self._texts, self.target, self.changes)
            manifest.save(self._path, self._before)

    def settle(self) -> None:
        """Forget the groups of earlier files: supervisord has been brought to these.

        To be called when `target` is free again. Where somebody has written other files
        there since, or does so now, those groups are theirs to forget.
        """
        after = Manifest.of(_encoded(self.files), groups_in(self.files.values()))
        with suppress(GearfleetError), _alone(self.target), _explained(self.target):
            found = manifest.load(self._path)
            if found.files == after.files and found != after:
                manifest.save(self._path, after)


def install(files: Mapping[str, str], target: Path, *, force: bool = False) -> Changes:
    """Make `files` (text by name) the files of their fleet in `target`; return what changed.

    A file that an earlier call wrote for the same fleet and that is not in
    `files` is removed. Files of others are left alone. `target` is made if its
    parent exists. What somebody edited by hand is lost only with `force`.

    Raises:
        ConfigError: a file of this name exists that was not written for this fleet,
            or one would be lost that was edited.
        GearfleetError: the system refuses; everything is as it was before.
    """
    with installation(files, target, force=force) as ready:
        ready.commit()
    return ready.changes


@contextmanager
def installation(
    files: Mapping[str, str], target: Path, *, force: bool = False
) -> Iterator[Installation]:
    """Prepare what `install` does in one step; nobody else writes to `target` meanwhile.

    Raises:
        ConfigError: see `install`.
        GearfleetError: the system refuses, or another command is at it.
    """
    with _explained(target):
        target.mkdir(exist_ok=True)
    with _alone(target):
        sweep(target)
        ready = examine(files, target)
        if ready.changes.edited and not force:
            raise ConfigError(_about_edited(ready))
        yield ready


def examine(files: Mapping[str, str], target: Path) -> Installation:
    """Return what `install` would do; nothing is written.

    Raises:
        ConfigError: a file of this name exists that was not written for this fleet.
    """
    mark = _mark_of(files)
    path = manifest.path_of(target, mark.decode())
    with _explained(target):
        before = manifest.load(path)
        texts = {each.name: each.read_bytes() for each in _ours(target, mark, before)}
    for name in files:
        if name not in texts and os.path.lexists(target / name):
            raise ConfigError(
                f"{target / name} exists, and gearfleet did not write it for this fleet. Move it "
                "away, or set 'name' in [fleet] so that this fleet's files have other names"
            )
    old = [text.decode("utf-8", "replace") for text in texts.values()]
    return Installation(
        files=files,
        target=target,
        changes=_compare(files, texts, before),
        groups=tuple(sorted(groups_in([*files.values(), *old]).union(before.groups))),
        _path=path,
        _before=before,
        _texts=texts,
    )


def edited_files(target: Path) -> frozenset[str]:
    """Return the names of files in `target` that are not what gearfleet wrote last."""
    known = [manifest.load(path) for path in target.glob(".gearfleet*.json")]
    return frozenset(
        name
        for each in known
        for name in each.files
        if (target / name).is_file() and each.is_edited(name, (target / name).read_bytes())
    )


def _mark_of(files: Mapping[str, str]) -> bytes:
    marks = {text.encode().partition(b"\n")[0] for text in files.values()}
    if len(marks) != 1 or not (mark := marks.pop()).startswith(MARKER.encode()):
        raise ValueError("files must be what render() returned for one fleet")
    return mark


def _ours(target: Path, mark: bytes, before: Manifest) -> Iterator[Path]:
    """Yield the files that an earlier call wrote for the same fleet, also if edited since."""
    for path in target.glob("*.conf"):
        if path.is_symlink() or not path.is_file():
            continue
        with path.open("rb") as file:
            is_marked = file.readline().rstrip(b"\r\n") == mark
        if is_marked or path.name in before.files:
            yield path


def _compare(files: Mapping[str, str], texts: Mapping[str, bytes], before: Manifest) -> Changes:
    same = {name for name in texts.keys() & files.keys() if texts[name] == files[name].encode()}
    lost = texts.keys() - same
    return Changes(
        added=tuple(sorted(files.keys() - texts.keys())),
        changed=tuple(sorted((texts.keys() & files.keys()) - same)),
        removed=tuple(sorted(texts.keys() - files.keys())),
        unchanged=tuple(sorted(same)),
        edited=tuple(sorted(name for name in lost if before.is_edited(name, texts[name]))),
    )


def _encoded(files: Mapping[str, str]) -> dict[str, bytes]:
    return {name: text.encode() for name, text in files.items()}


def _about_edited(ready: Installation) -> str:
    names = ", ".join(str(ready.target / name) for name in ready.changes.edited)
    return (
        f"Edited by hand since gearfleet wrote it: {names}. `gearfleet diff -o {ready.target}` "
        "shows how; bring the change into the settings, or lose it with --force"
    )


# One command at a time


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Keep every other command away from `target` until this one is done with it."""
    with _explained(target):
        descriptor = os.open(target, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise GearfleetError(
            f"Another gearfleet command is writing to {target}; wait until it is done"
        ) from error
    finally:
        os.close(descriptor)


@contextmanager
def _explained(target: Path) -> Iterator[None]:
    try:
        yield
    except BlockingIOError:
        raise
    except OSError as error:
        raise GearfleetError(
            f"Cannot write to {_place(error, target)}: {error.strerror}. Nothing was changed"
        ) from error


def _place(error: OSError, target: Path) -> str:
    """Return what could not be written, in words of the user's: our hidden files are not."""
    place = str(error.filename2 or error.filename or target)
    return str(target) if "/.gearfleet" in place else place
