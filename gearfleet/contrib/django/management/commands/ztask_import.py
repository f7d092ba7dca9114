"""``manage.py ztask_import``: take over what django-ztask has left in its table.

A job that waits, for its turn or for another attempt, is submitted; one that failed for good
becomes a failure among the results. Its row goes when that has happened. A job has the id of
its row: what is interrupted can be run again, and nothing that waits then waits twice.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.db import DEFAULT_DB_ALIAS, connections

from gearfleet import config
from gearfleet.client import Client
from gearfleet.contrib.django import ztask_table
from gearfleet.contrib.django.management.verbs import VerbCommand
from gearfleet.contrib.django.project import installed_apps
from gearfleet.contrib.django.ztask_table import OldJob, UnreadableArguments
from gearfleet.errors import GearfleetError, ResultStoreUnavailable, ServerUnavailable, UnknownName
from gearfleet.results import TaskRecord, open_store
from gearfleet.tasks import Task, TaskCall, discover
from gearfleet.tasks.naming import dotted_path

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from django.db.backends.base.base import BaseDatabaseWrapper

    from gearfleet.cli.output import Output
    from gearfleet.results import ResultStore
    from gearfleet.tasks import Registry

#: What is told of a row: ``uuid``, ``function``, what it ``became``, and ``why`` it is left.
Taken = dict[str, str]

#: What becomes of a row.
SUBMITTED, KEPT, LEFT = "submitted", "kept as a failure", "left"


class Command(VerbCommand):
    """Moves the rows of django-ztask to where gearfleet has such things."""

    help = "Submit the jobs that wait in django-ztask's table, and keep its failures."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the words of the command."""
        parser.add_argument(
            "--database",
            default=DEFAULT_DB_ALIAS,
            metavar="ALIAS",
            help="where the table is (default %(default)s)",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="say what would become of each row, and no more"
        )
        parser.add_argument("--json", action="store_true", help="print data as JSON")
        parser.set_defaults(run=take_over, verb="ztask_import")


def take_over(args: Namespace, output: Output) -> int:
    """Move the rows; return 1 if some are left, or 4 if no job server can be reached."""
    settings, connection = config.current(), _connection(args.database)
    taken: list[Taken] = []
    down: GearfleetError | None = None
    with Client(settings) as client:
        store = open_store(settings)
        mover = Mover(discover(installed_apps()), client, store, acts=not args.dry_run)
        for job in ztask_table.old_jobs(connection):
            try:
                taken.append(_left(job, down) if down else _moved(job, mover, connection))
            except (ServerUnavailable, ResultStoreUnavailable) as error:
                down = error  # as it is for the others
                taken.append(_left(job, down))
    _say(taken, output, is_dry=args.dry_run)
    if down:
        return down.exit_code
    return 1 if any(each["became"] == LEFT for each in taken) else 0


@dataclass(frozen=True, slots=True)
class Mover:
    """Gives old jobs to the job servers and to the result store; only looks unless it `acts`."""

    registry: Registry
    client: Client
    store: ResultStore | None
    acts: bool

    def move(self, job: OldJob) -> str:
        """Return what becomes of the job.

        Raises:
            GearfleetError: it has to stay where it is.
        """
        return self._keep(job) if job.is_failure else self._submit(job)

    def _submit(self, job: OldJob) -> str:
        task, (args, kwargs) = self._task(job), job.arguments()
        is_later = job.next_attempt > time.time()
        at = datetime.fromtimestamp(job.next_attempt, UTC) if is_later else None
        chosen = replace(task.chosen, id=job.id, unique=None, at=at)
        if self.acts:
            self.client.enqueue(*TaskCall(task.name, args, kwargs, chosen))
        return SUBMITTED

    def _keep(self, job: OldJob) -> str:
        if self.store is None:
            raise GearfleetError("no results are kept; set GEARFLEET['RESULTS'] to 'django'")
        record = self._record(job)
        if self.acts:
            self.store.save([record])
        return KEPT

    def _record(self, job: OldJob) -> TaskRecord:
        record = TaskRecord(
            job.id,
            job.function,
            "failure",
            enqueued_at=job.created,
            started=job.failed,
            stopped=job.failed,
            failure=job.failure(),
            has_arguments=False,
        )
        try:
            task = self._task(job)
            record = record._replace(task=task.name, queue=task.queue)
            args, kwargs = job.arguments()
        except (UnknownName, UnreadableArguments):  # it can be read, and not be run again
            return record
        return record._replace(args=args, kwargs=kwargs, has_arguments=True)

    def _task(self, job: OldJob) -> Task[Any, Any]:
        """Return the task of its function, which may have another name meanwhile."""
        for task in self.registry.tasks:
            if job.function in (task.name, dotted_path(task.func)):
                return task
        return self.registry.find(job.function)  # which says what there is


def _connection(alias: str) -> BaseDatabaseWrapper:
    if alias not in connections.settings:
        raise UnknownName.of("database", alias, connections.settings)
    connection = connections[alias]
    if not ztask_table.has_table(connection):
        raise GearfleetError(
            f"Database '{alias}' has no table {ztask_table.TABLE}: nothing of django-ztask is there"
        )
    return connection


def _moved(job: OldJob, mover: Mover, connection: BaseDatabaseWrapper) -> Taken:
    """Move a job, and forget its row; tell what became of it."""
    try:
        became = mover.move(job)
    except (ServerUnavailable, ResultStoreUnavailable):
        raise
    except GearfleetError as error:
        return _left(job, error)
    if mover.acts:
        ztask_table.forget(connection, job)
    return {"uuid": job.uuid, "function": job.function, "became": became, "why": ""}


def _left(job: OldJob, error: GearfleetError) -> Taken:
    return {"uuid": job.uuid, "function": job.function, "became": LEFT, "why": str(error)}


def _say(taken: list[Taken], output: Output, *, is_dry: bool) -> None:
    if output.json:
        output.data(taken)
        return
    for each in taken:
        why = f": {each['why']}" if each["why"] else ""
        output.line(f"{each['uuid']} {each['function']} {each['became']}{why}")
    counts = [sum(each["became"] == kind for each in taken) for kind in (SUBMITTED, KEPT, LEFT)]
    told = "{} submitted, {} kept as failures, {} left".format(*counts)
    output.talk(f"{'Would be: ' if is_dry else ''}{told}.")
