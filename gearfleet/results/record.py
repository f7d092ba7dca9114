"""`TaskRecord`: what is remembered of a job that has ended, and its form in a store.

Values are kept as the envelope writes them, so that they come back equal, types
included. What can change is written when the job ends: a task that goes on to
change a list that it returned changes no record.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from gearfleet.errors import JobInterrupted, PayloadEncodeError
from gearfleet.results.names import readable_name
from gearfleet.tasks.failure import Failure, decode_failure, encode_failure
from gearfleet.tasks.payload import decode_value, encode_plain, encode_value
from gearfleet.tasks.typed import FAST

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: ``retry`` is a failed attempt after which another one comes.
State = Literal["success", "failure", "expired", "retry"]

#: Characters of a value that the envelope cannot write, as a record shows it.
MAX_SHOWN = 4_000


# One is made for every job; a NamedTuple takes a third of a frozen dataclass's time.
class TaskRecord(NamedTuple):
    """A job that has ended.

    Attributes:
        id: of the job.
        task: its name.
        state: ``success``, ``failure``, ``expired``; ``retry`` for an attempt that
            failed and is followed by another.
        name: of the job, for people; four words made of the id if the caller gave none.
        function: under which the job server queued it.
        queue: of the task.
        args: of the call.
        kwargs: of the call.
        group: of jobs that it belongs to.
        hook: dotted path of what is called with this record.
        enqueued_at: when it was submitted, in seconds since the epoch, as the next two.
        started: when the last attempt began.
        stopped: when that ended.
        attempt: the number of that attempt; 1 for the first.
        result: what the task returned.
        failure: why the job failed; None for a success.
        server: the job server that gave it out.
        handle: its name there.
        keep_until: when the record is dropped, whatever the limits; 0 for never.
        has_arguments: whether `args` and `kwargs` are the job's own; False where they could
            not be read, and where they stand here as texts, because the envelope cannot
            write them.
        about: what the framework that declared the task keeps of the job; see `Meta.about`.
    """

    id: str
    task: str
    state: State = "success"
    name: str = ""
    function: str = ""
    queue: str = ""
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = {}
    group: str = ""
    hook: str = ""
    enqueued_at: float = 0.0
    started: float = 0.0
    stopped: float = 0.0
    attempt: int = 1
    result: Any = None
    failure: Failure | None = None
    server: str = ""
    handle: str = ""
    keep_until: float = 0.0
    has_arguments: bool = True
    about: Mapping[str, Any] = {}

    @property
    def is_success(self) -> bool:
        """Whether the task returned."""
        return self.state == "success"

    @property
    def is_final(self) -> bool:
        """Whether no other attempt comes."""
        return self.state != "retry"

    @property
    def seconds(self) -> float:
        """How long the last attempt took."""
        return max(0.0, self.stopped - self.started)


class Sealed(NamedTuple):
    """A record as a store keeps it: texts, numbers and bytes."""

    id: str
    name: str
    task: str
    state: State
    function: str
    queue: str
    group: str
    hook: str
    enqueued_at: float
    started: float
    stopped: float
    attempt: int
    server: str
    handle: str
    keep_until: float
    arguments: bytes
    result: bytes
    failure: bytes

    def record(self) -> TaskRecord:
        """Return the record, with its values."""
        # A third item is what else is kept of the job; null says that these are not the
        # arguments themselves.
        args, kwargs, *others = decode_value(self.arguments)
        return TaskRecord(
            id=self.id,
            task=self.task,
            state=self.state,
            name=self.name,
            function=self.function,
            queue=self.queue,
            args=tuple(args),
            kwargs=kwargs,
            group=self.group,
            hook=self.hook,
            enqueued_at=self.enqueued_at,
            started=self.started,
            stopped=self.stopped,
            attempt=self.attempt,
            result=decode_value(self.result),
            failure=decode_failure(self.failure) if self.failure else None,
            server=self.server,
            handle=self.handle,
            keep_until=self.keep_until,
            has_arguments=None not in others,
            about=next(filter(None, others), {}),
        )


class Unsealed(NamedTuple):
    """A success of which nothing unusual is to be kept, and whose values nobody can change.

    So it need not be put into bytes before it is written, and most often it never is: of a
    burst of short jobs only the last ones are kept.
    """

    id: str
    task: str
    function: str
    queue: str
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    enqueued_at: float
    started: float
    stopped: float
    result: bytes
    server: object
    handle: str
    # What it has in common with all others.
    state: State = "success"
    group: str = ""
    attempt: int = 1
    keep_until: float = 0.0

    @property
    def name(self) -> str:
        """What people call the job."""
        return readable_name(self.id)

    def seal(self) -> Sealed:
        """Return it as a store keeps it."""
        return Sealed(
            self.id,
            self.name,
            self.task,
            "success",
            self.function,
            self.queue,
            "",
            "",
            self.enqueued_at,
            self.started,
            self.stopped,
            1,
            str(self.server),
            self.handle,
            0.0,
            _plain_arguments(self.args, self.kwargs),
            self.result,
            b"",
        )  # by position: that takes half of the time


def are_fixed(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Return whether nobody can change one of these arguments."""
    return FAST.issuperset(map(type, args)) and (
        not kwargs or FAST.issuperset(map(type, kwargs.values()))
    )


def seal(record: TaskRecord) -> Sealed:
    """Return `record` as a store keeps it.

    A value that only another codec can send is kept as the text of its repr.
    """
    return Sealed(
        id=record.id,
        name=record.name or readable_name(record.id),
        task=record.task,
        state=record.state,
        function=record.function,
        queue=record.queue,
        group=record.group,
        hook=record.hook,
        enqueued_at=record.enqueued_at,
        started=record.started,
        stopped=record.stopped,
        attempt=record.attempt,
        server=record.server,
        handle=record.handle,
        keep_until=record.keep_until,
        arguments=_arguments(
            record.args, record.kwargs, has_them=record.has_arguments, about=record.about
        ),
        result=_written(record.result),
        failure=encode_failure(record.failure) if record.failure else b"",
    )


def _plain_arguments(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bytes:
    """Return what `_arguments` does, of values that nobody can change."""
    if not kwargs:  # a key may have to be written in another way
        try:
            return encode_plain((args, {}))
        except ValueError:
            pass
    return _arguments(args, kwargs)


def _arguments(
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    has_them: bool = True,
    about: Mapping[str, Any] | None = None,
) -> bytes:
    others = [*([] if has_them else [None]), *([about] if about else [])]
    try:
        return encode_value([list(args), kwargs, *others])
    except PayloadEncodeError:
        shown = {key: _shown(item) for key, item in kwargs.items()}
        return encode_value([list(map(_shown, args)), shown, None])


def _written(value: Any) -> bytes:
    if value is None:
        return b"null"
    try:
        return encode_value(value)
    except PayloadEncodeError:
        return json.dumps(_shown(value)).encode()


def _shown(value: Any) -> str:
    try:
        return repr(value)[:MAX_SHOWN].encode("utf-8", "backslashreplace").decode()
    except JobInterrupted:
        raise
    except BaseException as error:  # also sys.exit(): to show a value does not end the worker
        return f"<{type(value).__name__} whose repr raises {type(error).__name__}>"
