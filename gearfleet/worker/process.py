"""One worker process: from a worker module to an exit code."""

from __future__ import annotations

import logging
import os
import re
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gearfleet.errors import (
    ConfigError,
    GearfleetError,
    JobInterrupted,
    LocalProtocolError,
    UnknownName,
    did_you_mean,
)
from gearfleet.gearman.protocol import MAX_CLIENT_ID_BYTES
from gearfleet.gearman.worker import GearmanWorker
from gearfleet.results import open_store
from gearfleet.tasks.failure import encode_failure
from gearfleet.tasks.naming import function_name, later_function
from gearfleet.tasks.packing import Packing
from gearfleet.worker import hooks
from gearfleet.worker.aftermath import Aftermath
from gearfleet.worker.executor import Executor
from gearfleet.worker.followers import Followers
from gearfleet.worker.job import Completed, Failed, Outcome
from gearfleet.worker.lifecycle import Limits, StopLadder
from gearfleet.worker.retrying import Retries
from gearfleet.worker.updates import Updates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from gearfleet.config import Settings
    from gearfleet.gearman.jobs import GearmanJob
    from gearfleet.tasks import Task, WorkerModule

logger = logging.getLogger(__name__)

ALL_QUEUES = "*"
#: A host's name has at most 64 bytes, and gearmand cuts a client id at 127.
_MAX_HOST, _MAX_PROGRAM = 64, 30


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerInfo:
    """What `on_start` hooks are told of their worker.

    Attributes:
        program: that the process belongs to.
        module: dotted name of the worker module that it serves.
        queues: that it serves, sorted.
        tasks: by the functions that the job servers know them by, first served first.
    """

    program: str
    module: str
    queues: tuple[str, ...]
    tasks: Mapping[str, Task[..., Any]]


def serve(
    module: WorkerModule,
    *,
    queues: Sequence[str] = (),
    settings: Settings,
    program: str,
    drain_timeout: float = 60.0,
    interrupt_grace: float = 5.0,
    hook_timeout: float = 10.0,
    prefetch: int = 1,
) -> int:
    """Serve the tasks of `module` until told to stop; return the exit code of the process.

    Call it from the main thread: it takes the stop signals, and puts the
    previous handlers back at the end. A job server that cannot be reached is
    tried again for ever.

    Args:
        module: whose tasks are served.
        queues: serve only their tasks; none, or ``*``, means all.
        settings: of the project.
        program: that this process belongs to.
        drain_timeout: seconds that the job in hand has after the first signal.
        interrupt_grace: seconds that an interrupted task has to clean up.
        hook_timeout: seconds that the shutdown hooks have, all together.
        prefetch: how many jobs may be here, the running one included.

    Raises:
        UnknownName: the module has no task in one of the queues.
        ConfigError: a hook, a job server or the prefix of the settings cannot be used, or
            a task needs a key that they do not have.
    """
    limits = Limits(
        drain_timeout=drain_timeout, interrupt_grace=interrupt_grace, hook_timeout=hook_timeout
    )
    chosen = choose_queues(module, queues)
    info = WorkerInfo(
        program=program,
        module=module.module,
        queues=chosen,
        tasks=tasks_by_function((t for t in module.tasks if t.queue in chosen), settings.prefix),
    )
    packing = Packing.of(settings)
    for function, task in info.tasks.items():
        packing.refuse_without_key(task.terms(function))
    selected = hooks.select(module.module, settings.hooks)
    worker = _TaskWorker(settings, client_id(program), prefetch=prefetch)
    with StopLadder(limits, drain=worker.shutdown) as ladder:
        served = with_later(info.tasks)
        followers = Followers(settings)
        aftermath = Aftermath(open_store(settings), submit=followers)
        retries = Retries(settings, aftermath.recorder)
        updates = Updates(worker)
        executor = Executor(
            served,
            hooks=selected,
            ladder=ladder,
            aftermath=aftermath,
            retries=retries,
            packing=packing,
            updates=updates,
        )
        worker.answer_with(executor.execute, served)
        try:
            _work(info, worker, selected, ladder)
        finally:
            _shut_down(executor, selected, ladder)
            aftermath.close()
            retries.close()
            updates.close()
            followers.close()
    return 0


def choose_queues(module: WorkerModule, queues: Iterable[str]) -> tuple[str, ...]:
    """Return the queues of `module` that `queues` name; none, or ``*``, means all."""
    named = set(queues)
    for name in sorted(named - {ALL_QUEUES, *module.queues}):
        raise UnknownName(
            f"Worker '{module.worker}' has no queue '{name}' {did_you_mean(name, module.queues)}"
        )
    return module.queues if not named or ALL_QUEUES in named else tuple(sorted(named))


def tasks_by_function(
    tasks: Iterable[Task[..., Any]], prefix: str | Callable[[str], str]
) -> dict[str, Task[..., Any]]:
    """Return `tasks` by the functions that `prefix` makes of their names."""
    found: dict[str, Task[..., Any]] = {}
    for task in tasks:
        function = function_name(task.name, prefix)
        if function in found:
            raise ConfigError(
                f"Setting 'prefix' makes '{function}' of both '{found[function].name}' "
                f"and '{task.name}'; every task needs a function of its own"
            )
        found[function] = task
    return found


def with_later(tasks: Mapping[str, Task[..., Any]]) -> dict[str, Task[..., Any]]:
    """Return `tasks` by their functions, and by those of their delayed jobs, which come last."""
    return {**tasks, **{later_function(function): task for function, task in tasks.items()}}


def client_id(program: str) -> str:
    """Return how the job servers show this process: host, program, pid and release.

    The release is cut where a client id would be too long for gearmand.
    """
    host = _one_word(socket.gethostname())[:_MAX_HOST]
    release = _one_word(os.environ.get("GEARFLEET_RELEASE", ""))
    known = f"gearfleet/{host}/{_one_word(program)[:_MAX_PROGRAM]}/{os.getpid()}/"
    return known + release[: MAX_CLIENT_ID_BYTES - len(known)]


def _one_word(part: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.:+@-]", "-", part) or "-"


def _work(
    info: WorkerInfo, worker: GearmanWorker, selected: hooks.Hooks, ladder: StopLadder
) -> None:
    """Take jobs until the ladder says stop."""
    _log_start(info)
    try:
        with ladder.starting():
            hooks.run(selected.on_start, info)
        logger.info(
            "Ready for jobs of %s",
            ", ".join(str(address) for address in worker.addresses),
            extra={"action": "worker_ready"},
        )
        worker.work()
    except JobInterrupted:
        return  # the connections are closed, so the job runs again elsewhere


def _shut_down(executor: Executor, selected: hooks.Hooks, ladder: StopLadder) -> None:
    """Run the shutdown hooks, once, whatever the worker ended with."""
    reason = ladder.reason or "error"
    try:
        with ladder.shutting_down():
            hooks.run(selected.on_shutdown, reason)
            executor.close()
    except JobInterrupted:
        logger.error("The shutdown hooks ran out of time", extra={"action": "hooks_timeout"})
    counts = {
        "completed": executor.completed,
        "failed": executor.failed,
        "given_back": executor.interrupted,
    }
    logger.info(
        "Stopped (%s): %d jobs completed, %d failed, %d given back",
        reason,
        *counts.values(),
        extra={"action": "worker_stopped", "reason": reason, **counts},
    )


def _log_start(info: WorkerInfo) -> None:
    names = [task.name for task in info.tasks.values()]
    logger.info(
        "Worker %s serves %s of %s %s",
        info.program,
        ", ".join(names),
        "queue" if len(info.queues) == 1 else "queues",
        ", ".join(info.queues),
        extra={"action": "worker_started", "queues": info.queues, "tasks": names},
    )


class _TaskWorker(GearmanWorker):
    """Answers each job with the outcome of its execution."""

    def __init__(self, settings: Settings, name: str, *, prefetch: int = 1) -> None:
        try:
            super().__init__(settings.servers_of_workers, client_id=name, prefetch=prefetch)
        except LocalProtocolError as error:
            raise ConfigError(f"Setting 'servers' of {settings.origin}: {error}") from error

    def answer_with(
        self, execute: Callable[[GearmanJob], Outcome], functions: Iterable[str]
    ) -> None:
        """Take the jobs of `functions`; those of the first are served first."""
        self._execute = execute
        for function in functions:
            self.register_task(function, execute)

    def on_job_execute(self, current_job: GearmanJob) -> bool:
        try:
            outcome = self._execute(current_job)
        except GearfleetError as error:
            self._give_back(current_job, error)
            return False
        if isinstance(outcome, Completed):
            return self.on_job_complete(current_job, outcome.data)
        self._tell_failure(current_job, outcome)
        return False

    @staticmethod
    def _give_back(job: GearmanJob, error: GearfleetError) -> None:
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
