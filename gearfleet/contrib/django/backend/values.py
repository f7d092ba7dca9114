"""Values as Django's tasks have them: of plain JSON, and moments in the project's way."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.utils import timezone

from gearfleet.contrib.django.backend.api import normalize_json


def plain(value: Any) -> Any:
    """Return `value` as it comes back from JSON, or raise why it does not.

    Django's own look leaves what JSON writes as another type: members of an enumeration,
    keys that are numbers.

    Raises:
        TypeError: it holds what JSON does not have.
        ValueError: it holds bytes that are no text, or a number that JSON does not have.
    """
    return json.loads(json.dumps(normalize_json(value), allow_nan=False))


def aware(when: datetime) -> datetime:
    """Return a moment with its time zone, which is the project's where it has none."""
    return when if timezone.is_aware(when) else timezone.make_aware(when)


def moment(seconds: Any) -> datetime | None:
    """Return seconds since the epoch as Django has moments in this project; None for 0 and for no number."""
    if type(seconds) not in (int, float) or seconds <= 0:
        return None
    try:
        found = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return found if settings.USE_TZ else timezone.make_naive(found)
