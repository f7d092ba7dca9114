"""Django in the tests' own process, with the app and three databases: for tests of what uses them."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from gearfleet import config
from gearfleet.config import Settings
from tests.support.postgresql import PostgreSQL

#: One with tables in SQLite, one without; the third is PostgreSQL's.
SQLITE, EMPTY, POSTGRESQL = "default", "empty", "postgresql"


@cache
def set_up() -> PostgreSQL:
    """Set Django up, once in a process; return the server of its third database, not started."""
    import django
    from django.conf import settings

    server, folder = PostgreSQL(), Path(tempfile.mkdtemp(prefix="gf-db-"))
    settings.configure(
        SECRET_KEY="of the tests",
        INSTALLED_APPS=["gearfleet.contrib.django"],
        USE_TZ=True,
        DATABASES={
            SQLITE: _sqlite(folder / "results"),
            EMPTY: _sqlite(folder / "empty"),
            POSTGRESQL: server.django,
        },
    )
    with config.using(Settings()):  # other tests have settings of their own
        django.setup()
    return server


def _sqlite(path: Path) -> dict[str, object]:
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": path, "CONN_MAX_AGE": None}


@cache
def migrate(alias: str) -> None:
    """Make the tables of a database, once."""
    from django.core.management import call_command
    from django.db import connections

    call_command("migrate", database=alias, verbosity=0)
    connections[alias].close()


def empty(alias: str) -> None:
    """Delete the rows of the app, and hang up."""
    from django.db import connections

    from gearfleet.contrib.django.models import Occurrence, Part, Record, Schedule

    for model in (Record, Part, Schedule, Occurrence):
        model.objects.using(alias).all().delete()
    connections[alias].close()
