"""What happens to one foreground job, as an iterator of typed events."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from gearfleet import errors
from gearfleet.gearman.jobs import JOB_COMPLETE, GearmanJobRequest

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self


@dataclass(frozen=True, slots=True)
class _Told:
    data: Any


class JobData(_Told):
    """A part of the result (WORK_DATA)."""

    __slots__ = ()


class JobWarning(_Told):
    """Something that the worker warns of (WORK_WARNING)."""

    __slots__ = ()


class JobProgress(NamedTuple):
    """How much of the job is done (WORK_STATUS)."""

    numerator: int
    denominator: int


class JobResult(_Told):
    """The end of a job that did not fail (WORK_COMPLETE)."""

    __slots__ = ()


JobEvent = JobData | JobWarning | JobProgress | JobResult


class StreamedRequest(GearmanJobRequest):
    """A request that keeps the order of what comes of different kinds."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.events: deque[JobEvent] = deque()

    @classmethod
    def like(cls, request: GearmanJobRequest) -> StreamedRequest:
        """Return such a request for the job of another one, which is not submitted itself."""
        return cls(
            request.gearman_job,
            request.priority,
            request.background,
            request.max_connection_attempts,
            request.encoder,
        )

    def reset(self) -> None:
        super().reset()
        self.events.clear()

    def add_data(self, data: Any) -> None:
        self.events.append(JobData(data))

    def add_warning(self, data: Any) -> None:
        self.events.append(JobWarning(data))

    def update_status(self, known: bool, running: bool, numerator: int, denominator: int) -> None:
        super().update_status(known, running, numerator, denominator)
        self.events.append(JobProgress(numerator, denominator))


class JobStream:
    """The events of one job that was submitted with `GearmanClient.stream`.

    Iterate over it: it yields `JobData`, `JobWarning` and `JobProgress` in the
    order in which the worker sent them, and ends after a `JobResult`. What the
    worker sent before a coalescing submit was attached to the job is not in it.

    Attributes:
        request: the `GearmanJobRequest`, with its handle, state and exception.
    """

    def __init__(
        self, request: StreamedRequest, wait: Callable[[Callable[[], bool]], bool]
    ) -> None:
        self.request = request
        self._wait = wait
        self._has_ended = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> JobEvent:
        """Return the next event, when there is one.

        Raises:
            JobFailed: the job failed; `request.exception` is what the worker said.
            ConnectionError: the connection broke; the job may run or have run.
            JobTimeout: (also a TimeoutError) the time limit has passed. Iterate on
                to see whether something came meanwhile.
        """
        request = self.request
        if self._has_ended:
            raise StopIteration
        if not request.events and not self._wait(self._has_news):
            raise errors.JobTimeout(
                f"Job {request.gearman_job.handle} of {request.gearman_job.task} "
                "has not ended in time; it may still run"
            )
        if request.events:
            return request.events.popleft()
        self._has_ended = True
        return self._end()

    def _has_news(self) -> bool:
        return bool(self.request.events) or self.request.is_settled

    def _end(self) -> JobResult:
        request = self.request
        if request.state == JOB_COMPLETE:
            return JobResult(request.result)
        if request.error is not None:
            raise request.error
        reason = "" if request.exception is None else f": {request.exception!r}"
        raise errors.JobFailed(
            f"Job {request.gearman_job.handle} of {request.gearman_job.task} failed{reason}"
        )
