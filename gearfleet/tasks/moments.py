"""Times as callers give them: seconds or a timedelta for "how long", an aware datetime for "when"."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any


def seconds_of(value: float | timedelta, name: str) -> float:
    """Return how many seconds `value` means; `name` is what the caller calls it.

    Raises:
        TypeError: it is neither a number nor a timedelta.
        ValueError: it is negative or not finite.
    """
    given: Any = value  # whatever a caller without a type checker gives
    if isinstance(given, timedelta):
        given = given.total_seconds()
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise TypeError(f"{name} must be a number of seconds or a timedelta; it is {value!r}")
    if not math.isfinite(given) or given < 0:
        raise ValueError(f"{name} must be 0 seconds or more; it is {value!r}")
    return float(given)


def epoch_of(value: datetime, name: str) -> float:
    """Return the moment `value` in seconds since the epoch.

    Raises:
        TypeError: it is no datetime.
        ValueError: it has no time zone.
    """
    given: Any = value
    if not isinstance(given, datetime):
        raise TypeError(f"{name} must be an aware datetime; it is {value!r}")
    if given.utcoffset() is None:
        raise ValueError(
            f"{name} must be an aware datetime; {value!r} has no time zone. "
            "Use datetime.now(timezone.utc) + timedelta(...)"
        )
    return given.timestamp()
