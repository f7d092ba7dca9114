"""How many results the store of a project has.

python benchmarks/kept.py
"""

from __future__ import annotations

import json
import os

from gearfleet import config
from gearfleet.results import open_store


def kept() -> int:
    """Return the number of successes."""
    if "DJANGO_SETTINGS_MODULE" in os.environ:
        import django

        django.setup()
    store = open_store(config.current())
    return store.kept().successes if store else 0


if __name__ == "__main__":
    print(json.dumps({"kept": kept()}))
