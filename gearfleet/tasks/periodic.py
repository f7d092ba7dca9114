"""`@periodic`: a task that is submitted at its times, declared where the task is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, ParamSpec, TypeVar

from gearfleet.errors import TaskDeclarationError
from gearfleet.tasks.task import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime, time

P = ParamSpec("P")
R = TypeVar("R")

#: The kinds of schedules that can be declared by name.
Kind = Literal[
    "once", "minutes", "hourly", "daily", "weekly", "biweekly",
    "monthly", "bimonthly", "quarterly", "yearly", "cron",
]  # fmt: skip


class Periodic(NamedTuple):
    """A schedule that is declared beside its task; `gearfleet.schedule` reads it.

    Attributes:
        name: of the schedule.
        table: what ``[schedules.NAME]`` would say.
    """

    name: str
    table: Mapping[str, Any]


def periodic(
    schedule_type: Kind | None = None,
    *,
    minutes: int | None = None,
    cron: str | None = None,
    start: datetime | time | None = None,
    time_zone: str | None = None,
    name: str | None = None,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    repeats: int = -1,
    catch_up: bool = False,
    intended_date_kwarg: str | None = None,
) -> Callable[[Task[P, R]], Task[P, R]]:
    """Declare a schedule of the task below, which ``gearfleet scheduler`` submits at its times.

    It may stand several times above one task, each with a `name` of its own.

    Args:
        schedule_type: what kind of schedule; ``minutes`` and ``cron`` follow from theirs.
        minutes: between two jobs.
        cron: when, as cron has it.
        start: the first time, or the time of day; default: the beginning of a day, a
            week (Monday), a month, a year.
        time_zone: of `start` and of the days; None for the setting `time_zone`.
        name: of the schedule; None for that of the task.
        args: of the call.
        kwargs: of the call.
        repeats: how many jobs there are to be; -1 for any number.
        catch_up: whether each occurrence that was missed is submitted later; else only
            the latest of them is.
        intended_date_kwarg: the argument that gets the moment for which a job is intended.

    Raises:
        TaskDeclarationError: what stands below is no task.

    Example:
        @periodic("daily", start=time(3, 0))
        @task(queue="reports")
        def report() -> None: ...
    """
    given = {
        "schedule_type": schedule_type,
        "minutes": minutes,
        "cron": cron,
        "start": start,
        "time_zone": time_zone,
        "args": list(args),
        "kwargs": dict(kwargs or {}),
        "repeats": repeats,
        "catch_up": catch_up,
        "intended_date_kwarg": intended_date_kwarg,
    }

    def declare(task: Task[P, R]) -> Task[P, R]:
        below: Any = task
        if not isinstance(below, Task):
            raise TaskDeclarationError(
                f"@periodic stands above @task, whose result it takes; here it is {below!r}"
            )
        table = {key: item for key, item in given.items() if item is not None}
        task.periodics = (
            *task.periodics,
            Periodic(name or task.name, {**table, "task": task.name}),
        )
        return task

    return declare
