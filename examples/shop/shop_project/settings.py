"""Settings of the shop: SQLite, e-mails as files, and a fleet of seven workers."""

import os
from pathlib import Path

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

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": SHOP_DATA / "shop.sqlite3",
        "OPTIONS": {"timeout": 20},
    }
}

EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
EMAIL_FILE_PATH = SHOP_DATA / "mail"
DEFAULT_FROM_EMAIL = "Photo Shop <orders@shop.example>"

GEARFLEET = {
    "SERVERS": ["127.0.0.1:4730"],
    "FLEET": {"processes": 2, "environment": {"SHOP_DATA": str(SHOP_DATA)}},
    "QUEUES": {"bar": {"drain_timeout": 30}},
    "PROGRAMS": {"worker_bar": {"processes": 3}},
}
