"""`GearmanBackend`: Django's tasks, run by the fleet.

    TASKS = {"default": {"BACKEND": "gearfleet.contrib.django.backend.GearmanBackend"}}

A task that is declared with Django's ``@task`` is adopted: it becomes one of gearfleet's
under its dotted path, so it is planned, rendered and served as the others are. Signing,
attempts and delivery are gearfleet's; results come from its store.
"""

from gearfleet.contrib.django.backend.gearman import GearmanBackend

__all__ = ["GearmanBackend"]
