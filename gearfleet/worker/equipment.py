"""A Gearman worker that runs tasks, and everything that it needs for that.

with equipped(worker, tasks, settings, hooks=selected, ladder=ladder) as executor:
worker.work()
"""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from gearfleet.errors import ConfigError, GearfleetError, LocalProtocolError
from gearfleet.gearman.worker import GearmanWorker
from gearfleet.results import open_store
from gearfleet.tasks.failure import encode_failure
from gearfleet.tasks.naming import later_function
from gearfleet.tasks.packing import Packing
from gearfleet.worker.aftermath import Aftermath
from gearfleet.worker.executor import Executor
from gearfleet.worker.followers import Followers
from gearfleet.worker.job import Completed, Failed, Outcome
from gearfleet.worker.retrying import Retries
from gearfleet.worker.streams import Streams
from gearfleet.worker.updates import Updates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any

    from gearfleet.config import Settings
    from gearfleet.gearman.addresses import Address
    from gearfleet.gearman.jobs import GearmanJob
    from gearfleet.tasks import Task
    from gearfleet.worker.event_loop import Loop
    from gearfleet.worker.executor import HeldUpdates, Ladder
    from gearfleet.worker.hooks import Hooks
    from gearfleet.worker.recycling import Recycler
    from gearfleet.worker.watch import Watch

logger = logging.getLogger(__name__)


@contextmanager
def equipped(
    worker: TaskWorker,
    tasks: Mapping[str, Task[..., Any]],
    settings: Settings,
    *,
    hooks: Hooks,
    ladder: Ladder,
    updates: HeldUpdates | None = None,
    loop: Loop | None = None,
    watch: Watch | None = None,
) -> Iterator[Executor]:
    """Let `worker` run the jobs of `tasks`, given by their functions, until the block ends.

    `updates` sends what jobs say, and `loop` runs coroutines, where they are not run
    one after the other. `watch` tells the host of each job.

    Raises:
        ConfigError: a task needs a key that the settings do not have.
    """
    packing = Packing.of(settings)
    for function, task in tasks.items():
        packing.refuse_without_key(task.terms(function))
    # The functions of delayed jobs come last: what is first is served first.
    served = {**tasks, **{later_function(function): task for function, task in tasks.items()}}
    with ExitStack() as closing:
        followers = Followers(settings)
        closing.callback(followers.close)
        updates = updates or Updates(worker)
        closing.callback(updates.close)
        aftermath = Aftermath(open_store(settings), submit=followers)
        retries = Retries(settings, packing, aftermath.recorder)
        closing.callback(retries.close)
        closing.callback(aftermath.close)
        streams = Streams()
        closing.callback(streams.close)
        executor = Executor(
            served,
            hooks=hooks,
            ladder=ladder,
            aftermath=aftermath,
            retries=retries,
            packing=packing,
            updates=updates,
            loop=loop,
            time_limits=(watch.time_limits or None) if watch else None,
            streams=streams,
        )
        worker.answer_with(watch.over(executor, served) if watch else executor.execute, served)
        yield executor


class TaskWorker(GearmanWorker):
    """Answers each job with the outcome of its execution.

    Attributes:
        recycler: looks between two jobs whether the worker has to be renewed.
    """

    recycler: Recycler | None = None

    def __init__(self, settings: Settings, name: str, *, prefetch: int = 1) -> None:
        """Use the job servers of `settings`, which show this worker as `name`.

        Raises:
            ConfigError: one of them has no known form, or its TLS files cannot be used.
        """
        try:
            super().__init__(settings.servers_of_workers, client_id=name, prefetch=prefetch)
        except LocalProtocolError as error:
            raise ConfigError(f"Setting 'servers' of {settings.origin}: {error}") from error
        #: Called each time that a job server has taken note of the functions.
        self.after_registration: list[Callable[[], None]] = []

    def on_registered(self, server: Address) -> None:
        for tell in self.after_registration:
            tell()

    def answer_with(
        self, execute: Callable[[GearmanJob], Outcome], functions: Iterable[str]
    ) -> None:
        """Take the jobs of `functions`; those of the first are served first."""
        self._execute = execute
        for function in functions:
            self._register(function, execute, takes_worker=False)

    def after_job(self) -> bool:
        """Return whether to go on after a job."""
        return self.recycler is None or self.recycler.after_job()

    def after_poll(self, any_activity: bool) -> bool:
        """Return whether to go on after a wait for jobs."""
        return self.recycler is None or self.recycler.after_poll()

    def on_job_execute(self, current_job: GearmanJob) -> bool:
        """Run a job, and send its final packet."""
        try:
            outcome = self._execute(current_job)
        except GearfleetError as error:
            self.give_back(current_job, error)
            return False
        if isinstance(outcome, Completed):
            self._complete(current_job, outcome.data)
            return True
        return self.answer(current_job, outcome)

    def answer(self, job: GearmanJob, outcome: Outcome) -> bool:
        """Send the final packet of a job; return whether it was a success."""
        if isinstance(outcome, Completed):
            self._complete(job, outcome.data)
            return True
        self._tell_failure(job, outcome)
        return False

    @staticmethod
    def give_back(job: GearmanJob, error: GearfleetError) -> None:
        """Close the connection, so that the job server gives the job out again."""
        logger.error(
            "Job %s of %s runs again, because what became of it cannot be kept: %s",
            job.handle,
            job.task,
            error,
            extra={"action": "job_given_back", "handle": job.handle, "function": job.task},
        )
        job.connection.lose(error, time.monotonic())

    def _tell_failure(self, job: GearmanJob, outcome: Failed) -> None:
        """Tell the caller why, in the packets that its client understands.

        gearmand spoils the WORK_FAIL that it makes of a WORK_EXCEPTION for
        clients that do not ask for exceptions, and libgearman's then wait for
        ever (reference "gearmand", commands 14 and 25).
        """
        reason = encode_failure(outcome.failure)
        if outcome.is_ours:
            self.send_job_exception(job, reason)
        else:
            self.send_job_warning(job, reason)
            self.send_job_failure(job)
