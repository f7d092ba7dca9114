"""What is watched, and whether it has changed: a comparison of two looks at the files."""

from __future__ import annotations

import logging
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

#: When a file was changed, and its size; None for one that is not there.
Stamp = tuple[int, int] | None

#: Folders in which nobody edits anything, beside those whose name begins with a dot.
_PASSED_OVER = frozenset({"__pycache__", "node_modules", "site-packages", "dist-packages"})
_SOURCES = (".py", ".toml")

#: Seconds by which a kernel may date a file too early.
_TICK = 0.01


class Sources:
    """The files and folders that a worker is made of."""

    def __init__(self, files: Iterable[str] = ()) -> None:
        """Watch `files`, and those that are added."""
        self.files = set(files)
        self._trees: dict[str, tuple[str, ...]] = {}
        self._seen: dict[str, Stamp] = {}

    def add_file(self, path: str) -> None:
        """Watch a file."""
        self.files.add(path)

    def add_tree(self, path: str, suffixes: tuple[str, ...] = ("",)) -> None:
        """Watch the files of a folder, also new ones, whose names end so."""
        self._trees[path] = suffixes

    def add_sources_below(self, path: str) -> None:
        """Watch all that could mend a worker that does not start, such as a missing module."""
        self.add_tree(path, _SOURCES)

    @property
    def folders(self) -> set[str]:
        """The folders in which the files are."""
        return {str(Path(path).parent) for path in self._seen} | self._trees.keys()

    def is_watched(self, path: str) -> bool:
        """Return whether it matters what is done to the file `path`."""
        return path in self._seen or any(
            path.startswith(f"{folder}{os.sep}") and path.endswith(suffixes)
            for folder, suffixes in list(self._trees.items())
        )

    def changed(self, *, since: float) -> list[str]:
        """Return what is different from the last look.

        Of what is seen for the first time, that is what was written after `since`, when the
        worker was started: it may have imported what was there before.
        """
        before, self._seen = self._seen, dict(self._look())
        return sorted(
            path
            for path in before.keys() | self._seen.keys()
            if (
                before[path] != self._seen.get(path)
                if path in before
                else _is_newer(self._seen[path], since)
            )
        )

    def _look(self) -> Iterator[tuple[str, Stamp]]:
        for path in self.files:
            yield path, _stamp(path)
        for folder, suffixes in self._trees.items():
            for path in _files_below(folder):
                if path.endswith(suffixes):
                    yield path, _stamp(path)


def _is_newer(stamp: Stamp, since: float) -> bool:
    # What is dated in the future would be new for ever.
    return stamp is not None and (since - _TICK) * 1e9 < stamp[0] <= time.time_ns()


def _stamp(path: str) -> Stamp:
    try:
        found = os.stat(path)  # noqa: PTH116 - of many files, again and again
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _files_below(folder: str) -> Iterator[str]:
    for path, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not _is_passed_over(path, name)]
        for name in files:
            if not name.startswith("."):
                yield os.path.join(path, name)  # noqa: PTH118


def _is_passed_over(path: str, name: str) -> bool:
    is_venv = os.path.exists(os.path.join(path, name, "pyvenv.cfg"))  # noqa: PTH110, PTH118
    return name.startswith(".") or name in _PASSED_OVER or is_venv


class Notifier:
    """Calls `wake` the moment that something changes, if watchfiles is installed.

    Whoever is woken looks for himself; without it, he looks twice a second.
    """

    def __init__(self, is_watched: Callable[[str], bool], wake: Callable[[], object]) -> None:
        """Call `wake` for those files of which `is_watched` says so."""
        self._is_watched = is_watched
        self._wake = wake
        self._folders: set[str] = set()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_there = _has_watchfiles()

    @property
    def interval(self) -> float:
        """Seconds after which to look without being woken."""
        is_watching = self._thread is not None and self._thread.is_alive()
        return 5.0 if is_watching else 0.5

    def watch(self, folders: Iterable[str]) -> None:
        """Watch these folders, and no others any more."""
        wanted = {folder for folder in folders if os.path.isdir(folder)}  # noqa: PTH112
        if not self._is_there or wanted == self._folders:
            return
        self.close()
        self._folders, self._stop = wanted, threading.Event()
        self._thread = threading.Thread(target=self._notify, name="watchfiles", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Watch nothing any more."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _notify(self) -> None:
        from watchfiles import watch

        def is_watched(_change: object, path: str) -> bool:
            return self._is_watched(path)

        # It logs each change, also that of the log.
        logging.getLogger("watchfiles").setLevel(logging.WARNING)
        for _changes in watch(
            *self._folders, watch_filter=is_watched, stop_event=self._stop, recursive=False
        ):
            self._wake()


def _has_watchfiles() -> bool:
    try:
        import watchfiles  # noqa: F401
    except ImportError:
        return False
    return True
