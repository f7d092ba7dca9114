"""``gearfleet scheduler``: the process that submits jobs at their times."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from gearfleet.cli import logs
from gearfleet.config import DEFAULTS, release_of, values
from gearfleet.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from gearfleet.cli.builder import Verbs
    from gearfleet.cli.output import Output

NAME = "scheduler"


def add_verbs(verbs: Verbs) -> None:
    """Add the verb ``scheduler``."""
    parser = verbs.add(NAME, serve)
    parser.add_argument(
        "--once", action="store_true", help="submit what is due now, and end; 4 if it cannot be"
    )
    for flag, default, help_text in (
        ("--poll", 1, "seconds between two looks at the schedules"),
        ("--startsecs", DEFAULTS["startsecs"], "seconds of age before which it is not renewed"),
    ):
        variable = f"GEARFLEET_{flag.removeprefix('--').upper()}"
        parser.add_argument(
            flag,
            type=_seconds,
            default=os.environ.get(variable, default),
            metavar="S",
            help=f"{help_text} [{variable}] (default %(default)s)",
        )
    logs.add_arguments(parser)
    parser.set_defaults(worker_name=NAME)


def _seconds(text: str) -> float:
    try:
        return values.seconds(float(text))
    except ValueError:
        raise UsageError(f"'{text}' is no number of seconds, 0 or more") from None


def serve(args: argparse.Namespace, output: Output) -> int:
    """Submit jobs at their times until a signal comes; return the exit code."""
    from gearfleet.cli.project import load_project, require_apps
    from gearfleet.schedule.process import Scheduler
    from gearfleet.tasks import discover
    from gearfleet.worker.ending import end_within
    from gearfleet.worker.logs import logging_as
    from gearfleet.worker.signals import stoppable

    with logging_as(logs.log_options(args, output.verbosity)) as settle, stoppable():
        project = require_apps(load_project(args))
        registry = discover(project.apps)
        settle(release_of(project.settings))
        scheduler = Scheduler(project.settings, registry, poll=float(args.poll))
        code = scheduler.run(startsecs=float(args.startsecs), is_once=args.once)
    end_within(5.0)
    return code
