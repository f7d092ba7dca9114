"""Results in the database of a Django project: the setting ``results = "django"``.

``"django"`` is the database that the project's routers choose, ``"django:ALIAS"``
another one of its DATABASES.
"""

from gearfleet.contrib.django.results.store import DjangoStore

__all__ = ["DjangoStore"]
