"""Code of the project that is told of each job before it is submitted: `before_submit`.

    @before_submit
    def count(submission):
        submitted[submission.task] += 1

It is called in the process that submits, in its thread, before anything is sent; what it
raises reaches the caller, and the job is not submitted. Further attempts are not announced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gearfleet.tasks.meta import Meta

    F = TypeVar("F", bound="Callable[[Submission], object]")


class Submission(NamedTuple):
    """A job that is about to be submitted.

    Attributes:
        task: its name.
        args: of the call.
        kwargs: of the call.
        meta: what travels with them, such as the id.
    """

    task: str
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    meta: Meta


_listeners: list[Callable[[Submission], object]] = []


def before_submit(func: F) -> F:
    """Call `func(submission)` before each job of this process is submitted."""
    if func not in _listeners:
        _listeners.append(func)
    return func


def is_anybody_told() -> bool:
    """Return whether `announce` has somebody to tell."""
    return bool(_listeners)


def announce(task: str, args: Sequence[Any], kwargs: Mapping[str, Any], meta: Meta) -> None:
    """Tell everybody who wants to know of a job."""
    for listener in _listeners:
        listener(Submission(task, args, kwargs, meta))
