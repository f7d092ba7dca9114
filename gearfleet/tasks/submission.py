"""The seam between a task and the client that submits it.

A task knows nothing of job servers: it hands its name, its arguments and the
options of the call to the process's `Submitter`, which is a
`gearfleet.client.Client` unless a test binds another.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Priority = Literal["high", "normal", "low"]
PRIORITIES: tuple[Priority, ...] = ("high", "normal", "low")

_bound: Submitter | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitOptions:
    """How one job is submitted.

    Attributes:
        priority: which jobs of a function the job server hands out first.
        unique: jobs of a function with the same one are run once while one is
            pending; None for a job of its own.
        timeout: seconds to wait for the job server's acceptance and, in the
            foreground, for the result; None for the setting `client_timeout`.
    """

    priority: Priority = "normal"
    unique: str | None = None
    timeout: float | None = None

    def __post_init__(self) -> None:
        if self.priority not in PRIORITIES:
            raise ValueError(
                f"priority must be one of {', '.join(PRIORITIES)}; it is {self.priority!r}"
            )
        if self.unique is not None and (not isinstance(self.unique, str) or not self.unique):
            raise ValueError(f"unique must be a text that names the job; it is {self.unique!r}")


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


def submitter() -> Submitter:
    """Return the submitter that is bound, else the default client of this process."""
    if _bound is not None:
        return _bound
    # By name, because the client stands on a higher floor.
    return cast("Submitter", import_module("gearfleet.client").default_client())


@contextmanager
def bind(replacement: Submitter) -> Iterator[None]:
    """Let `replacement` submit the jobs of all tasks inside the block, in all threads."""
    global _bound  # noqa: PLW0603 - one process has one submitter
    before, _bound = _bound, replacement
    try:
        yield
    finally:
        _bound = before
