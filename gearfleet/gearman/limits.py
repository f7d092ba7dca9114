"""Time limits have two names: python-gearman's README says `timeout`, its code `poll_timeout`."""

from __future__ import annotations


def either(poll_timeout: float | None, timeout: float | None) -> float | None:
    """Return the time limit that was given by one of its names, None if it was by neither.

    Raises:
        TypeError: by both.
    """
    if timeout is None:
        return poll_timeout
    if poll_timeout is not None:
        raise TypeError("timeout is another name for poll_timeout; give only one of them")
    return timeout
