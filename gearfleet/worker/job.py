"""What a worker knows of one job, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gearfleet.tasks import Task
    from gearfleet.tasks.failure import Failure
    from gearfleet.tasks.meta import Meta


class Assignment(Protocol):
    """A job as the Gearman layer hands it over."""

    @property
    def task(self) -> str:
        """The function."""

    @property
    def handle(self) -> str | None: ...
    @property
    def unique(self) -> str: ...
    @property
    def data(self) -> bytes: ...


# One is made for every job; a NamedTuple takes a third of a frozen dataclass's time.
class Job(NamedTuple):
    """One request to run a task, as `before_job` and `after_job` hooks see it.

    Attributes:
        task: that is run.
        args: of the call.
        kwargs: of the call.
        meta: what the caller's gearfleet said of the job; None from other clients.
        function: the task's name on the job server.
        handle: the job server's name for the job.
        unique: the caller's name for the job.
    """

    task: Task[..., Any]
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    meta: Meta | None
    function: str
    handle: str
    unique: str


class Completed(NamedTuple):
    """The task returned `value`; `data` is what its caller is sent."""

    value: Any
    data: bytes


class Failed(NamedTuple):
    """The job failed; `failure` is what its caller is told of `error`.

    `is_ours` says that the caller is a gearfleet client, which asks job servers
    for exceptions.
    """

    error: BaseException
    failure: Failure
    is_ours: bool = False


Outcome = Completed | Failed


def server_of(assignment: Any) -> Any:
    """Return the address of the job server that gave the job out; tests have jobs of none."""
    return getattr(getattr(assignment, "connection", None), "address", "")
