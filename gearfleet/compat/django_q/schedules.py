"""`schedule` by Django Q's names."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gearfleet import config
from gearfleet.compat.django_q.calls import WITHOUT_MEANING, task_of, tell
from gearfleet.errors import ScheduleError, did_you_mean
from gearfleet.schedule.api import KEPT, checked, keep, made
from gearfleet.schedule.model import Plan
from gearfleet.schedule.timing import timing
from gearfleet.tasks.naming import hook_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from gearfleet.schedule import Schedule

#: Django Q's names for what a schedule keeps of its jobs.
_NAMES = {"task_name": "name"}


def schedule(
    func: Callable[..., Any] | str,
    *args: Any,
    name: str | None = None,
    hook: Callable[..., Any] | str | None = None,
    schedule_type: str | None = None,
    minutes: int | None = None,
    repeats: int = -1,
    next_run: datetime | None = None,
    q_options: Mapping[str, Any] | None = None,
    cluster: str | None = None,
    cron: str | None = None,
    intended_date_kwarg: str | None = None,
    catch_up: bool = True,
    **kwargs: Any,
) -> Schedule:
    """Keep a schedule, whose jobs ``gearfleet scheduler`` submits; return it.

    It is `gearfleet.schedule.schedule`, but for what is different in Django Q: any
    function of a task will do, the intended date is text, and what was missed is caught up.

    Raises:
        UnknownName: `func` is no task; the message says how to make it one.
        ScheduleError: it cannot be meant, or there is a schedule of this name.
    """
    task, options = task_of(func).name, dict(q_options or {})
    cluster = options.pop("cluster", None) or cluster
    when = timing(schedule_type, minutes=minutes, cron=cron, zone=config.current().time_zone)
    plan = Plan(
        task=task,
        args=args,
        kwargs=kwargs,
        options=_kept(options),
        intended_date_kwarg=intended_date_kwarg or "",
        intended_as_text=True,
        cluster=checked(task, cluster),
    )
    if hook is not None:
        plan = replace(plan, options={**plan.options, "hook": hook_path(hook)})
    return keep(made(plan, when, next_run, repeats, name=name, catch_up=catch_up))


def _kept(options: Mapping[str, Any]) -> dict[str, Any]:
    kept = {}
    for name, value in options.items():
        ours = _NAMES.get(name, name)
        if ours in KEPT:
            kept[ours] = hook_path(value) if ours == "hook" else value
        elif name in WITHOUT_MEANING:
            tell(name, WITHOUT_MEANING[name])
        else:
            raise ScheduleError(
                f"The option '{name}' cannot be kept with a schedule {did_you_mean(name, KEPT)}"
            )
    return kept
