"""``gearfleet failed``: the jobs that failed for good; look at them, submit them again, forget them."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

from gearfleet.errors import ResultStoreUnavailable, UnknownName, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from gearfleet.cli.builder import Verbs
    from gearfleet.cli.output import Output
    from gearfleet.cli.project import Project
    from gearfleet.results import ResultStore, TaskRecord

ACTIONS = """\
actions:
  list            the newest failures (default)
  show ID ...     everything that is known of a job, with the traceback
  retry ID ...    submit the job again, with its arguments and a new id; its record goes
  delete ID ...   delete the record
"""
COLUMNS = ("id", "task", "ended", "attempts", "failure")


def add_verbs(verbs: Verbs) -> None:
    """Add the verb ``failed``."""
    import argparse

    parser = verbs.add(
        "failed",
        failed,
        epilog=ACTIONS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="%(prog)s [ACTION] [ID ...] [options]",
    )
    # With nargs="?" and "*", argparse takes both for given as soon as it sees an option.
    for positional in (
        parser.add_argument("action", default="list", metavar="ACTION", help="see below"),
        parser.add_argument("ids", nargs="+", metavar="ID", help="of a job, or its name"),
    ):
        positional.required = False
    parser.add_argument("--task", metavar="TASK", help="only the jobs of this task")
    parser.add_argument("--group", metavar="GROUP", help="only the jobs of this group")
    parser.add_argument("--all", action="store_true", help="instead of ID ...: all of them")
    parser.add_argument(
        "--limit", type=int, default=100, metavar="N", help="list N at most (default %(default)s)"
    )


def failed(args: argparse.Namespace, output: Output) -> int:
    """Do what `args.action` says with the failures that `args` choose."""
    from gearfleet.cli.project import load_project

    if args.action not in _ACTIONS:
        raise UnknownName.of("action", args.action, _ACTIONS)
    project = load_project(args)
    store = _store(project)
    try:
        return _ACTIONS[args.action](args, output, project, store)
    finally:
        store.close()


def list_failures(
    args: argparse.Namespace, output: Output, _project: Project, store: ResultStore
) -> int:
    """List the newest failures."""
    if args.ids:
        raise UsageError(f"'list' takes no ID; to see a job: gearfleet failed show {args.ids[0]}")
    if args.limit < 1:
        raise UsageError(f"--limit is {args.limit}; give 1 or more")
    found = _found(args, store, args.limit + 1)
    shown = found[: args.limit]
    if output.json:
        output.data([describe(record) for record in shown])
    elif shown:
        output.table("", COLUMNS, [_row(record) for record in shown])
    if not found:
        output.talk("No failed jobs.")
    elif len(found) > args.limit:
        output.talk(f"These are the newest {args.limit}; there are more: see --limit.")
    return 0


def show(args: argparse.Namespace, output: Output, _project: Project, store: ResultStore) -> int:
    """Show everything of some failures."""
    records = _chosen(args, store)
    if output.json:
        output.data([describe(record) for record in records])
        return 0
    for record in records:
        known = describe(record)
        failure = known.pop("failure")
        width = max(map(len, known))
        output.text("".join(f"{key:{width}}  {_text(item)}\n" for key, item in known.items()))
        output.line(f"{'failure':{width}}  {record.failure}")
        output.text("\n" + failure["traceback"].rstrip() + "\n" if failure["traceback"] else "")
        output.line("")
    return 0


def retry(args: argparse.Namespace, output: Output, project: Project, store: ResultStore) -> int:
    """Submit jobs again; the record of each goes when a job server has accepted the new one."""
    from gearfleet.cli.project import require_apps
    from gearfleet.client import Client
    from gearfleet.results.again import call_again
    from gearfleet.tasks import discover

    registry = discover(require_apps(project).apps)
    calls = [(record, call_again(record, registry)) for record in _chosen(args, store)]
    say = output.talk if output.json else output.line
    again: list[dict[str, str]] = []
    with Client(project.settings) as client:
        for record, call in calls:
            handle = client.enqueue(*call)
            store.delete([record.id])
            again.append({"id": record.id, "new_id": handle.id, "task": record.task})
            say(f"{record.id} -> {handle.id}")
    if output.json:
        output.data(again)
    return 0


def delete(args: argparse.Namespace, output: Output, _project: Project, store: ResultStore) -> int:
    """Delete the records of failures."""
    count = store.delete([record.id for record in _chosen(args, store)])
    if output.json:
        output.data({"deleted": count})
    else:
        output.talk(f"Deleted {count} {'record' if count == 1 else 'records'}.")
    return 0


_ACTIONS: dict[str, Callable[[argparse.Namespace, Output, Project, ResultStore], int]] = {
    "list": list_failures,
    "show": show,
    "retry": retry,
    "delete": delete,
}


def describe(record: TaskRecord) -> dict[str, Any]:
    """Return all that is known of a failure, as values of JSON."""
    failure = record.failure
    return {
        "id": record.id,
        "name": record.name,
        "task": record.task,
        "state": record.state,
        "args": _told(list(record.args)),
        "kwargs": _told(dict(record.kwargs)),
        "group": record.group,
        "queue": record.queue,
        "function": record.function,
        "server": record.server,
        "attempts": record.attempt,
        "enqueued": _moment(record.enqueued_at),
        "started": _moment(record.started),
        "ended": _moment(record.stopped),
        "failure": {
            "type": failure.type if failure else "",
            "message": failure.message if failure else "",
            "traceback": failure.traceback if failure else "",
        },
    }


def _row(record: TaskRecord) -> list[str]:
    lines = str(record.failure or "").splitlines() or [""]
    return [record.id, record.task, _moment(record.stopped), str(record.attempt), lines[0]]


def _text(item: Any) -> str:
    return item if isinstance(item, str) else json.dumps(item, ensure_ascii=False)


def _told(value: Any) -> Any:
    """Return `value` as the payload writes it: what JSON lacks is tagged."""
    from gearfleet.tasks.payload import encode_value

    return json.loads(encode_value(value))


def _moment(seconds: float) -> str:
    """Return a moment in the local time, with its offset; nothing for one that is not known."""
    if not seconds:
        return ""
    return datetime.fromtimestamp(seconds).astimezone().isoformat(" ", "seconds")


def _store(project: Project) -> ResultStore:
    from gearfleet.results import open_store

    store, named = open_store(project.settings), project.settings.results
    if store is None or named == "memory":
        where = "not kept" if store is None else "kept in the memory of each worker"
        raise ResultStoreUnavailable(
            f"Failures are {where}: the setting 'results' is \"{named}\"; "
            'write "sqlite" to keep them in a file'
        )
    return store


def _is_failure(record: TaskRecord) -> bool:
    return record.is_final and not record.is_success


def _found(args: argparse.Namespace, store: ResultStore, limit: int) -> list[TaskRecord]:
    """Return the newest failures that the filters let pass."""
    if args.group is None:
        return store.failures(limit=limit, task=args.task)
    found = [
        each
        for each in store.group(args.group)
        if _is_failure(each) and args.task in (None, each.task)
    ]
    return sorted(found, key=lambda each: each.stopped, reverse=True)[:limit]


def _chosen(args: argparse.Namespace, store: ResultStore) -> Sequence[TaskRecord]:
    """Return the failures that the command names, or all that the filters let pass, the oldest first."""
    if args.all == bool(args.ids):
        raise UsageError(
            f"'{args.action}' takes the IDs of jobs, or --all (with --task and --group for some)"
        )
    if args.all:
        found = _found(args, store, sys.maxsize)
        return sorted(found, key=lambda record: record.enqueued_at or record.started)
    return [_named(job, store) for job in dict.fromkeys(args.ids)]


def _named(job: str, store: ResultStore) -> TaskRecord:
    record = store.get(job)
    if record is None:
        raise UsageError(f"There is no record of a job '{job}'; see: gearfleet failed list")
    if not _is_failure(record):
        is_retried = record.state == "retry"
        raise UsageError(
            f"Job '{job}' has not failed for good: "
            f"{'another attempt follows' if is_retried else 'its state is ' + record.state}"
        )
    return record
