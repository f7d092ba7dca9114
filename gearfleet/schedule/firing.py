"""From due schedules to jobs: claim each occurrence in the store, then submit it.

    1. The schedule is moved on and the occurrence kept as claimed, in one
       transaction that compares the schedule with what was read: one scheduler of
       many succeeds, and an occurrence is claimed once for ever.
    2. Its job is submitted, under an id that follows from the schedule and the moment.
    3. The occurrence is kept as submitted.

A scheduler that dies between 1 and 2 leaves a claim without a job: when the lease is
over, the next one submits it. Between 2 and 3 it leaves a job that nobody knows of: the
next one finds its record in the result store, or the job server finds it pending or
running, by its unique; only a job that has ended without a record runs twice.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gearfleet.errors import (
    ConnectionError,
    GearfleetError,
    JobTimeout,
    ResultStoreUnavailable,
    ServerError,
    ServerUnavailable,
)
from gearfleet.schedule.model import occurrence, step

if TYPE_CHECKING:
    from collections.abc import Callable

    from gearfleet.schedule.model import Occurrence, Schedule, Step
    from gearfleet.schedule.store import ScheduleStore

logger = logging.getLogger(__name__)

#: Seconds after which another scheduler submits what one has claimed: longer than a submit takes.
LEASE = 30.0
#: Seconds between attempts to reach a job server that is down: the first and the longest.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0
#: How late a job may be without a word.
PUNCTUAL = 60.0
#: Occurrences that are caught up in a row, until the process looks at everything else.
BURST = 50

#: What is worth another attempt: it is not the job's fault.
PASSING = (ServerUnavailable, ConnectionError, JobTimeout, ServerError, ResultStoreUnavailable)


class Firing:
    """Submits what is due, as one of any number of schedulers with one store."""

    def __init__(
        self,
        store: ScheduleStore,
        *,
        owner: str,
        submit: Callable[[Occurrence], None],
        was_run: Callable[[Occurrence], bool],
        clock: Callable[[], float],
        goes_on: Callable[[], bool] = lambda: True,
    ) -> None:
        """Submit by `submit`, which raises one of `PASSING` where another attempt is worth it.

        Args:
            store: of schedules and claims.
            owner: a name that no other scheduler has.
            submit: submits the job of an occurrence.
            was_run: whether there is a record of its job.
            clock: the time of day, in seconds since the epoch.
            goes_on: is asked between any two jobs.
        """
        self._store = store
        self._owner = owner
        self._submit = submit
        self._was_run = was_run
        self._clock = clock
        self._goes_on = goes_on
        #: Claimed by us and not submitted, because no job server could be reached.
        self._held: list[Occurrence] = []
        self._pause = 0.0
        self._tries_at = 0.0

    @property
    def held(self) -> int:
        """How many claimed occurrences wait for a job server."""
        return len(self._held)

    def round(self) -> int:
        """Submit what is due, as far as job servers take it; return how many jobs were submitted.

        Raises:
            ScheduleStoreUnavailable: the store cannot be used.
        """
        if not self._extend_held():
            return 0
        held, self._held = self._held, []
        count = 0
        for each in (*held, *self._taken_over()):
            count += self._fire(each, again=True)
        return count if self._held else count + self._fire_due()

    def release(self) -> None:
        """Let another scheduler submit at once what this one has claimed and not submitted."""
        for each in self._held:
            self._store.extend(each, 0.0)
        self._held = []

    def _extend_held(self) -> bool:
        """Keep what is held, and return whether it is time for another attempt."""
        now = self._clock()
        if self._held:
            self._held = [each for each in self._held if self._store.extend(each, now + LEASE)]
        # A clock that was put back must not make us wait.
        return not self._held or not (now < self._tries_at <= now + LONGEST_PAUSE)

    def _taken_over(self) -> list[Occurrence]:
        now = self._clock()
        found = self._store.take_over(self._owner, now, now + LEASE)
        for each in found:
            logger.warning(
                "Schedule '%s': the job for %s was claimed by a scheduler that did not submit it",
                *(each.name, _shown(each.intended)),
                extra={"action": "schedule_taken_over", "schedule": each.name, "job_id": each.job},
            )
        return found

    def _fire_due(self) -> int:
        count = 0
        for schedule in self._store.due(self._now()):
            current = schedule
            while count < BURST and not self._held and self._goes_on():
                following = self._claim(current)
                if following is None:
                    break
                current, claimed = following
                count += self._fire(claimed)
        return count

    def _claim(self, schedule: Schedule) -> tuple[Schedule, Occurrence] | None:
        """Claim the next occurrence; None if none is due, or another scheduler is at it."""
        now = self._clock()
        taken = step(schedule, datetime.fromtimestamp(now, UTC))
        if taken is None:
            return None
        claimed = occurrence(schedule, taken.intended, self._owner, now + LEASE)
        if not self._store.claim(schedule, taken, claimed):
            return None
        _tell(schedule, taken, now)
        moved = replace(schedule, start=taken.start, next_run=taken.next_run, repeats=taken.repeats)
        return moved, claimed

    def _fire(self, claimed: Occurrence, *, again: bool = False) -> int:
        """Submit one job; return how many were submitted. What passes is tried again later."""
        if self._held or not self._goes_on():
            self._held.append(claimed)  # in their order
            return 0
        # Those before it in a row may have taken longer than its lease.
        if again and not self._store.extend(claimed, self._clock() + LEASE):
            return 0
        try:
            if not (again and self._was_run(claimed)):
                self._submit(claimed)
        except PASSING as error:
            self._hold(claimed, error)
            return 0
        except Exception as error:  # whatever it is, other schedules go on
            self._give_up(claimed, error)
            return 0
        except BaseException:
            self._held.append(claimed)  # to be released
            raise
        self._pause = 0.0
        self._store.settle(claimed)
        logger.info(
            "Schedule '%s': submitted job %s of %s for %s",
            *(claimed.name, claimed.job, claimed.plan.task, _shown(claimed.intended)),
            extra={
                "action": "schedule_submitted",
                "schedule": claimed.name,
                "job_id": claimed.job,
                "task": claimed.plan.task,
                "intended": claimed.intended.isoformat(),
            },
        )
        return 1

    def _hold(self, claimed: Occurrence, error: Exception) -> None:
        self._pause = min(LONGEST_PAUSE, self._pause * 2 or FIRST_PAUSE)
        self._tries_at = self._clock() + self._pause
        self._held.append(claimed)
        logger.warning(
            "Schedule '%s': the job for %s is not submitted yet, next attempt in %g s: %s",
            *(claimed.name, _shown(claimed.intended), self._pause, error),
            extra={
                "action": "schedule_held",
                "schedule": claimed.name,
                "job_id": claimed.job,
                "seconds": self._pause,
            },
        )

    def _give_up(self, claimed: Occurrence, error: Exception) -> None:
        self._store.settle(claimed, f"{type(error).__name__}: {error}")
        logger.error(
            "Schedule '%s': the job for %s cannot be submitted: %s",
            *(claimed.name, _shown(claimed.intended), error),
            exc_info=None if isinstance(error, GearfleetError) else error,
            extra={"action": "schedule_failed", "schedule": claimed.name, "job_id": claimed.job},
        )

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


def _tell(schedule: Schedule, taken: Step, now: float) -> None:
    """Report occurrences that are left out, and a job that is late."""
    extra = {"schedule": schedule.name, "intended": taken.intended.isoformat()}
    if taken.missed_from and taken.missed_until:
        logger.warning(
            "Schedule '%s' missed %d %s from %s on, which are not submitted (catch_up is off); "
            "the latest, for %s, is",
            schedule.name,
            taken.missed,
            "occurrence" if taken.missed == 1 else "occurrences",
            _shown(taken.missed_from),
            _shown(taken.intended),
            extra={"action": "schedule_missed", "missed": taken.missed, **extra},
        )
    late = now - taken.intended.timestamp()
    if late > PUNCTUAL:
        logger.warning(
            "Schedule '%s': the job for %s is %d s late",
            *(schedule.name, _shown(taken.intended), late),
            extra={"action": "schedule_late", "seconds": round(late), **extra},
        )


def _shown(moment: datetime) -> str:
    return moment.isoformat(sep=" ", timespec="seconds")
