"""``OPTIONS`` of a backend in Django's TASKS: what each means, and what is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gearfleet.tasks.moments import seconds_of
from gearfleet.tasks.options import TaskOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Options that hold for every task of the backend, as `gearfleet.task` has them for one.
OF_TASKS = ("RETRIES", "BACKOFF", "TIME_LIMIT", "SOFT_TIME_LIMIT", "EXPIRES")

KNOWN = ("ANY_QUEUE", "ENQUEUE_ON_COMMIT", "KEEP_RESULTS", *OF_TASKS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What ``OPTIONS`` say.

    Attributes:
        any_queue: whether each task is served in every queue of ``QUEUES``.
        enqueue_on_commit: whether jobs are submitted when the transaction is committed.
        keep_results: seconds for which results are kept, whatever GEARFLEET's limits; 0 for
            as these say.
        of_tasks: options of all tasks of the backend, by the names of `TaskOptions`.
    """

    any_queue: bool = False
    enqueue_on_commit: bool = False
    keep_results: float = 0.0
    of_tasks: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, table: Mapping[str, Any]) -> Options:
        """Return what `table` says; what `problems` finds in it counts as not given."""
        wrong = problems(table)
        good = {name: value for name, value in table.items() if name in KNOWN and name not in wrong}
        keep = good.get("KEEP_RESULTS")
        return cls(
            any_queue=good.get("ANY_QUEUE", False),
            enqueue_on_commit=good.get("ENQUEUE_ON_COMMIT", False),
            keep_results=0.0 if keep is None else seconds_of(keep, "KEEP_RESULTS"),
            of_tasks={name.lower(): good[name] for name in OF_TASKS if name in good},
        )


def problems(table: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong with the values of `table`, by their names; unknown names are not looked at."""
    found = {
        name: _CHECKS.get(name, _of_task(name))(table[name]) for name in KNOWN if name in table
    }
    return {name: problem for name, problem in found.items() if problem}


def _of_task(name: str) -> Callable[[Any], str | None]:
    return lambda value: TaskOptions(**{name.lower(): value}).problem()


def _flag(value: Any) -> str | None:
    return None if isinstance(value, bool) else f"{value!r}: it must be True or False"


def _period(value: Any) -> str | None:
    try:
        is_period = value is None or seconds_of(value, "it") > 0
    except (TypeError, ValueError):
        is_period = False
    return (
        None if is_period else f"{value!r}: it must be more than 0 seconds, a number or a timedelta"
    )


_CHECKS: Mapping[str, Callable[[Any], str | None]] = {
    "ANY_QUEUE": _flag,
    "ENQUEUE_ON_COMMIT": _flag,
    "KEEP_RESULTS": _period,
}
