"""gearfleet in a Django project: add ``"gearfleet.contrib.django"`` to INSTALLED_APPS."""

from gearfleet.contrib.django.transactions import delay_on_commit, submit_on_commit

__all__ = ["delay_on_commit", "submit_on_commit"]
