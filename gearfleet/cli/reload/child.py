"""The child of ``--reload``: a worker like any other, that tells which files it is made of.

Each line that it sends is a JSON list: ``["file", PATH]``, ``["tree", PATH]`` for a folder
of templates, or ``["root", PATH]`` for the project's own. It hears through the same
pipe when its parent has died, and drains.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import sysconfig
import threading
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gearfleet.cli.project import Project

#: Seconds between two looks at what is imported.
_INTERVAL = 0.5
_LIBRARIES = ("site-packages", "dist-packages")


class Reporter:
    """Tells the parent what it has not heard yet."""

    def __init__(self, fd: int) -> None:
        """Write to `fd`, which the processes that tasks start are not given."""
        os.set_inheritable(fd, False)
        self._fd = fd
        self._told: set[tuple[str, str]] = set()
        self._telling = threading.Lock()

    def start(self) -> None:
        """Look at what is imported again and again, in a thread."""
        threading.Thread(target=self._watch, name="reload", daemon=True).start()

    def tell(self, kind: str, paths: Iterable[str]) -> None:
        """Tell of those `paths` that are new."""
        with self._telling:
            new = [(kind, path) for path in paths if (kind, path) not in self._told]
            self._told.update(new)
            lines = "".join(json.dumps(each) + "\n" for each in new).encode()
            try:
                while lines:
                    lines = lines[os.write(self._fd, lines) :]
            except OSError:
                return  # the parent has died, which the thread sees

    def tell_project(self, project: Project) -> None:
        """Tell of what is no module: the file of the settings, and the templates."""
        settings = project.settings
        self.tell("root", [str(settings.root)])
        self.tell("file", [path for path in (settings.origin,) if os.path.isfile(path)])  # noqa: PTH113
        folders = [*map(_templates, settings.apps)]
        if project.django_settings:
            folders += import_module("gearfleet.contrib.django.project").template_folders()
        self.tell("tree", [str(path) for path in folders if path and is_own(str(path))])

    def _watch(self) -> None:
        parent = select.poll()
        parent.register(self._fd, 0)  # the end of a reader is told without asking
        while not parent.poll(_INTERVAL * 1000):
            self.tell("file", imported())
        os.kill(os.getpid(), signal.SIGTERM)


def imported() -> set[str]:
    """Return the source files of the modules that are imported, without those of libraries."""
    files = (_file_of(module) for module in list(sys.modules.values()))
    return {file for file in files if file.endswith(".py") and is_own(file)}


def _file_of(module: Any) -> str:
    file = getattr(module, "__dict__", {}).get("__file__")  # a lazy module is not woken
    return os.path.abspath(file) if isinstance(file, str) else ""  # noqa: PTH100


def is_own(path: str) -> bool:
    """Return whether a file belongs to no library: it is one that may be edited."""
    parts = Path(path).parts
    return not any(name in parts for name in _LIBRARIES) and not path.startswith(_STANDARD)


#: Where Python's own modules are.
_STANDARD = tuple(f"{sysconfig.get_path(name)}{os.sep}" for name in ("stdlib", "platstdlib"))


def sources_of(error: BaseException | None) -> set[str]:
    """Return the files that an exception came through; a module that raised is not imported."""
    files: set[str] = set()
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, SyntaxError) and error.filename:
            files.add(error.filename)
        trace = error.__traceback__
        while trace is not None:
            files.add(trace.tb_frame.f_code.co_filename)
            trace = trace.tb_next
        error = error.__cause__ or error.__context__
    return {file for file in files if os.path.isabs(file) and is_own(file)}  # noqa: PTH117


def _templates(app: str) -> Path | None:
    """Return the folder ``templates`` of an app, where Django and others look for them."""
    try:
        spec = find_spec(app)
    except (ImportError, ValueError):
        return None
    places = spec.submodule_search_locations if spec else None
    folder = Path(next(iter(places))) / "templates" if places else None
    return folder if folder and folder.is_dir() else None
