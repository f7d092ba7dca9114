"""The same project with Django: what `stores.py` says in the environment, in Django's words."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path

_told = tomllib.loads(Path(os.environ["BENCH_PROJECT"]).read_text())
_told.pop("apps")

SECRET_KEY = "a secret of the benchmarks"
USE_TZ = True
INSTALLED_APPS = ["gearfleet.contrib.django", "noop"]
DATABASES = {"default": json.loads(os.environ["BENCH_DATABASE"])}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
GEARFLEET = {key.upper(): value for key, value in _told.items()}
