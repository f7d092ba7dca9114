"""`async_task` and what it takes: from Django Q's options to those of a job."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from gearfleet import config
from gearfleet.errors import ScheduleError, UnknownName
from gearfleet.outgoing import new_id
from gearfleet.schedule.clusters import in_cluster
from gearfleet.standins import Eager
from gearfleet.tasks import Task, TaskCall, apps_of, declarations, discover
from gearfleet.tasks.naming import dotted_path, hook_path
from gearfleet.tasks.plans import Plan, steps_of
from gearfleet.tasks.submission import submitter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from gearfleet.tasks import JobHandle, Submitter

logger = logging.getLogger(__name__)

#: How long ``cached=True`` keeps a result: ten years.
FOR_EVER = 315_360_000.0

#: Django Q's options of a call.
OPTIONS = (
    "task_name", "hook", "group", "save", "sync", "cached", "chain", "ack_failure", "iter_count",
    "iter_cached", "broker", "cluster", "timeout", "list_key",
)  # fmt: skip

#: Those that mean nothing here, and what to do instead.
WITHOUT_MEANING = {
    "broker": "the setting 'servers' names the job servers",
    "list_key": "a task is given to workers by @task(queue=...)",
    "timeout": "a task has its limits from @task(time_limit=..., soft_time_limit=...)",
    "iter_count": "use async_iter",
    "iter_cached": "use async_iter(..., cached=...)",
}

#: A step as Django Q writes it: the function, and maybe its args and kwargs.
ChainItem = Any


def async_task(func: Callable[..., Any] | str, *args: Any, **kwargs: Any) -> str:
    """Submit a job in the background; return its id.

    Args:
        func: a task, its function, its name, or the dotted path of its function.
        args: of the call.
        kwargs: of the call, and Django Q's options (`OPTIONS`), which may also stand
            in the dict ``q_options``: then a keyword of the same name is the function's.

    Raises:
        UnknownName: `func` is no task; the message says how to make it one.
    """
    options, named = split_options(kwargs)
    return send(task_of(func), args, named, options)


@dataclass(frozen=True, slots=True, kw_only=True)
class QOptions:
    """Django Q's options of one job, those that mean something here."""

    task_name: str = ""
    hook: Callable[..., Any] | str | None = None
    group: str | None = None
    save: bool | None = None
    sync: bool = False
    cached: bool | float = False
    chain: Sequence[ChainItem] = ()
    cluster: str = ""

    @property
    def keep(self) -> float:
        """For how many seconds the result is kept, whatever the limits."""
        return FOR_EVER if self.cached is True else float(self.cached or 0.0)


def split_options(kwargs: Mapping[str, Any]) -> tuple[QOptions, dict[str, Any]]:
    """Return the options that `kwargs` hold, and the arguments of the function."""
    named = dict(kwargs)
    given = dict(named.pop("q_options", None) or {})
    for name in OPTIONS:
        if name not in given and name in named:
            given[name] = named.pop(name)
    for name in WITHOUT_MEANING.keys() & given.keys():
        if given[name] is not None:
            tell(name, WITHOUT_MEANING[name])
    unknown = sorted(given.keys() - set(OPTIONS))
    if unknown:
        raise UnknownName.of("option of q_options", unknown[0], OPTIONS)
    known = QOptions.__slots__
    return QOptions(**{k: v for k, v in given.items() if k in known and v is not None}), named


@cache
def tell(name: str, reason: str) -> None:
    """Say once that an option does nothing, and why."""
    logger.warning(
        "Django Q's option '%s' does nothing here: %s",
        name,
        reason,
        extra={"action": "option_ignored", "option": name},
    )


def send(
    task: Task[Any, Any], args: Sequence[Any], kwargs: Mapping[str, Any], options: QOptions
) -> str:
    """Submit a job, or run it here, and return its id."""
    steps = steps_of(calls_of(options.chain, options.group or ""), new_id())
    plan = Plan(keep=options.keep, steps=steps)
    call = call_of(task, args, kwargs, options)
    call = call._replace(options=replace(call.options, chain=plan.told(), id=new_id()))
    handle: JobHandle = submitter_of(options.sync).enqueue(*call)
    return handle.id


def submitter_of(sync: bool) -> Submitter:
    """Return what submits: nothing but this process, if `sync` says so."""
    return Eager(config.current()) if sync else submitter()


def call_of(
    task: Task[Any, Any], args: Sequence[Any], kwargs: Mapping[str, Any], options: QOptions
) -> TaskCall:
    """Return the call of one job."""
    task = _in_cluster(task, options.cluster)
    chosen = replace(
        task.chosen,
        name=options.task_name,
        group=str(options.group or ""),
        hook=hook_path(options.hook),
        save=options.save if options.save is not None else task.chosen.save,
    )
    return TaskCall(task.name, tuple(args), dict(kwargs), chosen)


def _in_cluster(task: Task[Any, Any], cluster: str) -> Task[Any, Any]:
    """Return the task of the function in the cluster; one that does not run it is passed over."""
    if not cluster:
        return task
    try:
        return in_cluster(task, cluster, declarations.declared_anywhere(), config.current())
    except ScheduleError as error:
        tell("cluster", str(error))
        return task


def calls_of(chain: Iterable[ChainItem], group: str) -> list[TaskCall]:
    """Return the calls of Django Q's chain, whose items are (func, args, kwargs) or shorter."""
    calls = []
    for item in chain:
        func, args, kwargs = (*item, (), {})[:3] if len(item) != 2 else (*item, {})
        options, named = split_options(kwargs)
        options = replace(options, group=options.group or group)
        calls.append(call_of(task_of(func), args, named, options))
    return calls


def task_of(func: Callable[..., Any] | str) -> Task[Any, Any]:
    """Return the task that `func` means.

    Raises:
        UnknownName: it means none.
    """
    func = getattr(func, "task", func)  # what compat's @task() has decorated
    if isinstance(func, Task):
        return func
    found = _find(func, declarations.declared_anywhere())
    if found is None:
        found = _find(func, discover(apps_of(config.current().apps)).tasks)
    if found is None:
        shown = func if isinstance(func, str) else f"{func.__module__}.{func.__qualname__}"
        raise UnknownName(
            f"'{shown}' is no task: unlike Django Q's workers, gearfleet's run only what is "
            "declared. Put @gearfleet.task above the function, in a module that workers serve "
            "(gearman_workers/*.py, gearman_jobs.py or tasks.py), or declare a task that calls it"
        )
    return found


def _find(func: Callable[..., Any] | str, tasks: Iterable[Task[Any, Any]]) -> Task[Any, Any] | None:
    if not isinstance(func, str):
        return next((task for task in tasks if task.func is func), None)
    by_path = [task for task in tasks if dotted_path(task.func) == func]
    return next((task for task in tasks if task.name == func), by_path[0] if by_path else None)
