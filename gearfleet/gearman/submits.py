"""What every client does without I/O: make requests, choose job servers, judge losses.

`GearmanClient` (threads) and `AsyncGearmanClient` differ in how they wait; what
they send, to whom, and what they say of a loss is decided here.
"""

from __future__ import annotations

import functools
import itertools
import os
import time
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar
from weakref import WeakValueDictionary

from gearfleet import errors
from gearfleet.gearman.encoding import NoopEncoder, encode_with
from gearfleet.gearman.jobs import (
    JOB_CREATED,
    JOB_PENDING,
    PRIORITY_HIGH,
    PRIORITY_LOW,
    PRIORITY_NONE,
    to_bytes,
    to_text,
)
from gearfleet.gearman.manager import GearmanConnectionManager
from gearfleet.gearman.protocol import Command, encode_submit
from gearfleet.gearman.rendezvous import by_preference

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gearfleet.gearman.addresses import Address, AddressLike
    from gearfleet.gearman.jobs import GearmanJobRequest

_SUBMIT = {
    (PRIORITY_NONE, False): Command.SUBMIT_JOB,
    (PRIORITY_HIGH, False): Command.SUBMIT_JOB_HIGH,
    (PRIORITY_LOW, False): Command.SUBMIT_JOB_LOW,
    (PRIORITY_NONE, True): Command.SUBMIT_JOB_BG,
    (PRIORITY_HIGH, True): Command.SUBMIT_JOB_HIGH_BG,
    (PRIORITY_LOW, True): Command.SUBMIT_JOB_LOW_BG,
}


#: The same few functions are submitted again and again.
_function = functools.lru_cache(maxsize=1024)(to_bytes)


class Candidate(Protocol):
    """A job server among those to choose from."""

    #: Until then others are tried first.
    avoid_until: float

    @property
    def address(self) -> Address:
        """Where it listens."""
        ...


S = TypeVar("S", bound=Candidate)


class Submitter(GearmanConnectionManager):
    """The part of a client that needs no connection."""

    #: What the methods that submit do if the caller does not say. python-gearman's
    #: README has False, its releases have True.
    wait_until_complete: ClassVar[bool] = True

    def __init__(
        self, host_list: AddressLike | Iterable[AddressLike] | None, random_unique_bytes: int
    ) -> None:
        super().__init__(host_list)
        self._turn = itertools.count()
        self._unique_bytes = min(max(random_unique_bytes, 8), 24)
        self._unique_start = os.urandom(self._unique_bytes).hex()
        self._unique_count = itertools.count()
        #: Foreground jobs whose unique the caller named, for as long as anybody waits.
        self._named: WeakValueDictionary[tuple[str, str], GearmanJobRequest] = WeakValueDictionary()
        self._pid = os.getpid()

    def _notice_fork(self) -> None:
        if os.getpid() != self._pid:
            self._start_anew_after_fork()

    def _start_anew_after_fork(self) -> None:
        """Share nothing with the parent process: no unique, and in subclasses no connection."""
        self._unique_start = os.urandom(self._unique_bytes).hex()
        self._pid = os.getpid()

    def _new_request(
        self,
        task: str | bytes,
        data: Any,
        unique: str | bytes | None,
        priority: str | None,
        *,
        background: bool,
        max_retries: int,
    ) -> GearmanJobRequest:
        if os.getpid() != self._pid:
            self._start_anew_after_fork()
        name = task if isinstance(task, str) else to_text(task)
        is_named = bool(unique)
        if not unique:
            # A random start for each process and a counter: one system call for
            # each process instead of one for each job. Both are safe between threads.
            unique = f"{self._unique_start}-{next(self._unique_count):x}"
        elif isinstance(unique, bytes):
            unique = to_text(unique)
        job = self.job_class(None, None, name, unique, data)
        request = self.job_request_class(job, priority, background, max_retries + 1)
        request.encoder = self.data_encoder
        if is_named:
            self._keep_apart(request)
        return request

    def _keep_apart(self, request: GearmanJobRequest) -> None:
        """Refuse a background job that gearmand would lose with its foreground namesake (F2)."""
        job = request.gearman_job
        if not request.background:
            self._named[job.task, job.unique] = request
            return
        waiting = self._named.get((job.task, job.unique))
        if waiting is not None and waiting.state in {JOB_PENDING, JOB_CREATED}:
            raise errors.LocalProtocolError(
                f"This client waits for {job.task} with the unique {job.unique!r}. A background "
                "job of the same name would be lost when it leaves; give it another unique"
            )

    def _new_requests(
        self,
        jobs_to_submit: Sequence[Mapping[str, Any]] | set[Any],
        *,
        background: bool,
        max_retries: int,
    ) -> list[GearmanJobRequest]:
        if not isinstance(jobs_to_submit, list | tuple | set):
            raise TypeError(
                f"jobs_to_submit is a list of dicts, got {type(jobs_to_submit).__name__}"
            )
        return [
            self._new_request(
                job["task"],
                job["data"],
                job.get("unique"),
                job.get("priority", PRIORITY_NONE),
                background=job.get("background", background),
                max_retries=job.get("max_retries", max_retries),
            )
            for job in jobs_to_submit
        ]

    def _encode(self, request: GearmanJobRequest, data: Any) -> bytes:
        encoder = self.data_encoder
        if encoder is not NoopEncoder or not isinstance(data, bytes):
            data = encode_with(encoder, data)
        background = request.background
        if background and not data:
            # gearmand's sqlite queue stores it as NULL and refuses to start again (F7).
            raise errors.LocalProtocolError(
                f"An empty payload for the background job {request.gearman_job.task}: gearmand "
                "with a persistent queue would not survive its restart; send at least one byte"
            )
        job = request.gearman_job
        if request.form is not None:
            return request.form.encode(request, to_bytes(job.task), to_bytes(job.unique), data)
        command = _SUBMIT.get((request.priority, background))
        if command is None:
            raise errors.LocalProtocolError(
                f"Priority {request.priority!r} is none of PRIORITY_NONE, PRIORITY_LOW, PRIORITY_HIGH"
            )
        return encode_submit(command, _function(job.task), to_bytes(job.unique), data)

    def _has_own_unique(self, request: GearmanJobRequest) -> bool:
        """Whether the unique is one of ours, so that no other job can have it."""
        return request.gearman_job.unique.startswith(self._unique_start)

    def _in_order(self, servers: Sequence[S], request: GearmanJobRequest) -> Sequence[S]:
        """Return the job servers in the order to try for one request.

        A job whose unique the caller named goes where every client sends it, so
        that job servers can coalesce it; the others go to each in turn. Those that
        failed lately are tried last.
        """
        if len(servers) < 2:
            return servers
        job = request.gearman_job
        if self._has_own_unique(request):
            first = next(self._turn) % len(servers)
            order = [*servers[first:], *servers[:first]]
        else:
            names = to_bytes(job.task), to_bytes(job.unique)
            order = by_preference(servers, *names, name=lambda server: str(server.address))
        now = time.monotonic()
        return sorted(order, key=lambda server: max(0.0, server.avoid_until - now))


def unavailable(failures: Sequence[errors.ConnectionError]) -> errors.ServerUnavailable:
    """Return the error that says why each of the job servers did not take a submit."""
    reasons = "; ".join(map(str, failures))
    error = errors.ServerUnavailable(f"No job server can be reached: {reasons or 'none was given'}")
    error.__cause__ = failures[-1] if failures else None
    return error


def prepare_retry(request: GearmanJobRequest, deadline: float | None) -> None:
    """Make a request that was lost before its answer ready for one more submit.

    Raises:
        AmbiguousSubmit: the caller allowed no retry.
        ExceededConnectionAttempts: all retries are used up, or there is no time for one.
    """
    ambiguous = request.error
    assert ambiguous is not None
    if request.max_connection_attempts <= 1:
        raise ambiguous
    if not may_retry(request) or is_over(deadline):
        raise errors.ExceededConnectionAttempts(
            f"{request.gearman_job.task} was lost {request.connection_attempts} times: {ambiguous}"
        ) from ambiguous
    request.reset()


def may_retry(request: GearmanJobRequest) -> bool:
    """Whether a request was lost before its answer, and may be submitted again."""
    return (
        isinstance(request.error, errors.AmbiguousSubmit)
        and request.connection_attempts < request.max_connection_attempts
    )


def is_accepted(request: GearmanJobRequest) -> bool:
    """Whether the submit has an answer, or will never have one."""
    return request.is_accepted


def is_settled(request: GearmanJobRequest) -> bool:
    """Whether nothing more will be heard of the job."""
    return request.is_settled


def deadline_after(seconds: float | None) -> float | None:
    """Return the moment in `seconds` from now, None for no limit."""
    return None if seconds is None else time.monotonic() + seconds


def seconds_until(deadline: float | None) -> float | None:
    """Return how long it is to a deadline, None if there is none."""
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def is_over(deadline: float | None) -> bool:
    """Whether a deadline has passed."""
    return deadline is not None and time.monotonic() >= deadline
