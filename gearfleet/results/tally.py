"""How many records a store has, counted where they are: `Counting`, which our stores can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gearfleet.results.record import Sealed, State


class Tally(NamedTuple):
    """The records of one task and one state that ended since some moment.

    Attributes:
        task: its name.
        state: of all of them.
        jobs: how many.
        seconds: that their last attempts took, together.
        begun: how many of them are known to have been submitted and begun, and when.
        waited: seconds from the submits to the begins of these, together.
    """

    task: str
    state: State
    jobs: int
    seconds: float
    begun: int
    waited: float


class Kept(NamedTuple):
    """What a store keeps within its limits.

    Attributes:
        successes: how many.
        first_success: when the oldest of them ended; 0 where there is none.
        others: likewise for whatever is no success.
        first_other: likewise.
    """

    successes: int = 0
    first_success: float = 0.0
    others: int = 0
    first_other: float = 0.0


@runtime_checkable
class Counting(Protocol):
    """A result store that can count."""

    def tally(self, since: float) -> list[Tally]:
        """Count the records of jobs that ended at `since` or later, by task and state."""

    def kept(self) -> Kept:
        """Count the records that the limits apply to."""


def tally(sealed: Iterable[Sealed]) -> list[Tally]:
    """Count `sealed` by task and state."""
    found: dict[tuple[str, State], list[Sealed]] = {}
    for each in sealed:
        found.setdefault((each.task, each.state), []).append(each)
    return [_tally(*key, found[key]) for key in sorted(found)]


def _tally(task: str, state: State, sealed: list[Sealed]) -> Tally:
    begun = [each for each in sealed if each.enqueued_at > 0 and each.started > 0]
    return Tally(
        task=task,
        state=state,
        jobs=len(sealed),
        seconds=sum(each.stopped - each.started for each in sealed if each.started > 0),
        begun=len(begun),
        waited=sum(each.started - each.enqueued_at for each in begun),
    )


def kept(sealed: Iterable[Sealed]) -> Kept:
    """Count those of `sealed` that the limits apply to."""
    limited = [each for each in sealed if not each.keep_until]
    successes = [each.stopped for each in limited if each.state == "success"]
    others = [each.stopped for each in limited if each.state != "success"]
    return Kept(
        successes=len(successes),
        first_success=min(successes, default=0.0),
        others=len(others),
        first_other=min(others, default=0.0),
    )
