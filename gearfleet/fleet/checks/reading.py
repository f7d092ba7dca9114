"""The files of a configuration, read from the disk as supervisord reads them."""

from __future__ import annotations

import glob
import os
import platform
import re
from pathlib import Path
from typing import TYPE_CHECKING

from gearfleet.errors import ConfigError
from gearfleet.fleet.checks.ini import ConfigFile, read
from gearfleet.fleet.checks.texts import Configuration

if TYPE_CHECKING:
    from collections.abc import Mapping


def read_main(path: Path, environ: Mapping[str, str]) -> Configuration:
    """Return the configuration whose main file is `path`, with all that it includes.

    Raises:
        ConfigError: the main file cannot be read.
    """
    try:
        main = read(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"Cannot read {path}: {error}") from error
    patterns = _patterns(main, path, environ)
    found = {pattern: sorted(glob.glob(pattern)) for pattern in patterns}  # noqa: PTH207
    names = [name for pattern in patterns for name in found[pattern]]
    return Configuration(
        files=(main, *(_read(Path(name)) for name in names)),
        has_main=True,
        patterns=tuple(patterns),
        unmatched=tuple(pattern for pattern in patterns if not found[pattern]),
        environ=environ,
    )


def read_folder(folder: Path, environ: Mapping[str, str]) -> Configuration:
    """Return what lies in `folder`, as far as its name ends as ``*.conf``; it has no main file."""
    names = sorted(folder.glob("*.conf"))
    return Configuration(files=tuple(_read(name) for name in names), environ=environ)


def _read(path: Path) -> ConfigFile:
    try:
        return read(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        return ConfigFile(file=str(path), text="", unread=str(error.strerror or error))
    except UnicodeDecodeError as error:
        return ConfigFile(file=str(path), text="", broken=((0, f"the file: {error}"),))


def _patterns(main: ConfigFile, path: Path, environ: Mapping[str, str]) -> list[str]:
    here = os.path.dirname(os.path.abspath(path))  # noqa: PTH100, PTH120 - as Supervisor does
    values = {"here": here, "host_node_name": platform.node()}
    values.update((f"ENV_{name}", value) for name, value in environ.items())
    sections = [section for section in main.sections if section.name == "include"]
    text = sections[-1].value("files") if sections else ""
    # A variable that is missing is a finding of its own; here it just matches nothing.
    expanded = re.sub(r"%\((\w+)\)s", lambda match: values.get(match[1], match[0]), text)
    return [os.path.join(here, pattern) for pattern in expanded.split()]  # noqa: PTH118
