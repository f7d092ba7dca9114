"""The app: it makes Django's settings those of gearfleet, in every process of the project."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import django
from django.apps import AppConfig
from django.core.checks import register
from django.core.signals import setting_changed

from gearfleet import config
from gearfleet.contrib.django.checks import check_settings
from gearfleet.contrib.django.project import SETTINGS, django_settings


class GearfleetConfig(AppConfig):
    """Tasks of this project are submitted to the job servers of its settings."""

    default = True
    name = "gearfleet.contrib.django"
    label = "gearfleet"
    verbose_name = "gearfleet"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Read the settings when they are first needed, and again when a test changes them."""
        config.use(django_settings)
        setting_changed.connect(_forget, dispatch_uid="gearfleet")
        register(check_settings, "gearfleet")
        import_module("gearfleet.contrib.django.signals")  # it listens to what is submitted
        if django.VERSION >= (6, 0):
            # Until somebody imports it, Django does not ask the backends of TASKS what is wrong.
            import_module("django.tasks")


def _forget(*, setting: str, **_signal: Any) -> None:
    if setting in SETTINGS:
        config.use(django_settings)
