"""The next attempt of a failed background job.

It is submitted to the job server that gave out the failed one, and accepted
there before that one ends: whatever dies in between, an attempt is left. Both
may be there for a moment; attempt n of a job has the unique ``<id>.<n>``, so a
failed attempt that runs a second time asks for the same next one.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from gearfleet.errors import JobRefused, Retry
from gearfleet.gearman.client import GearmanClient
from gearfleet.tasks.naming import function_name, later_function
from gearfleet.tasks.retry import RetryPolicy
from gearfleet.worker.recorder import record_of

if TYPE_CHECKING:
    from gearfleet.config import Settings
    from gearfleet.tasks import Task
    from gearfleet.tasks.packing import Packing
    from gearfleet.worker.job import Failed, Job
    from gearfleet.worker.recorder import Recorder

logger = logging.getLogger(__name__)

#: Seconds for a job server to accept the next attempt.
PATIENCE = 10.0


class Retries:
    """Decides on, and submits, the further attempts of one worker's jobs."""

    def __init__(self, settings: Settings, packing: Packing, recorder: Recorder) -> None:
        """Take the defaults of tasks from `settings`; tell `recorder` of each failed attempt."""
        self._settings = settings
        self._packing = packing
        self._recorder = recorder
        self._policies: dict[str, RetryPolicy] = {}
        self._clients: dict[Any, GearmanClient] = {}

    def delay_after(self, job: Job, error: BaseException) -> float | None:
        """Return the seconds until the next attempt of `job`, None if there is none.

        The caller of a foreground job hears of the failure and decides; a job of
        a foreign client has no id by which its attempts could be told apart.
        """
        meta = job.meta
        if meta is None or meta.waits:
            return None
        delay = self._policy(job.task).delay_after(meta.attempt, error)
        if delay is None and isinstance(error, Retry):
            self._log_refusal(job, meta.attempt)
        is_too_late = delay is not None and 0 < meta.expires < time.time() + delay
        return None if is_too_late else delay

    def submit(
        self, job: Job, outcome: Failed, *, data: bytes, started: float, delay: float, server: Any
    ) -> None:
        """Submit the next attempt to the job server at `server`; return when it is accepted.

        It has the arguments of `data`, the payload of the failed one, which may have
        changed its own.

        Raises:
            GearmanError: it was not, or that is not known; the failed attempt has to run again.
            ResultStoreUnavailable: the failure could not be kept.
        """
        meta = job.meta
        assert meta is not None
        now = time.time()
        # First the record: the next attempt may be done before we get to it.
        self._recorder.failure(
            record_of(
                job,
                started=started,
                stopped=now,
                server=str(server),
                failure=outcome.failure,
                state="retry",
            )
        )
        function = function_name(job.task.name, self._settings.prefix)
        terms = job.task.terms(function)
        call = self._packing.unpack(data, terms)
        following = meta._replace(attempt=meta.attempt + 1)
        request = self._client(server).submit_job(
            # Always the same one: a failed attempt that runs a second time may draw another
            # delay, and its next attempt is to meet the one that is pending.
            later_function(function),
            # Signed where there is a key, though the task takes other jobs too.
            self._packing.pack(call._replace(meta=following), terms._replace(signed=None)),
            unique=f"{following.id}.{following.attempt}",
            background=True,
            poll_timeout=PATIENCE,
            when_to_run=now + delay if delay else None,
        )
        if not request.complete:
            raise request.error or JobRefused(f"{server} did not accept the next attempt in time")
        self._log(job, outcome, following.attempt, delay)

    def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            client.close()

    def _policy(self, task: Task[..., Any]) -> RetryPolicy:
        policy = self._policies.get(task.name)
        if policy is None:
            policy = self._policies[task.name] = RetryPolicy.of(
                task.declared,
                retries=self._settings.retries,
                retry_after=self._settings.retry_after,
            )
        return policy

    def _client(self, server: Any) -> GearmanClient:
        if server not in self._clients:
            self._clients[server] = GearmanClient([server])
        return self._clients[server]

    def _log_refusal(self, job: Job, attempt: int) -> None:
        logger.warning(
            "Job %s of %s asks to be tried again, and this was attempt %d of %d: give its task "
            "retries=N, or set 'retries'",
            job.handle,
            job.task.name,
            attempt,
            self._policy(job.task).retries + 1,
            extra={"action": "no_attempt_left", "handle": job.handle, "function": job.function},
        )

    def _log(self, job: Job, outcome: Failed, attempt: int, delay: float) -> None:
        logger.warning(
            "Job %s of %s failed: %s; attempt %d of %d follows in %g s",
            job.handle,
            job.task.name,
            outcome.failure,
            attempt,
            self._policy(job.task).retries + 1,
            round(delay, 1),
            exc_info=outcome.error,
            extra={
                "action": "job_retried",
                "handle": job.handle,
                "function": job.function,
                "next_attempt": attempt,
                "delay": delay,
            },
        )
