"""The seam between a task and the client that submits it.

A task knows nothing of job servers: it hands its name, its arguments and the
options of the call to the process's `Submitter`, which is a
`gearfleet.client.Client` unless a test binds another.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, cast

from gearfleet.tasks.codecs import CODEC_NAMES, CodecName
from gearfleet.tasks.moments import epoch_of, seconds_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

Priority = Literal["high", "normal", "low"]
PRIORITIES: tuple[Priority, ...] = ("high", "normal", "low")

_bound: Submitter | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitOptions:
    """How one job is submitted.

    Attributes:
        priority: which jobs of a function the job server hands out first. A delayed
            job has a function of its own, where all have normal priority.
        unique: jobs of a function with the same one are run once while one is
            pending; True makes one of the arguments; None for a job of its own.
        timeout: seconds to wait for the job server's acceptance and, in the
            foreground, for the result; None for the setting `client_timeout`.
        max_retries: how often to submit again when the connection breaks before
            the job server has answered; the job may then run more than once.
        after: seconds (or a timedelta) before which the job is not run.
        at: an aware datetime before which the job is not run.
        expires: seconds (or a timedelta) after it was due, or an aware datetime,
            after which the job is dropped and not run.
        name: of the job, for people; results are found by it.
        group: of jobs, whose results are found together.
        hook: dotted path of a function that is called when the job has ended.
        save: whether the result is stored; None as the settings say.
        chain: what runs when the job has succeeded.
        codec: of the payload; see `gearfleet.task`.
        signed: True must be, False is not, None is signed if there is a key.
        id: of the job, 32 hexadecimal digits; empty for a new one.
        about: see `Meta.about`.
        on_data: called with each part that the task sends; only for a caller that waits.
        on_warning: called with the text of each warning, likewise.
        on_progress: called with the two numbers of each progress, likewise.
    """

    priority: Priority = "normal"
    unique: str | bytes | bool | None = None
    timeout: float | None = None
    max_retries: int = 0
    after: float | timedelta | None = None
    at: datetime | None = None
    expires: float | timedelta | datetime | None = None
    name: str = ""
    group: str = ""
    hook: str = ""
    save: bool | None = None
    chain: tuple[Any, ...] = ()
    codec: CodecName = "envelope"
    signed: bool | None = None
    id: str = ""
    about: dict[str, Any] | None = None
    on_data: Callable[[Any], object] | None = None
    on_warning: Callable[[str], object] | None = None
    on_progress: Callable[[int, int], object] | None = None

    @property
    def listens(self) -> bool:
        """Whether something is called while the job runs."""
        return any((self.on_data, self.on_warning, self.on_progress))

    def __post_init__(self) -> None:
        if self.priority not in PRIORITIES:
            raise ValueError(
                f"priority must be one of {', '.join(PRIORITIES)}; it is {self.priority!r}"
            )
        if self.codec not in CODEC_NAMES:
            raise ValueError(f"codec must be one of {', '.join(CODEC_NAMES)}; it is {self.codec!r}")
        unique: Any = self.unique
        if unique is not None and (
            not isinstance(unique, str | bytes | bool) or unique in ("", b"")
        ):
            raise ValueError(f"unique must be a text that names the job, or True; it is {unique!r}")
        self.due_at(0.0)
        self.expires_at(0.0)

    def due_at(self, now: float) -> float:
        """Return the moment before which the job is not run; 0 for one that is due at once."""
        if self.at is not None and self.after is not None:
            raise ValueError("A job is submitted with after= or with at=, not with both")
        if self.at is not None:
            return epoch_of(self.at, "at")
        if self.after is not None and (seconds := seconds_of(self.after, "after")):
            return now + seconds
        return 0.0

    def expires_at(self, now: float) -> float:
        """Return the moment after which the job is dropped; 0 for never."""
        if self.expires is None:
            return 0.0
        if isinstance(self.expires, datetime):
            return epoch_of(self.expires, "expires")
        return max(now, self.due_at(now)) + seconds_of(self.expires, "expires")


class TaskCall(NamedTuple):
    """A call that is not submitted yet; make one with `fn.call(...)`.

    Attributes:
        name: of the task.
        args: of the call.
        kwargs: of the call.
        options: with which the job will be submitted.
    """

    name: str
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    options: SubmitOptions = SubmitOptions()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobHandle:
    """A job that a job server has accepted.

    Attributes:
        id: of the job, as its log lines and its result carry it.
        function: under which the job server queued it.
        unique: that the job server knows it by.
        server: that accepted it, ``host:port``.
    """

    id: str
    function: str
    unique: str
    server: str

    def status(self) -> HandleStatus:
        """Ask the job server whether the job is queued or running, and how far it is.

        A job that has ended is unknown to it, as one that it never had.

        Raises:
            ServerUnavailable: it does not answer.
        """
        return submitter().status(self)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the job has ended; return False if it has not after `timeout` seconds.

        The record of the job tells, so one whose result is not kept is not noticed.
        None is for the setting `client_timeout`.
        """
        return submitter().wait(self, timeout)

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the job and return what the task returned.

        Raises:
            JobFailed: the task raised; the message says what.
            JobExpired: the job began too late, and was dropped.
            JobTimeout: it has not ended after `timeout` seconds (None for the setting
                `client_timeout`), or its result is not kept.
            ResultStoreUnavailable: results are not kept, or cannot be read.
        """
        return submitter().outcome(self, timeout)

    async def aresult(self, timeout: float | None = None) -> Any:
        """Do what `result` does, and let the event loop go on meanwhile."""
        return await submitter().aoutcome(self, timeout)


class HandleStatus(NamedTuple):
    """What a job server knows of a job.

    Attributes:
        state: ``queued``, also before its time; ``running``; or ``unknown``.
        numerator: how far it is, as the task last said.
        denominator: of how much; 0 if the task did not say.
    """

    state: Literal["queued", "running", "unknown"] = "unknown"
    numerator: int = 0
    denominator: int = 0

    def __str__(self) -> str:
        progress = f" {self.numerator}/{self.denominator}" if self.denominator else ""
        return f"{self.state}{progress}"


class Submitter(Protocol):
    """Whoever can submit a job of the task called `name`."""

    def run(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], options: SubmitOptions
    ) -> Any:
        """Submit in the foreground; return what the task returned."""

    def enqueue(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], options: SubmitOptions
    ) -> JobHandle:
        """Submit in the background; return when the job server has accepted the job."""

    def enqueue_many(self, calls: Iterable[TaskCall]) -> list[JobHandle]:
        """Submit many in the background, all before the first answer is awaited."""

    async def arun(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], options: SubmitOptions
    ) -> Any:
        """Do what `run` does, and let the event loop go on meanwhile."""

    async def aenqueue(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], options: SubmitOptions
    ) -> JobHandle:
        """Do what `enqueue` does, and let the event loop go on meanwhile."""

    def status(self, handle: JobHandle) -> HandleStatus:
        """Return what the job server knows of a job."""

    def wait(self, handle: JobHandle, timeout: float | None = None) -> bool:
        """Wait until a job has ended; return False if it has not in time."""

    def outcome(self, handle: JobHandle, timeout: float | None = None) -> Any:
        """Wait for a job in the background, and return what the task returned."""

    async def aoutcome(self, handle: JobHandle, timeout: float | None = None) -> Any:
        """Do what `outcome` does, and let the event loop go on meanwhile."""


def submitter() -> Submitter:
    """Return the submitter that is bound, else the default client of this process."""
    if _bound is not None:
        return _bound
    # By name, because the client stands on a higher floor.
    return cast("Submitter", import_module("gearfleet.client").default_client())


def stand_in() -> Submitter | None:
    """Return the submitter that is bound if it stands in for clients too, not only for tasks."""
    return _bound if getattr(_bound, "stands_in_for_clients", False) else None


@contextmanager
def bind(replacement: Submitter) -> Iterator[None]:
    """Let `replacement` submit the jobs of all tasks inside the block, in all threads."""
    global _bound  # noqa: PLW0603 - one process has one submitter
    before, _bound = _bound, replacement
    try:
        yield
    finally:
        _bound = before
