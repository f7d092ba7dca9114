"""Both Django's settings and what is submitted."""

import os
import sys

from tools import REDIS

SECRET_KEY = "of the benchmarks"
INSTALLED_APPS = ["django_q"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
USE_TZ = True
#: Nothing is kept, so nothing needs the database.
Q_CLUSTER = {
    "name": "bench",
    "redis": REDIS,
    "workers": 1,
    "save_limit": -1,
    "scheduler": False,
    "log_level": "ERROR",
}


def submit(text):
    from django_q.tasks import async_task

    async_task("ticks.tick", text)


if "django" not in sys.modules:  # the driver
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = __name__
    django.setup()
