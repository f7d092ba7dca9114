"""What a worker serves: the options that say it, and the import of what they name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gearfleet.errors import DiscoveryError, UsageError

if TYPE_CHECKING:
    import argparse

    from gearfleet.cli.project import Project
    from gearfleet.tasks import WorkerModule


def add_choice_of_tasks(parser: argparse.ArgumentParser, *queue_flags: str) -> None:
    """Add the options that say what is served; `queue_flags` are further names of the queue's."""
    parser.add_argument(
        "-a",
        "--app-name",
        action="append",
        default=[],
        metavar="APP",
        help="app or package of the worker module; may be repeated, once for each -n; "
        "without both, all tasks are served",
    )
    parser.add_argument(
        "-n",
        "--worker-name",
        action="append",
        default=[],
        metavar="WORKER",
        help="name of the worker module; may be repeated, and none is imported beside them",
    )
    parser.add_argument(
        "-q",
        "--queue-name",
        *queue_flags,
        action="append",
        default=[],
        metavar="QUEUE",
        help="serve only the tasks of this queue; may be repeated (default: all)",
    )


def refuse_half_a_name(args: argparse.Namespace) -> None:
    """Raise `UsageError` where only one half of what names a worker module is given."""
    names = {"-a/--app-name": args.app_name, "-n/--worker-name": args.worker_name}
    given = [flag for flag, name in names.items() if name]
    if len(given) == 1:
        (missing,) = names.keys() - given
        raise UsageError(
            f"the following arguments are required: {missing}; "
            f"or leave out {given[0]} too, to serve all tasks of the project"
        )


def load_chosen(args: argparse.Namespace, project: Project) -> WorkerModule:
    """Import the worker modules that `args` name, or all of them, and return them as one.

    Raises:
        UsageError: all are named, and the project has no app.
        UnknownName: there is no such app or worker.
        DiscoveryError: one cannot be imported, or there is no task.
    """
    from gearfleet.tasks import apps_of, load_workers

    if not args.app_name:
        return _load_all(args, project)
    return load_workers(project.apps or apps_of(args.app_name), workers_named(args))


def workers_named(args: argparse.Namespace) -> tuple[tuple[str, str], ...]:
    """Return app and worker of each module that is to be served.

    Raises:
        UsageError: there are several apps, but not one for each worker.
    """
    apps, workers = args.app_name, args.worker_name
    if len(apps) not in (1, len(workers)):
        raise UsageError(
            f"There are {len(apps)} apps (-a) and {len(workers)} workers (-n); give one app, or "
            "one for each worker"
        )
    return tuple(zip(apps * (len(workers) if len(apps) == 1 else 1), workers, strict=True))


def _load_all(args: argparse.Namespace, project: Project) -> WorkerModule:
    from gearfleet.cli.project import program_of, require_apps
    from gearfleet.tasks import discover, together

    modules = discover(require_apps(project).apps).modules
    if not modules:
        raise DiscoveryError(
            f"No app declares a task (searched: {', '.join(app.name for app in project.apps)}); "
            "decorate a function with @task"
        )
    return together(modules)._replace(worker=program_of(args))
