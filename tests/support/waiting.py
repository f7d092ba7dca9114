"""Wait for a condition, with a deadline; never sleep and hope."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

#: Generous, because CI has two cores; a passing test never waits for it.
DEADLINE = 60.0


def wait_for(
    condition: Callable[[], T], what: str, *, timeout: float = DEADLINE, interval: float = 0.02
) -> T:
    """Return the first true value of `condition`; fail naming `what` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        if value := condition():
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"Waited {timeout:g} s for {what}")
        time.sleep(interval)
