"""Whether, and when, a failed background job is tried again.

    @task(retries=5, backoff=Backoff.exponential(2, cap=600), no_retry_for=NotFound)

Attempt 1 is the job itself, so `retries=5` makes six attempts at most.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from gearfleet.errors import JobExpired, PayloadError, Retry
from gearfleet.tasks.moments import seconds_of

if TYPE_CHECKING:
    from gearfleet.tasks.options import TaskOptions

#: No delay is longer, whatever the formula: a week.
LONGEST = 7 * 24 * 3600.0


class Backoff(NamedTuple):
    """How long to wait before the next attempt.

    Attributes:
        first: seconds before the second attempt.
        growth: what `seconds` makes of `first` for later ones: ``fixed``, ``linear``
            (first, twice, three times as long) or ``exponential`` (doubling).
        cap: the longest delay in seconds.
        jitter: draw each delay between 0 and what the rule says, so that jobs which failed
            together do not come back together.
    """

    first: float
    growth: str = "fixed"
    cap: float = LONGEST
    jitter: bool = False

    @classmethod
    def fixed(cls, seconds: float | timedelta, *, jitter: bool = False) -> Backoff:
        """Return the rule that waits equally long before each attempt."""
        return cls(seconds_of(seconds, "backoff"), "fixed", LONGEST, jitter)

    @classmethod
    def linear(
        cls, seconds: float | timedelta, *, cap: float | timedelta = LONGEST, jitter: bool = True
    ) -> Backoff:
        """Return the rule that waits `seconds` longer before each attempt."""
        return cls(seconds_of(seconds, "backoff"), "linear", seconds_of(cap, "cap"), jitter)

    @classmethod
    def exponential(
        cls, seconds: float | timedelta, *, cap: float | timedelta = 3600.0, jitter: bool = True
    ) -> Backoff:
        """Return the rule that waits twice as long before each attempt as before the last."""
        return cls(seconds_of(seconds, "backoff"), "exponential", seconds_of(cap, "cap"), jitter)

    def seconds(
        self, attempt: int, draw: Callable[[float, float], float] = random.uniform
    ) -> float:
        """Return how long to wait after attempt number `attempt` has failed."""
        factor = {"fixed": 1.0, "linear": float(attempt)}.get(self.growth)
        if factor is None:
            factor = 2.0 ** min(attempt - 1, 64)
        longest = min(self.first * factor, self.cap, LONGEST)
        return draw(0.0, longest) if self.jitter else longest


#: What `@task(backoff=...)` takes: seconds, a rule, or a function of the number of the failed attempt.
BackoffLike: TypeAlias = float | timedelta | Backoff | Callable[[int], float]


def backoff_problem(value: Any) -> str | None:
    """Return what is wrong with a `backoff`, or None."""
    if value is None or isinstance(value, Backoff) or callable(value):
        return None
    try:
        seconds_of(value, "it")
    except (TypeError, ValueError):
        return (
            "it must be seconds, a timedelta, a Backoff (Backoff.exponential(2)), or a function "
            "that takes the number of the failed attempt and returns seconds"
        )
    return None


class RetryPolicy(NamedTuple):
    """What a task, or the settings, say of its further attempts."""

    retries: int = 0
    backoff: BackoffLike = 5.0
    retry_for: type[BaseException] | tuple[type[BaseException], ...] = (Exception,)
    no_retry_for: type[BaseException] | tuple[type[BaseException], ...] = ()

    @classmethod
    def of(cls, declared: TaskOptions, *, retries: int, retry_after: float) -> RetryPolicy:
        """Return the policy of a task; the settings' `retries` and `retry_after` are its defaults."""
        return cls(
            retries=retries if declared.retries is None else declared.retries,
            backoff=retry_after if declared.backoff is None else declared.backoff,
            retry_for=declared.retry_for,
            no_retry_for=declared.no_retry_for,
        )

    def delay_after(self, attempt: int, error: BaseException) -> float | None:
        """Return the seconds before the next attempt, None if there is none.

        `Retry` asks for one whatever `retry_for` says; it counts like any other.
        """
        if attempt > self.retries or not self._is_worth_it(error):
            return None
        if isinstance(error, Retry) and error.after is not None:
            return min(error.after, LONGEST)
        return self._seconds(attempt)

    def _is_worth_it(self, error: BaseException) -> bool:
        if isinstance(error, Retry):
            return True
        if isinstance(error, JobExpired | PayloadError):
            return False  # it would be the same again
        return isinstance(error, self.retry_for) and not isinstance(error, self.no_retry_for)

    def _seconds(self, attempt: int) -> float:
        rule = self.backoff
        if isinstance(rule, Backoff):
            return rule.seconds(attempt)
        wanted = rule(attempt) if callable(rule) else rule
        return min(seconds_of(wanted, "backoff"), LONGEST)
