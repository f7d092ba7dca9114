"""One job on its way to a job server, and what comes back of it; no I/O here."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from gearfleet.errors import (
    BatchFailed,
    GearmanError,
    JobFailed,
    JobTimeout,
    PayloadEncodeError,
    ServerError,
)
from gearfleet.gearman.forms import RunAt
from gearfleet.gearman.jobs import (
    PRIORITY_HIGH,
    PRIORITY_LOW,
    PRIORITY_NONE,
    GearmanJob,
    GearmanJobRequest,
    to_bytes,
    to_text,
)
from gearfleet.gearman.protocol import MAX_UNIQUE_BYTES
from gearfleet.tasks import JobHandle, SubmitOptions, typed
from gearfleet.tasks.codecs import CODECS
from gearfleet.tasks.failure import decode_failure
from gearfleet.tasks.meta import Meta
from gearfleet.tasks.naming import later_function

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gearfleet.tasks.failure import Failure

GEARMAN_PRIORITIES = {"high": PRIORITY_HIGH, "normal": PRIORITY_NONE, "low": PRIORITY_LOW}

#: Tags of the values that have no order of their own.
_UNORDERED = frozenset({"set", "frozenset", "dict"})


# One is made for every job; a NamedTuple takes a third of a frozen dataclass's time.
class Outgoing(NamedTuple):
    """One job to submit.

    Attributes:
        function: of the task; a delayed job is queued under another one, see `queued_as`.
        data: the payload.
        meta: that the payload holds.
        unique: that the job server is to know it by.
        options: with which it is submitted.
        timeout: seconds to wait for it.
        due_at: the moment before which it is not run; 0 for at once.
    """

    function: str
    data: bytes
    meta: Meta
    unique: str
    options: SubmitOptions
    timeout: float
    due_at: float = 0.0

    @property
    def queued_as(self) -> str:
        """The function under which the job server queues it."""
        return later_function(self.function) if self.due_at else self.function

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of `GearmanClient.submit_job`, the asyncio client's too."""
        return {
            "task": self.queued_as,
            "data": self.data,
            "unique": self.unique,
            "priority": self._priority,
            "background": not self.meta.waits,
            "max_retries": self.options.max_retries,
            "poll_timeout": self.timeout,
            "when_to_run": self.due_at or None,
        }

    def streamed_arguments(self) -> dict[str, Any]:
        """Return the arguments of `GearmanClient.stream`, the asyncio client's too."""
        given = self.arguments()
        del given["background"], given["when_to_run"]  # it is for jobs that are waited for
        return given

    def request(self) -> GearmanJobRequest:
        """Return the request of a background job, for `submit_multiple_requests`."""
        job = GearmanJob(None, None, self.queued_as, self.unique, self.data)
        attempts = self.options.max_retries + 1
        request = GearmanJobRequest(job, self._priority, True, attempts)
        if self.due_at:
            request.form = RunAt.of(self.due_at)
        return request

    @property
    def _priority(self) -> str | None:
        # SUBMIT_JOB_EPOCH knows none.
        return PRIORITY_NONE if self.due_at else GEARMAN_PRIORITIES[self.options.priority]

    def result(self, request: GearmanJobRequest) -> Any:
        """Return what the task returned, or raise what the caller is to hear."""
        _raise_if_lost(request)
        if request.timed_out:
            raise JobTimeout(
                f"No result of {self.function} within {self.timeout:g} s "
                f"(job {self.meta.id} at {request.job.connection}); it may still run"
            )
        if request.result is None:
            failure = _failure(request)
            reason = f": {failure}" if failure else ""
            raise JobFailed(f"{self.function} failed{reason}", failure=failure)
        return CODECS[self.options.codec].decode_result(request.result)

    def handle(self, request: GearmanJobRequest) -> JobHandle:
        """Return the handle of a job that was accepted, or raise why it was not."""
        if error := refusal(request, self.timeout):
            raise error
        job = request.gearman_job
        return JobHandle(
            id=self.meta.id, function=job.task, unique=job.unique, server=str(job.connection)
        )


class _Ids:
    """Makes ids of jobs: a random start for each process, and a counter.

    `uuid.uuid4` takes a system call for each of them.
    """

    def __init__(self) -> None:
        self._restart()
        os.register_at_fork(after_in_child=self._restart)

    def _restart(self) -> None:
        start = int.from_bytes(os.urandom(16))
        # Room for the counter: the top bit is left clear, so that no id gets a 33rd digit.
        self._numbers = itertools.count(start >> 1)

    def __call__(self) -> str:
        """Return an id that no other job has, 32 hexadecimal digits."""
        return f"{next(self._numbers):032x}"


new_id = _Ids()


def meta_of(options: SubmitOptions, now: float, *, waits: bool) -> Meta:
    """Return what the payload of a job says of it."""
    expires = options.expires_at(now) if options.expires is not None else 0.0
    # By position and in one piece: that takes half the time, for every job.
    return Meta(
        options.id or new_id(), 1, now, waits, expires,
        options.name, options.group, options.hook, options.save, options.chain,
        options.about,
    )  # fmt: skip


def refusal(request: GearmanJobRequest, timeout: float) -> GearmanError | JobTimeout | None:
    """Return why a background job has no acceptance, None if it was accepted."""
    if request.timed_out or not request.is_accepted:
        return JobTimeout(
            f"Job server {request.job.connection} did not accept {request.job.task} within "
            f"{timeout:g} s; the job may run or may not"
        )
    if request.connection_failed or isinstance(request.error, ServerError):
        return request.error
    return None


def handles_of(
    ids: Sequence[str], requests: Sequence[GearmanJobRequest], timeout: float
) -> list[JobHandle]:
    """Return the handles of a batch, in its order; `ids` are those of its jobs.

    Raises:
        BatchFailed: some jobs were not accepted.
    """
    errors = [refusal(request, timeout) for request in requests]
    handles: list[JobHandle | None] = []
    connection, server = None, ""
    for job_id, request, error in zip(ids, requests, errors, strict=True):
        job = request.gearman_job
        if job.connection is not connection:  # most often it is that of the job before
            connection, server = job.connection, str(job.connection)
        handles.append(
            None
            if error
            else JobHandle(id=job_id, function=job.task, unique=job.unique, server=server)
        )
    if first := next(filter(None, errors), None):
        raise BatchFailed(handles, errors) from first
    return [handle for handle in handles if handle]


def _raise_if_lost(request: GearmanJobRequest) -> None:
    if request.connection_failed and request.error:
        raise request.error


def _failure(request: GearmanJobRequest) -> Failure | None:
    """Return what the worker said of a failure; one that took us for a stranger said it as a warning."""
    warnings = request.warning_updates
    told = request.exception or (warnings[-1] if warnings else None)
    return decode_failure(told) if told else None


def unique_of(
    meta: Meta,
    chosen: str | bytes | bool | None,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
) -> str:
    """Return the job's unique: its attempt's own, or the caller's with a prefix by mode.

    gearmand loses a background job that shares its unique with a foreground
    one whose caller leaves (F2). ``-`` is python-gearman's word for True.
    """
    if not chosen:
        return f"{meta.id}.{meta.attempt}"
    mode = "fg" if meta.waits else "bg"
    if chosen is True or chosen in ("-", b"-"):
        return f"{mode}:={digest_of(args, kwargs or {})}"
    name = to_bytes(chosen)
    unique = f"{mode}:{to_text(name)}"
    if len(name) + len(mode) + 1 <= MAX_UNIQUE_BYTES:
        return unique
    return f"{mode}:{hashlib.blake2b(name, digest_size=24).hexdigest()}"


def digest_of(args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """Return a hash of the arguments: equal ones have the same, whatever the order of keys.

    Raises:
        PayloadEncodeError: an argument is none that the envelope carries.
    """
    try:
        tree = [
            typed.write_array(args, typed.CAREFUL),
            typed.write_object(kwargs, typed.CAREFUL),
        ]
    except typed.Refused as refused:
        raise PayloadEncodeError(
            f"unique=True needs arguments that the envelope carries: {refused}"
        ) from None
    return hashlib.blake2b(_canonical(tree).encode(), digest_size=24).hexdigest()


def _canonical(tree: Any) -> str:
    """Return the JSON text of `tree` in which no order is left to chance."""
    if isinstance(tree, list | tuple):
        return f"[{','.join(map(_canonical, tree))}]"
    if not isinstance(tree, dict):
        return json.dumps(tree)
    if tree.get("$t") in _UNORDERED:
        tree = {**tree, "v": sorted(map(_canonical, tree["v"]))}
    return (
        "{" + ",".join(f"{json.dumps(key)}:{_canonical(tree[key])}" for key in sorted(tree)) + "}"
    )
