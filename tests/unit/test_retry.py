"""How often, after which errors and after how long a failed job is tried again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from gearfleet import Backoff, Retry
from gearfleet.errors import JobExpired, PayloadDecodeError
from gearfleet.tasks.options import TaskOptions
from gearfleet.tasks.retry import LONGEST, RetryPolicy


def policy(*, default: int = 0, after: float = 5.0, **options: Any) -> RetryPolicy:
    return RetryPolicy.of(TaskOptions(**options), retries=default, retry_after=after)


def test_attempts__one_and_as_many_again_as_declared() -> None:
    twice = policy(retries=2, backoff=3)
    delays = [twice.delay_after(attempt, ValueError()) for attempt in (1, 2, 3, 4)]
    assert delays == [3.0, 3.0, None, None]


def test_settings__count_where_the_task_does_not_say() -> None:
    assert policy(default=1, after=7).delay_after(1, ValueError()) == 7
    assert policy(default=1, after=7, retries=0).delay_after(1, ValueError()) is None
    assert policy(retries=1, backoff=timedelta(minutes=1)).delay_after(1, ValueError()) == 60
    assert policy().delay_after(1, ValueError()) is None


@pytest.mark.parametrize(
    ("error", "is_tried_again"),
    [
        (OSError(), True),
        (ConnectionError(), True),
        (FileNotFoundError(), False),
        (ValueError(), False),
        (SystemExit(), False),
        (JobExpired(), False),
        (PayloadDecodeError(), False),
        (Retry(), True),
    ],
)
def test_errors__that_are_worth_another_attempt(error: BaseException, is_tried_again: bool) -> None:
    chosen = policy(retries=1, retry_for=OSError, no_retry_for=(FileNotFoundError,))
    assert (chosen.delay_after(1, error) is not None) is is_tried_again


def test_retry__says_when() -> None:
    assert policy(retries=1, backoff=5).delay_after(1, Retry(after=30)) == 30
    assert policy(retries=1, backoff=5).delay_after(1, Retry("not yet")) == 5
    assert policy(retries=1).delay_after(2, Retry(after=30)) is None
    with pytest.raises(ValueError, match="after must be 0 seconds or more"):
        Retry(after=-1)


def longest(_least: float, most: float) -> float:
    return most


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Backoff.fixed(5), [5, 5, 5, 5]),
        (Backoff.linear(5), [5, 10, 15, 20]),
        (Backoff.exponential(5), [5, 10, 20, 40]),
        (Backoff.exponential(5, cap=timedelta(seconds=12)), [5, 10, 12, 12]),
    ],
)
def test_backoff__grows(rule: Backoff, expected: list[float]) -> None:
    assert [rule.seconds(attempt, longest) for attempt in (1, 2, 3, 4)] == expected


def test_backoff__of_many_attempts_is_no_longer_than_a_week() -> None:
    assert Backoff.linear(3600).seconds(100_000, longest) == LONGEST
    assert Backoff.exponential(1, cap=float(LONGEST)).seconds(100_000, longest) == LONGEST


def test_backoff__is_spread_between_nothing_and_the_rule() -> None:
    drawn = {Backoff.exponential(8).seconds(2) for _ in range(200)}
    assert len(drawn) > 100
    assert 0 <= min(drawn) < 4 < 12 < max(drawn) <= 16
    assert {Backoff.exponential(8, jitter=False).seconds(2) for _ in range(9)} == {16}


def test_backoff__of_a_function() -> None:
    assert policy(retries=9, backoff=lambda attempt: attempt * 10).delay_after(3, OSError()) == 30


@pytest.mark.parametrize("value", ["soon", -1, float("nan"), [1, 2], True])
def test_backoff__that_is_none_is_a_problem_of_the_declaration(value: Any) -> None:
    problem = TaskOptions(backoff=value).problem()
    assert problem is not None
    assert problem.startswith(f"backoff {value!r}: it must be seconds, a timedelta, a Backoff")
