"""The same by django-gearman's name."""

from shop.management.commands.gearman_client_example import Command

__all__ = ["Command"]
