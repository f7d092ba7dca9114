"""The scheduler: a process that submits jobs at their times until it is told to stop.

It is stopped, renewed and made quiet by the signals of a worker; see
`gearfleet.worker.lifecycle`. What it has in hand is one submit, which takes
`SUBMIT_TIMEOUT` at most, so it drains at once.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gearfleet.client import Client
from gearfleet.errors import EXIT_UNREACHABLE, JobInterrupted, ScheduleStoreUnavailable
from gearfleet.results import open_store
from gearfleet.schedule.clusters import find_task, in_cluster
from gearfleet.schedule.declared import changes, declared
from gearfleet.schedule.firing import FIRST_PAUSE, LONGEST_PAUSE, Firing
from gearfleet.schedule.store import open_schedules
from gearfleet.schedule.syncing import apply
from gearfleet.worker.lifecycle import StopLadder
from gearfleet.worker.rungs import Limits

if TYPE_CHECKING:
    from gearfleet.config import Settings
    from gearfleet.schedule.model import Occurrence
    from gearfleet.tasks import Registry

logger = logging.getLogger(__name__)

#: Seconds that a job server may take to accept a job.
SUBMIT_TIMEOUT = 5.0
#: Seconds between two looks at the store: so late a schedule of this moment may be.
POLL = 1.0
#: Seconds that the clock may differ from what has passed without a word.
_JUMP = 5.0


def limits(startsecs: float) -> Limits:
    """Return how a scheduler stops: well within the 10 seconds that Supervisor waits by default."""
    return Limits(drain_timeout=6.0, interrupt_grace=1.0, hook_timeout=1.0, startsecs=startsecs)


class Scheduler:
    """One of any number of schedulers of a project."""

    def __init__(self, settings: Settings, registry: Registry, *, poll: float = POLL) -> None:
        """Submit the tasks of `registry` to the job servers of `settings`."""
        # A job that cannot be submitted is submitted later, and never run here.
        self._settings = replace(settings, send_failure="raise")
        self._registry = registry
        self._poll = poll
        self._store = open_schedules(settings)
        self._client = Client(self._settings)
        self._woken = threading.Event()
        self._is_synced = False
        self._pause = 0.0
        self._clock_offset = time.time() - time.monotonic()

    def run(self, *, startsecs: float = 2.0, is_once: bool = False) -> int:
        """Submit what is due until a signal comes; return the exit code of the process.

        With `is_once` only what is due now: the exit code tells whether it could be submitted.
        """
        wake = self._woken.set
        with StopLadder(limits(startsecs), drain=wake, quiet=wake, resume=wake) as ladder:
            self._ladder = ladder
            firing = self._firing()
            try:
                code = self._once(firing) if is_once else self._serve(firing)
            except JobInterrupted:
                code = ladder.exit_code
            self._leave(firing)
        return code

    def _firing(self) -> Firing:
        return Firing(
            self._store,
            owner=f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}",
            submit=self._submit,
            was_run=self._was_run,
            clock=time.time,
            goes_on=self._goes_on,
        )

    def _serve(self, firing: Firing) -> int:
        while not self._ladder.reason:
            pause = self._look(firing)
            self._woken.wait(pause)
            self._woken.clear()
        return self._ladder.exit_code

    def _once(self, firing: Firing) -> int:
        self._sync()
        while firing.round():
            pass
        return EXIT_UNREACHABLE if firing.held else 0

    def _look(self, firing: Firing) -> float:
        """Submit what is due; return the seconds until the next look."""
        self._watch_clock()
        if not self._goes_on():
            return self._poll
        try:
            self._sync()
            if firing.round():
                return 0.0
            following = self._store.next_run()
            self._pause = 0.0
        except ScheduleStoreUnavailable as error:
            return self._wait_for_store(error)
        if firing.held or following is None:
            return self._poll if not firing.held else min(self._poll, FIRST_PAUSE)
        return max(0.0, min(self._poll, following.timestamp() - time.time()))

    def _wait_for_store(self, error: ScheduleStoreUnavailable) -> float:
        self._pause = min(LONGEST_PAUSE, self._pause * 2 or FIRST_PAUSE)
        logger.warning(
            "No job is submitted while schedules cannot be read, next attempt in %g s: %s",
            *(self._pause, error),
            extra={"action": "schedule_store_unavailable", "seconds": self._pause},
        )
        return self._pause

    def _goes_on(self) -> bool:
        return not (self._ladder.reason or self._ladder.is_quiet)

    def _sync(self) -> None:
        """Bring the store to what code and settings declare, once."""
        if self._is_synced:
            return
        now = datetime.now(UTC)
        wanted = declared(self._settings, self._registry, now)
        apply(changes(wanted, self._store.all()), self._store)
        self._is_synced = True
        known = self._store.all()
        logger.info(
            "Scheduler ready: %d %s in %s",
            len(known),
            "schedule" if len(known) == 1 else "schedules",
            self._store,
            extra={"action": "scheduler_ready", "schedules": len(known)},
        )

    def _submit(self, occurrence: Occurrence) -> None:
        plan = occurrence.plan
        task = find_task(plan.task, self._registry)
        task = in_cluster(task, plan.cluster, self._registry.tasks, self._settings)
        options = replace(
            task.chosen, **{**plan.options, "id": occurrence.job, "timeout": SUBMIT_TIMEOUT}
        )
        with self._ladder.job():
            self._client.enqueue(task.name, plan.args, plan.kwargs, options)

    def _was_run(self, occurrence: Occurrence) -> bool:
        """Return whether there is a record of the job: then its first submit was heard."""
        results = open_store(self._settings)
        found = results.get(occurrence.job) if results else None
        return found is not None and found.id == occurrence.job

    def _watch_clock(self) -> None:
        offset = time.time() - time.monotonic()
        jump, self._clock_offset = offset - self._clock_offset, offset
        if abs(jump) > _JUMP:
            logger.warning(
                "The clock jumped by %+.0f s; what came due by that is submitted, and nothing twice",
                jump,
                extra={"action": "clock_jumped", "seconds": round(jump)},
            )

    def _leave(self, firing: Firing) -> None:
        held = firing.held
        try:
            firing.release()
        except ScheduleStoreUnavailable as error:
            logger.warning(
                "The claims of this scheduler end by themselves: %s",
                error,
                extra={"action": "schedule_claims_left"},
            )
        self._client.close()
        self._store.close()
        logger.info(
            "Scheduler stopped (%s)%s",
            self._ladder.reason or "done",
            f"; {held} jobs wait for a job server and the next scheduler" if held else "",
            extra={
                "action": "scheduler_stopped",
                "reason": self._ladder.reason,
                "held": held,
                "exit_code": self._ladder.exit_code,
            },
        )
