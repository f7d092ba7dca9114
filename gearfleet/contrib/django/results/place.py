"""In which database the results are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import router

from gearfleet.contrib.django.models import Record

if TYPE_CHECKING:
    from gearfleet.config import Settings


def alias_of(settings: Settings) -> str:
    """Return the alias that ``results = "django:ALIAS"`` names, else that of the routers."""
    named, _, alias = settings.results.partition(":")
    return (alias if named == "django" else "") or router.db_for_write(Record)
