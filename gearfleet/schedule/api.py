"""`schedule`: make a schedule from code that runs, and keep it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from gearfleet import config
from gearfleet.errors import ScheduleError, did_you_mean
from gearfleet.schedule.clusters import in_cluster
from gearfleet.schedule.model import Plan, Schedule
from gearfleet.schedule.store import open_schedules
from gearfleet.schedule.timing import Timing, occurrence_after, timing
from gearfleet.tasks import SubmitOptions, Task, TaskCall
from gearfleet.tasks.declarations import declared_anywhere, find
from gearfleet.tasks.naming import hook_path
from gearfleet.tasks.payload import encode_value

if TYPE_CHECKING:
    from collections.abc import Callable

#: The options of a job that a schedule keeps.
KEPT = ("priority", "name", "group", "hook", "save")


def schedule(
    func: Task[..., Any] | TaskCall | str,
    /,
    *args: Any,
    schedule_type: str | None = None,
    minutes: int | None = None,
    cron: str | None = None,
    next_run: datetime | None = None,
    repeats: int = -1,
    name: str | None = None,
    hook: Callable[..., Any] | str | None = None,
    catch_up: bool = False,
    time_zone: str | None = None,
    intended_date_kwarg: str | None = None,
    cluster: str | None = None,
    **kwargs: Any,
) -> Schedule:
    """Keep a schedule, whose jobs ``gearfleet scheduler`` submits; return it.

    Args:
        func: the task, its name, or a call of it, ``fn.call(...)``, whose arguments may
            have any names and whose options, such as the priority, are kept.
        args: of the call.
        schedule_type: ``once`` (the default), ``minutes``, ``hourly``, ``daily``, ``weekly``,
            ``biweekly``, ``monthly``, ``bimonthly``, ``quarterly``, ``yearly`` or ``cron``;
            Django Q's letters mean the same.
        minutes: between two jobs.
        cron: when, as cron has it.
        next_run: the first time, from which the others are counted; an aware datetime.
            Default: now; of a cron expression, its next time.
        repeats: how many jobs there are to be; -1 for any number.
        name: of the schedule and, if they have no other, the group of its jobs; default:
            the task's name with a number, if need be.
        hook: called when a job has ended: a function or its dotted path.
        catch_up: whether each occurrence that was missed is submitted later; else only
            the latest of them is.
        time_zone: in whose time days begin; None for the setting `time_zone`.
        intended_date_kwarg: the argument that gets the moment for which a job is intended.
        cluster: the queue that runs the jobs, for which the function must be declared
            (`gearfleet.schedule.clusters`); None for that of the task.
        kwargs: of the call.

    Raises:
        ScheduleError: it cannot be meant, or there is a schedule of this name.
        PayloadEncodeError: an argument cannot be kept; names it.
        ScheduleStoreUnavailable: it cannot be kept.

    Example:
        schedule(report, "shop", schedule_type="daily", name="nightly report")
        schedule(report.call("shop"), cron="0 3 * * mon-fri", time_zone="Europe/Berlin")
    """
    settings = config.current()
    when = timing(schedule_type, minutes=minutes, cron=cron, zone=time_zone or settings.time_zone)
    plan = _plan(func, args, kwargs, hook)
    plan = replace(
        plan, intended_date_kwarg=intended_date_kwarg or "", cluster=checked(plan.task, cluster)
    )
    return keep(made(plan, when, next_run, repeats, name=name, catch_up=catch_up))


def made(
    plan: Plan,
    timing: Timing,
    next_run: datetime | None,
    repeats: int,
    *,
    name: str | None,
    catch_up: bool,
) -> Schedule:
    """Return a schedule that is not kept yet.

    Raises:
        ScheduleError: `next_run` has no time zone, or `repeats` is no number of jobs.
    """
    if isinstance(repeats, bool) or not isinstance(repeats, int) or repeats < -1:
        raise ScheduleError(f"repeats must be a whole number, -1 for any; it is {repeats!r}")
    now = datetime.now(UTC)
    if next_run is None:
        next_run = occurrence_after(timing, now, now) if timing.kind == "cron" else now
    if not isinstance(next_run, datetime) or next_run.utcoffset() is None:
        raise ScheduleError(f"next_run must be an aware datetime; it is {next_run!r}")
    encode_value([list(plan.args), dict(plan.kwargs), dict(plan.options)])  # or raise
    start = next_run.astimezone(UTC)
    return Schedule(
        name=name or "",
        plan=plan,
        timing=timing,
        start=start,
        next_run=start,
        repeats=repeats,
        catch_up=catch_up,
    )


def keep(schedule: Schedule) -> Schedule:
    """Keep `schedule` in the store of the settings; one without a name is given one.

    Raises:
        ScheduleError: there is one of this name.
    """
    store = open_schedules(config.current())
    if schedule.name:
        if not store.add(schedule):
            raise ScheduleError(f"There is a schedule called '{schedule.name}' already")
        return schedule
    named = replace(schedule, name=f"{schedule.plan.task} {schedule.id[-8:]}")
    if not store.add(named):
        raise ScheduleError(f"There is a schedule called '{named.name}' already")
    return named


def checked(task: str, cluster: str | None) -> str:
    """Return the cluster that is to run a task, if it does, or nobody here can know that.

    Raises:
        ScheduleError: it does not.
    """
    if cluster and (declared := find(task)):
        in_cluster(declared, cluster, declared_anywhere(), config.current())
    return cluster or ""


def _plan(
    func: Task[..., Any] | TaskCall | str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    hook: Callable[..., Any] | str | None,
) -> Plan:
    options: dict[str, Any] = {}
    if isinstance(func, TaskCall):
        if args or kwargs:
            raise ScheduleError("A call has its arguments already; give it and no others")
        options = _kept(func.name, func.options)
        task, args, kwargs = func.name, tuple(func.args), dict(func.kwargs)
    elif isinstance(func, Task):
        task = func.name
    elif isinstance(func, str):
        task = func
    else:
        raise ScheduleError(f"{func!r} is no task; put @task above it, or give a task's name")
    if hook is not None:
        options["hook"] = hook_path(hook)
    return Plan(task=task, args=args, kwargs=kwargs, options=options)


def _kept(name: str, options: SubmitOptions) -> dict[str, Any]:
    """Return what a call says beyond what task `name` declares, if a schedule can keep it."""
    declared = find(name)
    plain = declared.chosen if declared else SubmitOptions()
    told = {
        each: getattr(options, each)
        for each in SubmitOptions.__slots__
        if getattr(options, each) != getattr(plain, each)
    }
    for each in told.keys() - set(KEPT):
        raise ScheduleError(
            f"The option '{each}' cannot be kept with a schedule {did_you_mean(each, KEPT)}"
        )
    return told
