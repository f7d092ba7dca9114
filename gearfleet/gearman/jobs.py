"""The values that client and worker hand to their users: jobs and requests.

Names (task, unique, handle) are text, payloads are bytes, or whatever the
`data_encoder` makes of them.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any

from gearfleet.gearman.encoding import NoopEncoder

if TYPE_CHECKING:
    from gearfleet import errors
    from gearfleet.gearman.encoding import DataEncoder
    from gearfleet.gearman.forms import Form

PRIORITY_NONE = None
PRIORITY_LOW = "LOW"
PRIORITY_HIGH = "HIGH"

JOB_UNKNOWN = "UNKNOWN"  #: not submitted, or its connection broke
JOB_PENDING = "PENDING"  #: submitted, the job server has not answered
JOB_CREATED = "CREATED"  #: the job server has accepted it
JOB_QUEUED = JOB_CREATED
JOB_FAILED = "FAILED"
JOB_COMPLETE = "COMPLETE"


def to_text(name: bytes) -> str:
    """Return a name from the wire as text; bytes that are not UTF-8 survive the way back."""
    return name.decode("utf-8", "surrogateescape")


def to_message(text: bytes) -> str:
    """Return what a job server says as text that can be printed and logged anywhere."""
    return text.decode("utf-8", "backslashreplace")


def printable(name: str) -> str:
    """Return a name that `to_text` made, with what is not Unicode escaped: it is logged then, not lost."""
    return name.encode("utf-8", "backslashreplace").decode()


def to_bytes(name: str | bytes) -> bytes:
    """Return a name as the bytes that go on the wire."""
    return name if isinstance(name, bytes) else name.encode("utf-8", "surrogateescape")


class GearmanJob:
    """One job: what is to be done with which data, and its names on the job server.

    Attributes:
        connection: the address of the job server; a worker's job has a link to it.
        handle: the job server's name for the job, None until it is accepted.
        task: the name of the function.
        unique: the caller's name for the job.
        data: the payload.
    """

    __slots__ = ("connection", "data", "handle", "is_finished", "task", "unique")

    def __init__(
        self, connection: Any, handle: str | None, task: str, unique: str, data: Any
    ) -> None:
        self.connection = connection
        self.handle = handle
        self.task = task
        self.unique = unique
        self.data = data
        self.is_finished = False

    def to_dict(self) -> dict[str, Any]:
        """Return the job as python-gearman's dict."""
        return {
            "task": self.task,
            "job_handle": self.handle,
            "unique": self.unique,
            "data": self.data,
        }

    def __repr__(self) -> str:
        handle = self.handle or "not submitted"
        return printable(f"<GearmanJob {self.task} {handle} unique={self.unique}>")


class GearmanJobRequest:
    """One submitted job as its client sees it.

    Attributes:
        job: the `GearmanJob`; also as `gearman_job`.
        state: one of the JOB_* constants.
        result: the data of WORK_COMPLETE, None before.
        exception: the data of WORK_EXCEPTION, None otherwise.
        error: why there is no result: what the job server refused the submit
            with, how the connection broke, or how decoding failed.
        timed_out: the last wait ended before the job did.
        connection_failed: the connection broke; the job may run, or have run.
        status: what the job server last said of it: handle, known, running,
            numerator, denominator, time_received, last_time_received.
    """

    # What nothing was heard of has the class's value: most requests are told
    # one thing, and making many of them is what a bulk submit spends its time on.
    #: How it is submitted, if by none of the six commands of priority and background.
    form: Form | None = None
    connection_attempts = 0
    result: Any = None
    exception: Any = None
    error: errors.GearmanError | None = None
    state = JOB_UNKNOWN
    timed_out = False
    connection_failed = False
    is_accepted = False
    is_settled = False
    #: The connection and the question of a GET_STATUS that has no answer yet.
    status_query: tuple[Any, Any] | None = None
    _status: dict[str, Any] | None = None
    _data_updates: deque[Any] | None = None
    _warning_updates: deque[Any] | None = None

    def __init__(
        self,
        gearman_job: GearmanJob,
        initial_priority: str | None = PRIORITY_NONE,
        background: bool = False,
        max_attempts: int = 1,
        encoder: type[DataEncoder] = NoopEncoder,
    ) -> None:
        self.gearman_job = gearman_job
        self.priority = initial_priority
        self.background = background
        self.max_connection_attempts = max_attempts
        self.encoder = encoder

    def reset(self) -> None:
        """Forget everything that was heard of the job, as before its submit."""
        self.gearman_job.handle = None
        self.gearman_job.connection = None
        for name in _HEARD.intersection(vars(self)):
            delattr(self, name)

    @property
    def job(self) -> GearmanJob:
        return self.gearman_job

    @property
    def unique(self) -> str:
        return self.gearman_job.unique

    @property
    def complete(self) -> bool:
        """Whether the job has ended; for a background job, whether it was accepted."""
        if self.state == JOB_CREATED:
            return self.background
        return self.state in {JOB_COMPLETE, JOB_FAILED}

    @property
    def data_updates(self) -> deque[Any]:
        """The data of WORK_DATA packets, oldest first; take them with `popleft`."""
        if self._data_updates is None:
            self._data_updates = deque()
        return self._data_updates

    @property
    def warning_updates(self) -> deque[Any]:
        """The data of WORK_WARNING packets, oldest first; take them with `popleft`."""
        if self._warning_updates is None:
            self._warning_updates = deque()
        return self._warning_updates

    @property
    def status(self) -> dict[str, Any]:
        """What the job server last said of the job, empty before that."""
        if self._status is None:
            self._status = {}
        return self._status

    @property
    def server_status(self) -> dict[str, Any]:
        """`status`, as python-gearman's README calls it."""
        return self.status

    @property
    def status_updates(self) -> deque[tuple[int, int]]:
        """The last numerator and denominator, none before the first, as in python-gearman."""
        if not self._status:
            return deque()
        return deque([(self._status["numerator"], self._status["denominator"])])

    # What the connection's session does with a request. `is_accepted` and
    # `is_settled` are set last: another thread may be waiting for them.

    def mark_submitted(self, connection: Any) -> None:
        self.connection_attempts += 1
        self.gearman_job.connection = connection
        self.state = JOB_PENDING

    def mark_created(self, handle: bytes) -> None:
        self.gearman_job.handle = handle.decode("utf-8", "surrogateescape")
        self.state = JOB_CREATED
        self.is_settled = self.background
        self.is_accepted = True

    def mark_complete(self, data: bytes) -> None:
        self.result = data if self.encoder is NoopEncoder else self.encoder.decode(data)
        self.state = JOB_COMPLETE
        self.is_settled = True

    def mark_failed(
        self, *, exception: Any = None, error: errors.GearmanError | None = None
    ) -> None:
        self.exception = exception
        self.error = error
        self.state = JOB_FAILED
        self.is_accepted = self.is_settled = True

    def mark_lost(self, error: errors.GearmanError) -> None:
        self.state = JOB_UNKNOWN
        self.error = error
        self.connection_failed = True
        self.is_accepted = self.is_settled = True

    def add_data(self, data: Any) -> None:
        self.data_updates.append(data)

    def add_warning(self, data: Any) -> None:
        self.warning_updates.append(data)

    def update_status(self, known: bool, running: bool, numerator: int, denominator: int) -> None:
        self._status = {
            "handle": self.gearman_job.handle,
            "known": known,
            "running": running,
            "numerator": numerator,
            "denominator": denominator,
            "time_received": time.time(),
            "last_time_received": self.status.get("time_received"),
        }

    def __repr__(self) -> str:
        return f"<GearmanJobRequest {self.gearman_job!r} {self.state}>"


#: What `GearmanJobRequest.reset` forgets.
_HEARD = frozenset(
    {
        "result", "exception", "error", "state", "timed_out", "connection_failed", "is_accepted",
        "is_settled", "status_query", "_status", "_data_updates", "_warning_updates",
    }
)  # fmt: skip
