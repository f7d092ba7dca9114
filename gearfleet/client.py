"""`Client`: submit jobs of tasks, by the task or by its name.

    client = Client()
    client.submit(resize, 7, width=100)         # waits, returns what resize returns
    client.delay("shop.worker_foo.resize", 7)   # in the background: a JobHandle

Arguments and results are those of `gearfleet.tasks.payload`. For bytes in and
bytes out, to functions of other programs too, use `gearfleet.gearman.GearmanClient`.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from gearfleet import config
from gearfleet.errors import JobFailed, JobTimeout, PayloadEncodeError
from gearfleet.gearman.client import GearmanClient
from gearfleet.gearman.jobs import PRIORITY_HIGH, PRIORITY_LOW, PRIORITY_NONE
from gearfleet.gearman.protocol import MAX_UNIQUE_BYTES
from gearfleet.tasks import JobHandle, SubmitOptions, Task
from gearfleet.tasks.failure import decode_failure
from gearfleet.tasks.naming import function_name
from gearfleet.tasks.payload import Meta, decode_value, encode_call

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from gearfleet.config import Settings
    from gearfleet.gearman.jobs import GearmanJobRequest
    from gearfleet.tasks import Priority

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

_GEARMAN_PRIORITIES = {"high": PRIORITY_HIGH, "normal": PRIORITY_NONE, "low": PRIORITY_LOW}


_PLAIN = SubmitOptions()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Submission:
    """One job on its way to a job server."""

    function: str
    data: bytes
    meta: Meta
    unique: str
    options: SubmitOptions
    timeout: float


class Client:
    """Submits jobs to the job servers of the settings.

    One client may be used by many threads, and on both sides of a fork.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        """Use `settings`, or those of the process; connect when the first job is submitted."""
        self.settings = settings or config.current()
        self._gearman = GearmanClient(self.settings.servers)

    @overload
    def submit(
        self, task: Task[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T: ...
    @overload
    def submit(self, task: Task[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def submit(self, task: str, /, *args: Any, **kwargs: Any) -> Any: ...
    def submit(self, task: Task[..., Any] | str, /, *args: Any, **kwargs: Any) -> Any:
        """Submit a job, wait for it, and return its result.

        Raises:
            JobFailed: the task raised, or its worker refused the job; says why.
            JobTimeout: no result within the setting `client_timeout`.
            ServerUnavailable: no job server can be reached; names their addresses.
            AmbiguousSubmit: the connection broke; the job may run or may not.
            PayloadEncodeError: an argument cannot be sent; names it.
        """
        return self.run(_name(task), args, kwargs, _options(task))

    @overload
    def delay(self, task: Task[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> JobHandle: ...
    @overload
    def delay(self, task: str, /, *args: Any, **kwargs: Any) -> JobHandle: ...
    def delay(self, task: Task[..., Any] | str, /, *args: Any, **kwargs: Any) -> JobHandle:
        """Submit a job in the background; return when a job server has accepted it.

        Raises as `submit`, but for what becomes of the job later.
        """
        return self.enqueue(_name(task), args, kwargs, _options(task))

    def submit_job(
        self,
        task: Task[..., Any] | str,
        *,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        background: bool = False,
        priority: Priority | None = None,
        unique: str | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Submit a job with options: `submit`, or `delay` where `background` is true.

        See `SubmitOptions` for `priority`, `unique` and `timeout`.
        """
        if isinstance(args, str | bytes) or not isinstance(args, Sequence):
            raise PayloadEncodeError(f"args must be a list of arguments, not {args!r}")
        options = SubmitOptions(
            priority=priority or _options(task).priority, unique=unique, timeout=timeout
        )
        send = self.enqueue if background else self.run
        return send(_name(task), args, kwargs or {}, options)

    def run(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], options: SubmitOptions
    ) -> Any:
        """Submit a job of the task called `name` and return its result; see `submit`."""
        submission = self._prepare(name, args, kwargs, options, waits=True)
        return _result(submission, self._send(submission))

    def enqueue(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], options: SubmitOptions
    ) -> JobHandle:
        """Submit a job of the task called `name` in the background; see `delay`."""
        submission = self._prepare(name, args, kwargs, options, waits=False)
        return _handle(submission, self._send(submission))

    def close(self) -> None:
        """Close the connections; the next job opens new ones."""
        self._gearman.close()

    def _prepare(
        self,
        name: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        options: SubmitOptions,
        *,
        waits: bool,
    ) -> _Submission:
        meta = Meta(id=uuid.uuid4().hex, enqueued_at=time.time(), waits=waits)
        timeout = self.settings.client_timeout if options.timeout is None else options.timeout
        return _Submission(
            function=function_name(name, self.settings.prefix),
            data=encode_call(args, kwargs, meta),
            meta=meta,
            unique=_unique(meta, options.unique if isinstance(options.unique, str) else None),
            options=options,
            timeout=timeout,
        )

    def _send(self, submission: _Submission) -> GearmanJobRequest:
        request = self._gearman.submit_job(
            submission.function,
            submission.data,
            unique=submission.unique,
            priority=_GEARMAN_PRIORITIES[submission.options.priority],
            background=not submission.meta.waits,
            poll_timeout=submission.timeout,
        )
        if request.connection_failed and request.error:
            raise request.error
        return request


def _result(submission: _Submission, request: GearmanJobRequest) -> Any:
    if request.timed_out:
        raise JobTimeout(
            f"No result of {submission.function} within {submission.timeout:g} s "
            f"(job {submission.meta.id} at {request.job.connection}); it may still run"
        )
    if request.result is None:
        raise JobFailed(f"{submission.function} failed{_reason(request)}")
    return decode_value(request.result)


def _reason(request: GearmanJobRequest) -> str:
    """Return what the worker said of a failure; one that took us for a stranger said it as a warning."""
    warnings = request.warning_updates
    told = request.exception or (warnings[-1] if warnings else None)
    return f": {decode_failure(told)}" if told else ""


def _handle(submission: _Submission, request: GearmanJobRequest) -> JobHandle:
    server = str(request.job.connection)
    if request.timed_out:
        raise JobTimeout(
            f"Job server {server} did not accept {submission.function} within "
            f"{submission.timeout:g} s; the job may run or may not"
        )
    return JobHandle(
        id=submission.meta.id,
        function=submission.function,
        unique=submission.unique,
        server=server,
    )


def _name(task: Task[..., Any] | str) -> str:
    return task if isinstance(task, str) else task.name


def _options(task: Task[..., Any] | str) -> SubmitOptions:
    return _PLAIN if isinstance(task, str) else task.chosen


def _unique(meta: Meta, chosen: str | None) -> str:
    """Return the job's unique: its attempt's own, or the caller's with a prefix by mode.

    gearmand loses a background job that shares its unique with a foreground
    one whose caller leaves (F2).
    """
    if not chosen:
        return f"{meta.id}.{meta.attempt}"
    unique = f"{'fg' if meta.waits else 'bg'}:{chosen}"
    if len(unique.encode()) <= MAX_UNIQUE_BYTES:
        return unique
    return unique[:3] + hashlib.blake2b(chosen.encode(), digest_size=24).hexdigest()


_default: Client | None = None


def default_client() -> Client:
    """Return the client of this process, made anew when its settings have changed."""
    global _default  # noqa: PLW0603 - one process has one
    if _default is None or _default.settings is not config.current():
        _default = Client()
    return _default


__all__ = ["Client", "JobHandle", "SubmitOptions", "default_client"]
