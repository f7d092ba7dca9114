"""``gearfleet worker``: the entrypoint that the programs of the fleet run."""

from __future__ import annotations

import gc
import os
from contextlib import contextmanager, nullcontext
from importlib import import_module
from typing import TYPE_CHECKING, TypeVar

from gearfleet.cli import logs, reload
from gearfleet.cli.chosen import add_choice_of_tasks, load_chosen, refuse_half_a_name
from gearfleet.config import DEFAULTS, values
from gearfleet.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from gearfleet.cli.builder import Verbs
    from gearfleet.cli.output import Output
    from gearfleet.cli.project import Project
    from gearfleet.tasks import WorkerModule
    from gearfleet.worker.logs import LogOptions
    from gearfleet.worker.options import WorkerOptions
    from gearfleet.worker.pool import Member
    from gearfleet.worker.process import Duty

T = TypeVar("T")

#: How many more objects there have to be, while code is imported, for a search of garbage.
_IMPORTED_OBJECTS = 50_000


def add_verbs(verbs: Verbs) -> None:
    """Add the verb ``worker``."""
    add_arguments(verbs.add("worker", work))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the worker's options to `parser`."""
    add_choice_of_tasks(parser)
    parser.add_argument(
        "-w",
        "--processes",
        type=read_processes,
        default=os.environ.get("GEARFLEET_PROCESSES"),
        metavar="N",
        help="run a pool of N workers that share the imported code; cpu: one for each CPU, "
        "cpu*2: two [GEARFLEET_PROCESSES]",
    )
    add_behaviour(parser)


def add_behaviour(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how a worker behaves, whatever it serves."""
    for flag, metavar, check, help_text in (
        ("--drain-timeout", "S", _seconds, "seconds that a stopping worker may finish its job"),
        ("--interrupt-grace", "S", _seconds, "seconds that an interrupted task may clean up"),
        ("--hook-timeout", "S", _seconds, "seconds that the shutdown hooks may take together"),
        ("--stop", "HOW", _stop, "what the first signal does to a job: drain or immediate"),
        ("--time-limit", "S", _seconds, "seconds after which a job is ended by force; 0: never"),
        ("--startsecs", "S", _seconds, "seconds of age before which a worker is not renewed"),
        ("--max-jobs", "N", _number, "jobs after which the worker is renewed; 0 for any number"),
        ("--max-lifetime", "S", _seconds, "seconds after which it is renewed; 0 for never"),
        ("--max-rss", "SIZE", _size, "memory with which it is renewed, such as 512MB; 0 for any"),
        ("--max-idle", "S", _seconds, "seconds without a job after which it is renewed; 0: never"),
        ("--prefetch", "N", _count, "jobs that may be here at a time, the running one included"),
        ("--concurrency", "N", _count, "jobs that run at a time, in threads and on an event loop"),
        ("--cpu-affinity", "N", _number, "CPUs that each worker of the program may use; 0: all"),
    ):
        name = flag.removeprefix("--").replace("-", "_")
        aliases = ["--threads"] if name == "concurrency" else []
        variable = f"GEARFLEET_{name.upper()}"
        parser.add_argument(
            flag,
            *aliases,
            dest=name,
            type=check(f"{flag} or {variable}"),
            default=os.environ.get(variable, DEFAULTS[name]),
            metavar=metavar,
            help=f"{help_text} [{variable}] (default %(default)s)",
        )
    logs.add_arguments(parser)
    parser.add_argument(
        "--reload",
        action="store_true",
        help="for development: replace the worker, after its job, when its source changes",
    )


def _read_by(
    check: Callable[[object], T], convert: Callable[[str], object] = str
) -> Callable[[str], Callable[[str], T]]:
    """Return what makes the reader of an option, given where its value comes from."""

    def reader(source: str) -> Callable[[str], T]:
        def read(text: str) -> T:
            try:
                return check(_converted(convert, text))
            except values.BadValue as expected:
                raise UsageError(f"{source} is '{text}'; give {expected}") from None

        return read

    return reader


def _converted(convert: Callable[[str], object], text: str) -> object:
    try:
        return convert(text)
    except ValueError:
        return text  # which the check refuses


def _number_or_text(text: str) -> int | str:
    return int(text) if text.strip().lstrip("-").isdecimal() else text


_seconds = _read_by(values.seconds, float)
_count = _read_by(values.positive, int)
read_processes = _read_by(values.some_workers, _number_or_text)(
    "--processes or GEARFLEET_PROCESSES"
)
_number = _read_by(values.count, int)
_size = _read_by(values.size)
_stop = _read_by(values.stop)


def work(
    args: argparse.Namespace,
    output: Output,
    around: Callable[[WorkerModule], AbstractContextManager[object]] = nullcontext,
    load: Callable[[argparse.Namespace, Project], WorkerModule] = load_chosen,
) -> int:
    """Serve the tasks that `args` name; return the worker's exit code.

    What is served is what `load` returns; it is told to `around`, which is entered while the
    worker works.
    """
    refuse_half_a_name(args)
    log_options = logs.log_options(args, output.verbosity)
    if reloads(args):
        return reload.reload(log_options)
    if leads_pool(args):
        code = lead_pool(args, log_options)
        if code is not None:
            return code
    return work_here(args, log_options, around, load)


def work_here(
    args: argparse.Namespace,
    log_options: LogOptions,
    around: Callable[[WorkerModule], AbstractContextManager[object]],
    load: Callable[[argparse.Namespace, Project], WorkerModule],
) -> int:
    """Be the worker, or the nursery of a pool's."""
    # Here, because neither the parent of a pool nor who watches the source needs them.
    from gearfleet.cli.project import load_project, program_of
    from gearfleet.worker.ending import end_within
    from gearfleet.worker.logs import logging_as
    from gearfleet.worker.process import prepare
    from gearfleet.worker.signals import stoppable

    with logging_as(log_options) as settle, reload.reported() as report, stoppable():
        with _collecting_seldom():
            project = load_project(args)
            report(project)
            module = load(args, project)
        # One complaint, not one of each worker of a pool; and before anything is announced.
        duty = prepare(
            module,
            queues=args.queue_name,
            settings=project.settings,
            program=program_of(args),
            options=options_of(args),
        )
        settle(duty.info.release)
        with around(module):
            code = perform(duty, project)
    end_within(args.hook_timeout)
    return code


@contextmanager
def _collecting_seldom() -> Iterator[None]:
    """Look for garbage less often: nearly all that imports make stays.

    The usual 700 objects between two looks take a fifth of the time of an import.
    """
    before, seldom = gc.get_threshold(), (_IMPORTED_OBJECTS, *gc.get_threshold()[1:])
    gc.set_threshold(*seldom)
    try:
        yield
    finally:
        if gc.get_threshold() == seldom:  # else the user's code has settled it
            gc.set_threshold(*before)


def reloads(args: argparse.Namespace) -> bool:
    """Return whether this process is to watch the source, and another one to be the worker."""
    if not args.reload or reload.is_child():
        return False
    if args.processes is not None:
        raise UsageError("--reload is for one worker: leave out --processes or GEARFLEET_PROCESSES")
    return True


def leads_pool(args: argparse.Namespace) -> bool:
    """Return whether this process is to be the parent of a pool; its nursery is not."""
    from gearfleet.worker.pool import nursery_of_this_process

    return nursery_of_this_process() is None and args.processes is not None


def lead_pool(args: argparse.Namespace, log_options: LogOptions) -> int | None:
    """Run a pool of workers, each with the options in `args`; return its exit code.

    It also returns in the process that was forked to be the pool's nursery: there None.
    """
    # Before the fork, after which both would import them.
    from gearfleet.cli.project import program_of
    from gearfleet.worker.logs import logging_as
    from gearfleet.worker.pool.parent import Pool
    from gearfleet.worker.titles import entitle

    size = pool_size(args.processes)
    with Pool(size, limits=options_of(args).limits) as pool:
        if not pool.is_parent:
            return None
        entitle(f"{program_of(args)} pool of {size}")
        with logging_as(log_options):
            return pool.run()


def pool_size(processes: int | str) -> int:
    """Return how many workers `processes` means on this machine."""
    if isinstance(processes, int):
        return processes
    from gearfleet.fleet import usable_cpus

    return values.workers_on(processes, usable_cpus())


def perform(duty: Duty, project: Project) -> int:
    """Do what a worker of the project is to do; return its exit code.

    In the nursery of a pool only the forked workers return from this.
    """
    from gearfleet.worker.ending import end_without_clearing_up
    from gearfleet.worker.process import serve

    member = _raised(project)
    if member is None:
        # What the imports made stays until the end. To look through it again and
        # again would cost a big project 20 ms now and then, and 100 ms at the end.
        gc.collect()
        gc.freeze()
    code = serve(duty, member=member)
    if member:
        end_without_clearing_up(code)
    return code


def _raised(project: Project) -> Member | None:
    """Return what this process is in its pool; None if it is in none."""
    from gearfleet.worker.pool import nursery_of_this_process

    nursery = nursery_of_this_process()
    if nursery is None:
        return None
    from gearfleet.worker.pool.warming import warm

    if project.django_settings:
        import_module("gearfleet.contrib.django.project").before_fork()
    warm(project.settings)
    return nursery.raise_workers()


def options_of(args: argparse.Namespace) -> WorkerOptions:
    """Return how the process is to behave."""
    from gearfleet.worker.options import WorkerOptions
    from gearfleet.worker.recycling import Recycling
    from gearfleet.worker.rungs import Limits

    return WorkerOptions(
        limits=Limits(
            drain_timeout=args.drain_timeout,
            interrupt_grace=args.interrupt_grace,
            hook_timeout=args.hook_timeout,
            startsecs=args.startsecs,
            stop=args.stop,
        ),
        recycling=Recycling(
            max_jobs=args.max_jobs,
            max_lifetime=args.max_lifetime,
            max_rss=values.bytes_of(args.max_rss),
            max_idle=args.max_idle,
        ),
        time_limit=args.time_limit,
        prefetch=args.prefetch,
        concurrency=args.concurrency,
        cpu_affinity=args.cpu_affinity,
    )
