"""Where settings come from: a file, Django's settings, the environment, the command line."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gearfleet.config.reader import check_servers, check_signing_keys, read_settings
from gearfleet.config.release import commit_of
from gearfleet.config.settings import Settings
from gearfleet.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

FILE = "gearfleet.toml"

#: Environment variables that stand above the settings file and mean something to a worker.
RENDERED = ("GEARFLEET_APP", "GEARFLEET_SERVERS", "GEARFLEET_RUN_DIR")

_provider: Callable[[], Settings] | None = None
_current: Settings | None = None


def current() -> Settings:
    """Return the settings of this process, read when first asked for."""
    global _current  # noqa: PLW0603 - one process has one project
    if _current is None:
        _current = _provider() if _provider else load()
    return _current


def use(settings: Settings | Callable[[], Settings] | None) -> None:
    """Make `settings` those of this process; a callable is asked when they are first needed.

    None goes back to those of :func:`load`, read again when first asked for.
    """
    global _current, _provider  # noqa: PLW0603 - one process has one project
    _provider = settings if callable(settings) else None
    _current = settings if isinstance(settings, Settings) else None


@contextmanager
def using(settings: Settings) -> Iterator[None]:
    """Make `settings` those of this process inside the block, as a test wants."""
    global _current, _provider
    before = _current, _provider
    use(settings)
    try:
        yield
    finally:
        _current, _provider = before


def load(
    config: Path | None = None,
    *,
    directory: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Read the settings of a plain Python project.

    They stand in `config`, or in ``gearfleet.toml`` or ``pyproject.toml``
    (``[tool.gearfleet]``) of `directory`; without a file the defaults hold.
    Variables of the environment stand above the file.

    Raises:
        ConfigError: the file is missing or wrong, named with the key.
    """
    environ = os.environ if environ is None else environ
    chosen = environ.get("GEARFLEET_CONFIG")
    if config is None and chosen:
        config = Path(chosen)
    settings = _from_file(config) if config else _from_directory(directory or Path.cwd())
    return with_environment(settings, environ)


def _from_directory(directory: Path) -> Settings:
    for path in (directory / FILE, directory / "pyproject.toml"):
        if _exists(path) and (settings := _maybe_settings(path)):
            # Workers run in the root, and find a file that stands there.
            at_home = settings.root == directory.resolve()
            return settings if at_home else _found_by_workers(settings, path)
    return Settings(root=directory.resolve())


def _exists(path: Path) -> bool:
    try:
        return path.is_file()
    except PermissionError:
        return True  # there may be one: reading it says what is wrong


def _found_by_workers(settings: Settings, path: Path) -> Settings:
    return replace(settings, rendered_environment={"GEARFLEET_CONFIG": str(path.resolve())})


def _from_file(path: Path) -> Settings:
    if settings := _maybe_settings(path):
        return _found_by_workers(settings, path)
    raise ConfigError(f"{path}: it has no [tool.gearfleet]; write the settings there")


def _maybe_settings(path: Path) -> Settings | None:
    table: Any = _parse(path)
    if path.name == "pyproject.toml":
        table = table.get("tool", {}).get("gearfleet")
    if table is None:
        return None
    return read_settings(table, root=path.parent, origin=str(path))


def _parse(path: Path) -> dict[str, Any]:
    import tomllib  # a worker under Django reads none

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"Cannot read the settings file {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error


def with_environment(settings: Settings, environ: Mapping[str, str]) -> Settings:
    """Return `settings` under what the environment says.

    What changed is kept in `rendered_environment`, because a worker that
    supervisord starts must see the same.
    """
    for variable, read in _VARIABLES.items():
        if value := environ.get(variable):
            settings = settings.changed(f"environment {variable}", **read(value, variable))
    rendered = {name: environ[name] for name in RENDERED if environ.get(name)}
    return replace(settings, rendered_environment={**settings.rendered_environment, **rendered})


def _of_servers(value: str, source: str) -> dict[str, Any]:
    return {"servers": check_servers(split_list(value), source), "worker_servers": ()}


def _of_keys(value: str, source: str) -> dict[str, Any]:
    return {"signing_keys": check_signing_keys(split_list(value), source)}


#: What each variable changes.
_VARIABLES: Mapping[str, Callable[[str, str], dict[str, Any]]] = {
    "GEARFLEET_APP": lambda value, _: {"apps": split_list(value)},
    "GEARFLEET_SERVERS": _of_servers,
    "GEARFLEET_RUN_DIR": lambda value, _: {"run_dir": Path(value).absolute()},
    "GEARFLEET_SIGNING_KEYS": _of_keys,
    "GEARFLEET_RELEASE": lambda value, _: {"release": value},
    "GEARFLEET_TEMPLATE_DIR": lambda value, _: {"template_dir": Path(value)},
}


def release_of(settings: Settings) -> str:
    """Return the release of the project's code: as `settings` name it, else its git commit."""
    return settings.release or commit_of(settings.root)


def split_list(value: str) -> tuple[str, ...]:
    """Return the items of a comma-separated list.

    Example:
        >>> split_list("a, b,")
        ('a', 'b')
    """
    return tuple(item.strip() for item in value.split(",") if item.strip())
