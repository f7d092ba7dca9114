"""Whether the tables are those of this gearfleet."""

from __future__ import annotations

from pkgutil import iter_modules

from django.db import connections
from django.db.migrations.recorder import MigrationRecorder

from gearfleet.contrib.django import migrations


def missing_migrations(alias: str) -> list[str]:
    """Return the names of our migrations that are not applied to a database, in order."""
    applied = MigrationRecorder(connections[alias]).applied_migrations()
    names = sorted(module.name for module in iter_modules(migrations.__path__))
    return [name for name in names if ("gearfleet", name) not in applied]
