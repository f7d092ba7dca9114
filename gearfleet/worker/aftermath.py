"""What follows the end of a job and comes before its final packet.

    aftermath = Aftermath(open_store(settings), submit=client.enqueue)
    aftermath.complete(record, meta, callbacks)     # for each job that has ended
    aftermath.close()                               # at drain

In this order: the next step of its chain is submitted, its record is kept, its
hooks are called. What raises leaves the job in hand: it runs again, and all of
this then happens with the same ids. So no chain ends in silence, none forks,
and no failure is lost. What a hook raises is only logged.
"""

from __future__ import annotations

import logging
import time
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Protocol

from gearfleet.errors import (
    ConfigError,
    JobExpired,
    JobInterrupted,
    LocalProtocolError,
    PayloadDecodeError,
    PayloadEncodeError,
    ResultStoreUnavailable,
)
from gearfleet.results import Part, TaskRecord, seal
from gearfleet.tasks.failure import Failure
from gearfleet.tasks.plans import Plan
from gearfleet.worker.job import Completed
from gearfleet.worker.recorder import Recorder, record_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gearfleet.results import ResultStore
    from gearfleet.results.record import State
    from gearfleet.tasks import SubmitOptions
    from gearfleet.tasks.meta import Meta
    from gearfleet.tasks.options import Callback
    from gearfleet.tasks.plans import Share
    from gearfleet.worker.job import Job, Outcome

logger = logging.getLogger(__name__)

_NOTHING = Plan()

#: Seconds for which it is kept that a job has begun, if nobody hears of its end: two weeks.
BEGUN = 14 * 24 * 3600.0


def conclude(
    aftermath: Aftermath,
    job: Job,
    outcome: Outcome,
    started: float,
    server: object = "",
    *,
    has_arguments: bool = True,
) -> None:
    """Do what follows a job with this outcome, which `server` gave out.

    `has_arguments` is for the record: whether those of `job` are its caller's.
    Raises what `Aftermath.complete` raises.
    """
    declared = job.task.declared
    is_success = isinstance(outcome, Completed)
    callbacks = (declared.on_success if is_success else declared.on_failure,)
    meta = job.meta
    if declared.ignore_result and meta is not None and meta.save is None:
        meta = meta._replace(save=False)
    if is_success and not aftermath.is_needed(meta, callbacks):
        return
    told: dict[str, Any] = (
        {"result": outcome.value}
        if isinstance(outcome, Completed)
        else {"failure": outcome.failure, "state": _state(outcome.error)}
    )
    record = record_of(
        job,
        started=started,
        stopped=time.time(),
        server=str(server),
        has_arguments=has_arguments,
        **told,
    )
    aftermath.complete(record, meta, callbacks)


def _state(error: BaseException) -> State:
    return "expired" if isinstance(error, JobExpired) else "failure"


class Submit(Protocol):
    """`Client.enqueue`, of a client of `server`; of any job server if that is empty."""

    def __call__(
        self,
        name: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        options: SubmitOptions,
        /,
        *,
        server: str,
    ) -> object: ...


class Aftermath:
    """Keeps the records of one worker's jobs, and starts what follows them.

    Attributes:
        recorder: that writes the records.
    """

    def __init__(
        self, store: ResultStore | None, *, submit: Submit, recorder: Recorder | None = None
    ) -> None:
        """Write to `store` (None keeps nothing), and submit the steps of chains with `submit`."""
        self.recorder = recorder or Recorder(store)
        self._store = store
        self._submit = submit

    def is_needed(self, meta: Meta | None, callbacks: Sequence[Callback | None] = ()) -> bool:
        """Return whether the success of a job with this `meta` has an aftermath at all."""
        if any(callbacks):
            return True
        if meta is None:
            return self.recorder.wants_success()
        if meta.chain or meta.hook or meta.attempt > 1:
            return True
        return self.recorder.wants_success(meta.save, waits=meta.waits)

    def begin(self, job: Job, server: object = "") -> None:
        """Keep that `job` has begun, until it is known what became of it."""
        now, attempt = time.time(), job.meta.attempt if job.meta else 1
        record = record_of(job, started=now, stopped=0.0, server=str(server), state="retry")
        # As far as the attempt before it, so that the record of its own end stays.
        self.recorder.begun(record._replace(attempt=attempt - 1, keep_until=now + BEGUN))

    def complete(
        self, record: TaskRecord, meta: Meta | None, callbacks: Iterable[Callback | None] = ()
    ) -> None:
        """Do what follows the job that `record` tells of; no other attempt of it comes.

        Args:
            record: of the job; its `hook` is called too.
            meta: of its payload; None for a foreign client's.
            callbacks: of its task for such an outcome.

        Raises:
            ResultStoreUnavailable: the record could not be kept.
            GearfleetError: the next step could not be submitted.
        """
        plan = _plan(record, meta)
        if plan.share is None:
            self._follow(record, plan)
            self._keep(record, meta, plan)
        else:
            self._collect(record, meta, plan, plan.share)
        run_hooks(record, (record.hook, *callbacks))

    def close(self) -> None:
        """Write what is pending."""
        self.recorder.close()

    def _follow(self, record: TaskRecord, plan: Plan) -> None:
        call = plan.next_call(is_success=record.is_success, result=record.result)
        if call is None or self._has_ended(call.options.id):
            return
        # If the job runs again, the same job server gives it out, and there what
        # follows it now is pending under the same unique.
        try:
            self._submit(*call, server=record.server)
        except (LocalProtocolError, PayloadEncodeError, ConfigError):
            # It cannot be sent, now or when this job has run again.
            logger.exception(
                "Job %s cannot be followed by %s: its chain ends here",
                record.id,
                call.name,
                extra={"action": "chain_broken", "job_id": record.id},
            )
            return
        logger.debug(
            "Job %s is followed by %s of %s",
            record.id,
            call.options.id,
            call.name,
            extra={"action": "chain_step", "job_id": record.id, "next": call.options.id},
        )

    def _has_ended(self, job: str) -> bool:
        """Return whether the next step is done, because the one before it ran twice."""
        if self.recorder.is_pending(job):
            return True
        found = self._store.get(job) if self._store else None
        return found is not None and found.id == job and found.is_final

    def _keep(self, record: TaskRecord, meta: Meta | None, plan: Plan) -> None:
        if not record.is_success:
            self._keep_failure(record, waits=bool(meta and meta.waits))
        elif plan.keep:
            self.recorder.success(record._replace(keep_until=time.time() + plan.keep))
        elif self.recorder.wants_success(meta and meta.save, waits=bool(meta and meta.waits)):
            self.recorder.success(record)
        elif record.attempt > 1:
            self.recorder.forget(record.id)  # that of the failed attempt says that another comes

    def _keep_failure(self, record: TaskRecord, *, waits: bool) -> None:
        try:
            self.recorder.failure(record)
        except ResultStoreUnavailable:
            if not waits:
                raise
            self.recorder.success(record)  # soon will do: the caller hears of it now

    def _collect(self, record: TaskRecord, meta: Meta | None, plan: Plan, share: Share) -> None:
        """Keep the record as a part; the last one makes the whole, and starts what follows that."""
        if self._store is None:
            self._keep(record, meta, plan)
            logger.error(
                "Job %s is a part of %s, which is lost: the setting results is 'none'",
                record.id,
                share.whole,
                extra={"action": "part_lost", "job_id": record.id},
            )
            return
        if not record.is_success:
            self.recorder.failure(record)
        part = Part(whole=share.whole, index=share.index, count=share.count, sealed=seal(record))
        parts = self._store.collect(part)
        if parts is None:
            return
        whole = _whole(parts, share, keep_until=time.time() + plan.keep if plan.keep else 0.0)
        self._follow(whole, plan)
        self._store.save([whole])
        self._store.drop_parts(share.whole)
        run_hooks(whole, (whole.hook,))


def _plan(record: TaskRecord, meta: Meta | None) -> Plan:
    if meta is None or not meta.chain:
        return _NOTHING
    try:
        return Plan.read(meta.chain)
    except PayloadDecodeError:
        # Whoever made it is no gearfleet; the job has ended all the same.
        logger.exception(
            "What should follow job %s cannot be read", record.id, extra={"action": "plan_unread"}
        )
        return _NOTHING


def _whole(parts: Sequence[TaskRecord], share: Share, *, keep_until: float) -> TaskRecord:
    """Return the record of a list of results; that of a part that failed is None."""
    bad = [each for each in parts if not each.is_success]
    return TaskRecord(
        id=share.whole,
        task=parts[0].task,
        state="failure" if bad else "success",
        name=share.name,
        function=parts[0].function,
        queue=parts[0].queue,
        args=[each.args for each in parts],
        group=share.group,
        hook=share.hook,
        enqueued_at=min(each.enqueued_at for each in parts),
        started=min(each.started for each in parts),
        stopped=max(each.stopped for each in parts),
        result=[each.result if each.is_success else None for each in parts],
        failure=_failure_of(bad, len(parts)) if bad else None,
        server=parts[0].server,
        keep_until=0.0 if bad else keep_until,
        has_arguments=False,
    )


def _failure_of(bad: Sequence[TaskRecord], count: int) -> Failure:
    first = bad[0].failure
    return Failure(
        type=first.type if first else "",
        message=f"{len(bad)} of {count} jobs failed, the first because: {first}",
        traceback=first.traceback if first else "",
    )


def run_hooks(record: TaskRecord, hooks: Iterable[Callback | None]) -> None:
    """Call each of `hooks`, functions or dotted paths, with `record`; what one raises is logged."""
    for hook in hooks:
        try:
            if hook:
                _function(hook)(record)
        except JobInterrupted:
            raise
        except BaseException as error:  # also sys.exit(): a hook does not end the worker
            logger.exception(
                "Hook %s of job %s raised %s",
                hook,
                record.id,
                type(error).__name__,
                extra={"action": "hook_failed", "job_id": record.id},
            )


def _function(hook: Callback) -> Any:
    return hook if callable(hook) else resolve_name(hook)
