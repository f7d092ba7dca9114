"""Schedules in a database of the Django project: its tables, and the store over them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gearfleet.config import Settings
    from gearfleet.schedule import ScheduleStore


def open_store(_settings: Settings) -> ScheduleStore:
    """Return the store; the app's models are only imported now."""
    from gearfleet.contrib.django.schedules.store import DjangoScheduleStore

    return DjangoScheduleStore()
