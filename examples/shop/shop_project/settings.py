"""Settings of the shop: SQLite, e-mails as files, and a fleet of seven workers and a scheduler."""

import os
from pathlib import Path

import django

BASE_DIR = Path(__file__).resolve().parents[1]

#: Everything that the shop writes goes here.
SHOP_DATA = Path(os.environ.get("SHOP_DATA", BASE_DIR / "data")).absolute()

SECRET_KEY = "an example has no secrets"
DEBUG = False
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "gearfleet.contrib.django",
    "shop",
    "post",
]
if django.VERSION < (6, 0):  # the framework of tasks is a package: pip install 'gearfleet[tasks]'
    INSTALLED_APPS.append("django_tasks")

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": SHOP_DATA / "shop.sqlite3",
        # Many workers write, and readers do not wait for them.
        "OPTIONS": {
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
    }
}

EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
EMAIL_FILE_PATH = SHOP_DATA / "mail"
DEFAULT_FROM_EMAIL = "Photo Shop <orders@shop.example>"

GEARFLEET = {
    "SERVERS": ["127.0.0.1:4730"],
    "RESULTS": "django",
    "SAVE_LIMIT": 0,  # all of them
    "FLEET": {"environment": {"SHOP_DATA": str(SHOP_DATA)}},
    # A worker that imports Django is up in less than a second.
    "QUEUES": {"bar": {"processes": 2, "drain_timeout": 30, "startsecs": 1}},
    "PROGRAMS": {"worker_bar": {"processes": 3}},
}

TASKS = {
    "default": {
        "BACKEND": "gearfleet.contrib.django.backend.GearmanBackend",
        "QUEUES": ["foo"],
    }
}
