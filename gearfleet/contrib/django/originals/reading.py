"""`Reading`: what one setting of an older project becomes here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from gearfleet.config.values import BadValue
from gearfleet.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

#: The path of a key of ours, such as ("queues", "mail", "processes").
Path = tuple[str, ...]


class Reading(NamedTuple):
    """One setting of an older project, and what it says here.

    Attributes:
        setting: as its user wrote it, such as ``Q_CLUSTER['workers']``.
        path: of the key that it gives a value to; empty for none.
        value: that it gives.
        means: what it does where that is no value of a key.
        why_not: why it does nothing.
        problem: what is wrong with it.
        fix: what to write instead.
        is_unknown: whether nobody knows such a setting, which stops nothing.
    """

    setting: str
    path: Path = ()
    value: Any = None
    means: str = ""
    why_not: str = ""
    problem: str = ""
    fix: str = ""
    is_unknown: bool = False

    @property
    def key(self) -> str:
        """The path as it is written in a settings file."""
        return ".".join(self.path)

    def refuse(self) -> None:
        """Raise `ConfigError` if the setting is wrong, and should say something."""
        if self.problem and not self.is_unknown:
            raise ConfigError(f"Django settings: {self.problem}")


def mapped(
    setting: str,
    given: object,
    path: Path,
    check: Callable[[object], Any],
    change: Callable[[Any], Any] = lambda value: value,
) -> Reading:
    """Return the reading of a setting that is a key of ours; `check` knows what it may be."""
    try:
        return Reading(setting=setting, path=path, value=change(check(given)))
    except BadValue as expected:
        return Reading(
            setting=setting,
            path=path,
            problem=f"{setting}, here {'.'.join(path)}, must be {expected}; it is {given!r}",
            fix=f"Correct it, or write {as_written(path, '...')} instead.",
        )


def as_written(path: Path, value: object) -> str:
    """Return how GEARFLEET says the same.

    Example:
        >>> as_written(("fleet", "processes"), 2)
        "GEARFLEET = {'FLEET': {'processes': 2}}"
    """
    first, *others = path
    shown = "..." if value == "..." else repr(value)
    for part in reversed([first.upper(), *others]):
        shown = f"{{{part!r}: {shown}}}"
    return f"GEARFLEET = {shown}"


def found_at(table: Mapping[str, Any], path: Path) -> tuple[bool, Any]:
    """Return whether `table` has a key, and its value."""
    found: Any = table
    for part in path:
        if not (isinstance(found, Mapping) and part in found):
            return False, None
        found = found[part]
    return True, found
