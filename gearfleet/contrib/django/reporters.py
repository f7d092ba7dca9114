"""The error reporters of Django Q: classes with a method `report`, which packages bring.

    Q_CLUSTER = {"error_reporter": {"rollbar": {"access_token": "..."}}}

Each key is the name of an entry point of the group ``djangoq.errorreporters``, whose class is
called with the options below it. When a job has failed for good, `report` is called, as Django Q
does it: without arguments, and ``sys.exc_info()`` is the error.

A package made for gearfleet brings an `on_failure` hook instead, as an entry point of the group
``gearfleet.error_reporters``; see docs/how-to/hooks.md.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from gearfleet.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

GROUP = "djangoq.errorreporters"


def _reporters(chosen: Mapping[str, Mapping[str, Any]]) -> Iterator[Any]:
    known = {entry.name: entry for entry in entry_points(group=GROUP)}
    for name, options in chosen.items():
        if name not in known:
            raise ImproperlyConfigured(
                f"Q_CLUSTER['error_reporter'] names '{name}', and no installed package has it as "
                f"an entry point of '{GROUP}' {did_you_mean(name, known)}"
            )
        yield known[name].load()(**options)


# Made when a worker begins, so that what is wrong is said before a job fails.
_chosen = tuple(_reporters(getattr(settings, "Q_CLUSTER", {}).get("error_reporter") or {}))


def report() -> None:
    """Call every reporter; the error is being handled."""
    for reporter in _chosen:
        reporter.report()
