"""One worker process: from a worker module to an exit code."""

from __future__ import annotations

import logging
import os
import re
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from gearfleet.config import release_of
from gearfleet.errors import ConfigError, JobInterrupted, UnknownName, did_you_mean
from gearfleet.tasks.naming import function_name
from gearfleet.worker import hooks, prometheus
from gearfleet.worker.affinity import pin
from gearfleet.worker.client_ids import client_id
from gearfleet.worker.equipment import TaskWorker, equipped
from gearfleet.worker.event_loop import SharedLoop
from gearfleet.worker.lifecycle import StopLadder
from gearfleet.worker.options import WorkerOptions
from gearfleet.worker.recycling import LOOK_EVERY, Recycler
from gearfleet.worker.titles import titled
from gearfleet.worker.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from gearfleet.config import Settings
    from gearfleet.gearman.addresses import Address
    from gearfleet.tasks import Task, WorkerModule
    from gearfleet.worker.executor import Executor
    from gearfleet.worker.pool import Member
    from gearfleet.worker.scoreboard import Scoreboard

logger = logging.getLogger(__name__)

ALL_QUEUES = "*"


class WorkerInfo(NamedTuple):
    """What `on_start` hooks are told of their worker.

    Attributes:
        program: that the process belongs to.
        module: dotted name of the worker module that it serves.
        queues: that it serves, sorted.
        tasks: by the functions that the job servers know them by, first served first.
        release: of the code; empty where nobody knows.
    """

    program: str
    module: str
    queues: tuple[str, ...]
    tasks: Mapping[str, Task[..., Any]]
    release: str = ""


class Duty(NamedTuple):
    """What a worker is to do, see `prepare`; those of a pool share one.

    Attributes:
        info: who the worker is, and what it serves.
        hooks: that it runs.
        settings: of the project.
        options: how the process behaves.
    """

    info: WorkerInfo
    hooks: hooks.Hooks
    settings: Settings
    options: WorkerOptions


def prepare(
    module: WorkerModule,
    *,
    queues: Sequence[str] = (),
    settings: Settings,
    program: str,
    options: WorkerOptions | None = None,
) -> Duty:
    """Work out what a worker of `module` is to do.

    Args:
        module: whose tasks are served.
        queues: serve only their tasks; none, or ``*``, means all.
        settings: of the project.
        program: that the process belongs to.
        options: how the process behaves.

    Raises:
        UnknownName: the module has no task in one of the queues.
        ConfigError: a hook or the prefix of the settings cannot be used.
    """
    chosen = choose_queues(module, queues)
    info = WorkerInfo(
        program=program,
        module=module.module,
        queues=chosen,
        tasks=tasks_by_function((t for t in module.tasks if t.queue in chosen), settings.prefix),
        release=release_of(settings),
    )
    selected = hooks.select(module.module, settings.hooks)
    return Duty(info=info, hooks=selected, settings=settings, options=options or WorkerOptions())


def serve(duty: Duty, *, member: Member | None = None) -> int:
    """Do this until told to stop; return the exit code of the process.

    Call it from the main thread: it takes the stop signals, and puts the
    previous handlers back at the end. A job server that cannot be reached is
    tried again for ever. `member` is the process as the pool that forked it has it.

    Raises:
        ConfigError: a job server of the settings cannot be used, or a task needs a key that
            they do not have.
    """
    info, selected, options = duty.info, duty.hooks, duty.options
    process = os.environ.get("SUPERVISOR_PROCESS_NAME", info.program)
    if options.cpu_affinity:
        number = member.slot if member else _number(process)
        pin(options.cpu_affinity, program=info.program, number=number)
    if not member:  # whom the parent of its pool outlives
        prometheus.mark_dead_at_exit()
    staffed = _alone if options.concurrency == 1 else _with_crew
    with (
        _watched(duty, process, member) as watch,
        titled(watch.board.path),
        staffed(duty, watch, member.lifeline if member else None) as (worker, ladder, executor),
    ):
        if options.recycling.is_needed:
            worker.recycler = Recycler(options.recycling, ladder)
        worker.after_registration.append(watch.board.registered)
        try:
            if member:
                member.begin(worker)
            _work(info, worker, _first_hooks(selected, member), ladder, watch.board)
        finally:
            watch.board.state("stopping")
            _shut_down(executor, selected, ladder)
            watch.reason = ladder.reason
        return ladder.exit_code


def _number(process: str) -> int:
    """Return the number that the name of a process of Supervisor ends with, as a rendered one does."""
    digits = re.search(r"\d+$", process)
    return int(digits[0]) if digits else 0


def _watched(duty: Duty, process: str, member: Member | None) -> Watch:
    info, options = duty.info, duty.options
    return Watch.open(
        duty.settings,
        program=info.program,
        slot=f"{process}/{member.slot}" if member else process,
        module=info.module,
        queues=info.queues,
        release=info.release,
        prefetch=options.prefetch,
        hands=options.concurrency,
        tasks=info.tasks,
        time_limit=options.time_limit,
    )


@contextmanager
def _alone(
    duty: Duty, watch: Watch, lifeline: int | None
) -> Iterator[tuple[TaskWorker, StopLadder, Executor]]:
    """Run the jobs in the main thread, one at a time."""
    info, settings, options = duty.info, duty.settings, duty.options
    name = client_id(info.program, info.release)
    worker = TaskWorker(settings, name, prefetch=options.prefetch)
    with (
        StopLadder(
            options.limits,
            drain=worker.shutdown,
            quiet=worker.quiet,
            resume=worker.resume,
            tell=watch.board.state,
            on_drain=_drain_hooks(duty.hooks),
            hard_end=watch.hard_end,
            lifeline=lifeline,
        ) as ladder,
        equipped(
            worker, info.tasks, settings, hooks=duty.hooks, ladder=ladder, watch=watch
        ) as executor,
    ):
        yield worker, ladder, executor


@contextmanager
def _with_crew(
    duty: Duty, watch: Watch, lifeline: int | None
) -> Iterator[tuple[TaskWorker, StopLadder, Executor]]:
    """Run the jobs in threads, and their coroutines on one event loop."""
    info, settings, options = duty.info, duty.settings, duty.options
    from gearfleet.worker.crew import CrewUpdates, CrewWorker
    from gearfleet.worker.crew_ladder import CrewLadder

    worker = CrewWorker(
        settings,
        client_id(info.program, info.release),
        size=options.concurrency,
        prefetch=options.prefetch,
    )
    loop = SharedLoop()
    crew = CrewLadder(worker.crew, loop)
    with (
        StopLadder(
            options.limits,
            drain=worker.shutdown,
            quiet=worker.quiet,
            resume=worker.resume,
            tell=watch.board.state,
            crew=crew,
            on_drain=_drain_hooks(duty.hooks),
            hard_end=watch.hard_end,
            lifeline=lifeline,
        ) as ladder,
        equipped(
            worker,
            info.tasks,
            settings,
            hooks=duty.hooks,
            ladder=crew,
            updates=CrewUpdates(worker),
            loop=loop,
            watch=watch,
        ) as executor,
    ):
        yield worker, ladder, executor


def _first_hooks(selected: hooks.Hooks, member: Member | None) -> Sequence[hooks.Hook]:
    return (*selected.on_fork, *selected.on_start) if member else selected.on_start


def _drain_hooks(selected: hooks.Hooks) -> Callable[[str], None] | None:
    return partial(hooks.run, selected.on_drain) if selected.on_drain else None


def choose_queues(module: WorkerModule, queues: Iterable[str]) -> tuple[str, ...]:
    """Return the queues of `module` that `queues` name; none, or ``*``, means all."""
    named = set(queues)
    for name in sorted(named - {ALL_QUEUES, *module.queues}):
        raise UnknownName(
            f"Worker '{module.worker}' has no queue '{name}' {did_you_mean(name, module.queues)}"
        )
    return module.queues if not named or ALL_QUEUES in named else tuple(sorted(named))


def tasks_by_function(
    tasks: Iterable[Task[..., Any]], prefix: str | Callable[[str], str]
) -> dict[str, Task[..., Any]]:
    """Return `tasks` by the functions that `prefix` makes of their names."""
    found: dict[str, Task[..., Any]] = {}
    for task in tasks:
        function = function_name(task.name, prefix)
        if function in found:
            raise ConfigError(
                f"Setting 'prefix' makes '{function}' of both '{found[function].name}' "
                f"and '{task.name}'; every task needs a function of its own"
            )
        found[function] = task
    return found


def _work(
    info: WorkerInfo,
    worker: TaskWorker,
    first: Sequence[hooks.Hook],
    ladder: StopLadder,
    board: Scoreboard,
) -> None:
    """Take jobs until the ladder says stop."""
    _log_start(info, worker.addresses)
    try:
        with ladder.starting():
            hooks.run(first, info)
        board.state("quiet" if ladder.is_quiet else "idle")
        worker.work(poll_timeout=LOOK_EVERY if worker.recycler else None)
    except JobInterrupted:
        return  # the connections are closed, so the job runs again elsewhere


def _shut_down(executor: Executor, selected: hooks.Hooks, ladder: StopLadder) -> None:
    """Run the shutdown hooks, once, whatever the worker ended with."""
    reason = ladder.reason or "error"
    try:
        with ladder.shutting_down():
            hooks.run(selected.on_shutdown, reason)
            executor.close()
    except JobInterrupted:
        logger.error("The shutdown hooks ran out of time", extra={"action": "hooks_timeout"})
    counts = {
        "completed": executor.completed,
        "failed": executor.failed,
        "given_back": executor.interrupted,
    }
    logger.info(
        "Stopped (%s): %d jobs completed, %d failed, %d given back",
        reason,
        *counts.values(),
        extra={"action": "worker_stopped", "reason": reason, **counts},
    )


def _log_start(info: WorkerInfo, addresses: Iterable[Address]) -> None:
    names = [task.name for task in info.tasks.values()]
    servers = [str(address) for address in addresses]
    logger.info(
        "Worker %s%s serves %s of %s %s at %s",
        info.program,
        f" ({info.release})" if info.release else "",
        ", ".join(names),
        "queue" if len(info.queues) == 1 else "queues",
        ", ".join(info.queues),
        ", ".join(f"job server {server}" for server in servers),
        extra={
            "action": "worker_started",
            "queues": info.queues,
            "tasks": names,
            "servers": servers,
            "release": info.release,
        },
    )
