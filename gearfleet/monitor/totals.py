"""What the records of the results say of the last hour and the last day. Pure, but for `count`.

A store keeps the newest successes only (the setting ``save_limit``), so what it has may not
reach back to the begin of the day. Then a count is the least that it can have been, and
rates are of the time that is covered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gearfleet.results import Counting, Kept, Retention, Tally

#: What is counted, in seconds.
SPANS: Mapping[str, float] = {"hour": 3600.0, "day": 86_400.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """The jobs that ended in some time, of one task or of all.

    Attributes:
        task: its name; empty for all of them.
        successes: jobs whose task returned.
        failures: jobs that failed for good.
        expired: jobs that began too late and were dropped.
        retries: jobs of which an attempt failed, and another comes.
        per_second: jobs that ended each second, those that come again left out.
        mean_seconds: that the task took; None where nothing ended.
        mean_wait: seconds from the submit to the begin; None where none is known.
    """

    task: str
    successes: int
    failures: int
    expired: int
    retries: int
    per_second: float
    mean_seconds: float | None
    mean_wait: float | None

    @property
    def ended(self) -> int:
        """How many jobs will not come again."""
        return self.successes + self.failures + self.expired


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What ended in the last hour, or day.

    Attributes:
        name: of the span.
        seconds: that it has.
        covers: seconds of it that the kept successes reach back; `seconds` if they all do.
        all: tasks together.
        tasks: one by one, by their names.
    """

    name: str
    seconds: float
    covers: float
    all: Totals
    tasks: tuple[Totals, ...]

    @property
    def is_complete(self) -> bool:
        """Whether no success of this time has been dropped."""
        return self.covers >= self.seconds


def count(store: Counting, retention: Retention, now: float) -> tuple[Span, ...]:
    """Return what `store` has of each of `SPANS` before `now`."""
    kept = store.kept()
    return tuple(
        span(name, store.tally(now - seconds), kept, retention, now=now)
        for name, seconds in SPANS.items()
    )


def span(
    name: str, tallies: Sequence[Tally], kept: Kept, retention: Retention, *, now: float
) -> Span:
    """Return what `tallies`, of the one of `SPANS` that ends `now`, come to."""
    seconds = SPANS[name]
    # With limits of their own, nobody knows which group, name or function has dropped some.
    limit = 0 if retention.save_limit_per else retention.save_limit
    covers = _covered(seconds, kept.successes, kept.first_success, limit, now)
    others = _covered(seconds, kept.others, kept.first_other, retention.failure_limit, now)
    tasks = sorted({each.task for each in tallies})
    return Span(
        name=name,
        seconds=seconds,
        covers=covers,
        all=_totals("", tallies, covers, others),
        tasks=tuple(
            _totals(task, [each for each in tallies if each.task == task], covers, others)
            for task in tasks
        ),
    )


def _covered(seconds: float, count: int, first: float, limit: int, now: float) -> float:
    """Return for how many of the `seconds` before `now` nothing has been dropped."""
    if limit <= 0 or count < limit:
        return seconds
    return min(seconds, max(now - first, 0.0))


def _totals(task: str, tallies: Iterable[Tally], covers: float, others: float) -> Totals:
    found = list(tallies)
    counts = {
        state: sum(each.jobs for each in found if each.state == state)
        for state in ("success", "failure", "expired", "retry")
    }
    lost = counts["failure"] + counts["expired"]
    begun = sum(each.begun for each in found)
    return Totals(
        task=task,
        successes=counts["success"],
        failures=counts["failure"],
        expired=counts["expired"],
        retries=counts["retry"],
        per_second=_ratio(counts["success"], covers) + _ratio(lost, others),
        mean_seconds=_mean(sum(each.seconds for each in found), sum(e.jobs for e in found)),
        mean_wait=_mean(sum(each.waited for each in found), begun),
    )


def _ratio(count: int, seconds: float) -> float:
    return count / seconds if seconds > 0 else 0.0


def _mean(total: float, count: int) -> float | None:
    return max(0.0, total / count) if count else None
