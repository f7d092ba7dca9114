"""Fixtures of the integration tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gearfleet import config
from gearfleet.config import Settings
from tests.support import django_databases
from tests.support.django_databases import POSTGRESQL, SQLITE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.postgresql import PostgreSQL


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """The server of Django's third database, running."""
    server = django_databases.set_up().start()
    yield server
    server.close()


@pytest.fixture(params=[SQLITE, POSTGRESQL])
def alias(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each of two databases of Django in turn, without rows."""
    django_databases.set_up()
    if request.param == POSTGRESQL:
        request.getfixturevalue("postgresql")
    django_databases.migrate(request.param)
    with config.using(Settings()):
        yield request.param
    django_databases.empty(request.param)
