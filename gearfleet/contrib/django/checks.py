"""System checks: what the settings of the older projects became, and what is wrong with ours."""

from __future__ import annotations

import os
import sys
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.conf import settings as django
from django.core.checks import CheckMessage, Error, Info, Warning

from gearfleet.contrib.django.originals import (
    Reading,
    as_written,
    found_at,
    readings,
    winner,
)
from gearfleet.contrib.django.project import django_settings, table_of
from gearfleet.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Projects whose settings mean something to themselves while they are installed.
_THEIRS = {"Q_": "django_q", "ZTASKD_": "django_ztask"}

#: What Django's commands are started with.
_MANAGERS = ("manage.py", "django-admin", "__main__.py")


def check_settings(**_kwargs: Any) -> list[CheckMessage]:
    """Return what the settings of the older projects became, and why ours cannot be used.

    What is well is told to those who ask: Django checks before nearly every command.
    """
    found = readings(django)
    told = [*_of_originals(found)]
    if not any(each.id == "gearfleet.E202" for each in told):  # which is one of these reasons
        told += _of_ours()
    return told if _is_asked() else [each for each in told if not isinstance(each, Info)]


def _is_asked() -> bool:
    """Whether this is no other command of Django's than ``check``."""
    name, *words = [*sys.argv, ""]
    return PurePath(name).name not in _MANAGERS or words[0] == "check"


def _of_ours() -> Iterator[CheckMessage]:
    try:
        django_settings()
    except ConfigError as error:
        yield Error(
            f"The settings of gearfleet cannot be used: {error}",
            hint="docs/reference/settings.md has all keys.",
            id="gearfleet.E203",
        )


def _of_originals(found: tuple[Reading, ...]) -> Iterator[CheckMessage]:
    try:
        table = table_of(django)
    except ConfigError:  # which is said of ours
        table = {}
    for reading in found:
        if reading.problem:
            yield _wrong(reading)
        elif reading.path:
            yield _of_value(reading, table, found)
        elif reading.means:
            yield _becomes(reading, reading.means)
        elif not _is_theirs(reading):
            yield Warning(
                f"{reading.setting} means nothing to gearfleet: {reading.why_not}.",
                hint="Remove it.",
                id="gearfleet.W201",
            )
    if name := os.environ.get("Q_CLUSTER_NAME"):
        yield Info(
            f"Q_CLUSTER_NAME of the environment means here: qcluster -n {name}.",
            id="gearfleet.I201",
        )


def _wrong(reading: Reading) -> CheckMessage:
    number = "E201" if reading.is_unknown else "E202"
    return Error(f"{reading.problem}.", hint=reading.fix or None, id=f"gearfleet.{number}")


def _becomes(reading: Reading, what: str, hint: str | None = None) -> CheckMessage:
    return Info(f"{reading.setting} means here: {what}.", hint=hint, id="gearfleet.I201")


def _of_value(
    reading: Reading, table: Mapping[str, Any], found: tuple[Reading, ...]
) -> CheckMessage:
    first = winner(reading, table, found)
    if first is reading:
        written = (
            None if callable(reading.value) else f"Or: {as_written(reading.path, reading.value)}"
        )
        return _becomes(reading, f"{reading.key} = {_shown(reading.value)}", written)
    if isinstance(first, Reading):
        other, counts = first.setting, first.value
    else:
        other, counts = f"GEARFLEET's {'.'.join(first)}", found_at(table, first)[1]
    if _plain(counts) == _plain(reading.value):
        return _becomes(reading, f"{reading.key} = {_shown(counts)}, as {other} says too")
    return Warning(
        f"{reading.setting} does not count: {reading.key} is {_shown(counts)}, "
        f"as {other} has it, and not {_shown(reading.value)}.",
        hint=f"Remove {reading.setting}.",
        id="gearfleet.W202",
    )


def _is_theirs(reading: Reading) -> bool:
    return any(
        reading.setting.startswith(prefix) and apps.is_installed(app)
        for prefix, app in _THEIRS.items()
    )


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _shown(value: Any) -> str:
    if callable(value):
        return f"{getattr(value, '__qualname__', None) or 'a function of it'}"
    return repr(value)
