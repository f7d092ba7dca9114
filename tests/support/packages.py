"""Packages that a test writes and this process can import, until the test is over."""

from __future__ import annotations

import importlib
import sys
from contextlib import contextmanager
from textwrap import dedent
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@contextmanager
def importable(folder: Path) -> Iterator[Callable[..., Path]]:
    """Put `folder` on the path; what is yielded writes a module there, given its path and source.

    Folders between become packages. Afterwards all that was imported from
    `folder` is forgotten.
    """
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        yield lambda path, source="": _write(folder, path, source)
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            if str(folder) in str(getattr(sys.modules[name], "__spec__", "")):
                del sys.modules[name]


def _write(folder: Path, path: str, source: str) -> Path:
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    for parent in target.parents:
        if parent == folder:
            break
        (parent / "__init__.py").touch()
    target.write_text(dedent(source))
    importlib.invalidate_caches()
    return target
