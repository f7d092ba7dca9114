"""`Settler`: what follows the outcome of a job, before its final packet is sent.

A job that failed is tried again, if its task has it so; of every other one the record is
kept, and what follows it is started (`aftermath`).
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from gearfleet.errors import LocalProtocolError, PayloadEncodeError
from gearfleet.gearman.jobs import printable
from gearfleet.tasks.current import unheard
from gearfleet.worker import hooks
from gearfleet.worker.aftermath import conclude
from gearfleet.worker.job import Completed, Failed, server_of
from gearfleet.worker.successes import follower

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gearfleet.worker.aftermath import Aftermath
    from gearfleet.worker.job import Assignment, Job, Outcome
    from gearfleet.worker.reading import Reader
    from gearfleet.worker.retrying import Retries

logger = logging.getLogger(__name__)


class Settler:
    """Settles the jobs of one worker."""

    def __init__(
        self,
        reader: Reader,
        *,
        hooks: Sequence[hooks.Hook] = (),
        aftermath: Aftermath | None,
        retries: Retries | None,
    ) -> None:
        """Keep records with `aftermath`, submit further attempts with `retries`: None for neither.

        `hooks` are told of each job that failed for good.
        """
        self._reader = reader
        self._hooks = hooks
        self._aftermath = aftermath
        self._retries = retries
        self._follow = {
            function: follower(station.task, aftermath)
            for function, station in reader.stations.items()
        }

    def begin(self, assignment: Assignment, job: Job) -> None:
        """Keep that a job has begun, if its task wants that."""
        if job.task.begins(job) and self._aftermath is not None:
            self._aftermath.begin(job, server_of(assignment))

    def settle(self, assignment: Assignment, job: Job, outcome: Outcome, started: float) -> None:
        """Do what follows a job that began at `started`.

        Raises:
            GearfleetError: what became of the job could not be kept, or its next
                attempt, or what follows it, not be submitted; it has to run again.
        """
        if isinstance(outcome, Completed):
            self._follow[job.function](job, outcome, started, assignment)
            return
        with unheard(job, assignment):  # so that the log says of which job it speaks
            if self._is_tried_again(job, outcome, started, assignment):
                return
            self._tell_failure(assignment, job, outcome)
        job, has_arguments = self._as_it_came(job, assignment)
        self._conclude(assignment, job, outcome, started, has_arguments=has_arguments)

    def give_up(
        self, assignment: Assignment, job: Job, outcome: Failed, *, has_arguments: bool
    ) -> None:
        """Do what follows a job that was not run and is not tried again; raises as `settle`."""
        self._tell_failure(assignment, job, outcome)
        self._conclude(assignment, job, outcome, time.time(), has_arguments=has_arguments)

    def _conclude(
        self,
        assignment: Assignment,
        job: Job,
        outcome: Outcome,
        started: float,
        *,
        has_arguments: bool,
    ) -> None:
        if self._aftermath is not None:
            server = server_of(assignment)
            conclude(self._aftermath, job, outcome, started, server, has_arguments=has_arguments)

    def _tell_failure(self, assignment: Assignment, job: Job, outcome: Failed) -> None:
        """Log that a job failed for good, and tell the hooks, as if they had caught its error."""
        _log_failure(assignment, outcome)
        if not self._hooks:
            return
        trace = outcome.error.__traceback__
        try:
            raise outcome.error
        except BaseException:
            outcome.error.__traceback__ = trace  # without this frame
            hooks.run(self._hooks, job, outcome)

    def _as_it_came(self, job: Job, assignment: Assignment) -> tuple[Job, bool]:
        """Return the job with its caller's arguments, and whether there are any that can be read.

        Who submits it again wants these, whatever the task did to them.
        """
        try:
            return self._reader.read(assignment)._replace(meta=job.meta), True
        except Exception:
            return job, False

    def _is_tried_again(
        self, job: Job, outcome: Failed, started: float, assignment: Assignment
    ) -> bool:
        if self._retries is None:
            return False
        delay = _delay_after(self._retries, job, outcome)
        if delay is None:
            return False
        try:
            self._retries.submit(
                job,
                outcome,
                data=assignment.data,
                started=started,
                delay=delay,
                server=server_of(assignment),
            )
        except (LocalProtocolError, PayloadEncodeError):
            # Nothing was sent, and it would be the same each time that the job runs:
            # an id of another's making that fits no unique, a payload at the limit.
            logger.exception(
                "The next attempt of job %s of %s cannot be sent: it is not tried again",
                job.handle,
                job.task.name,
                extra={"action": "retry_refused", "handle": job.handle},
            )
            return False
        return True


def _delay_after(retries: Retries, job: Job, outcome: Failed) -> float | None:
    """Return the seconds until the next attempt; None for none."""
    try:
        return retries.delay_after(job, outcome.error)
    except Exception:
        logger.exception(
            "The backoff of %s raised: job %s is not tried again",
            job.task.name,
            job.handle,
            extra={"action": "backoff_failed", "handle": job.handle},
        )
        return None


def _log_failure(assignment: Assignment, outcome: Failed) -> None:
    logger.error(
        "Job %s of %s failed: %s",
        printable(assignment.handle or ""),
        printable(assignment.task),
        outcome.failure,
        exc_info=outcome.error,
        extra={
            "action": "job_failed",
            "handle": printable(assignment.handle or ""),
            "unique": printable(assignment.unique),
            "function": printable(assignment.task),
        },
    )
