"""``gearfleet schedule``: look at schedules, run one now, pause, resume and delete them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from gearfleet.errors import UnknownName, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from gearfleet.cli.builder import Verbs
    from gearfleet.cli.output import Output
    from gearfleet.cli.project import Project
    from gearfleet.schedule import Schedule, ScheduleStore
    from gearfleet.tasks import Registry

ACTIONS = """\
actions:
  list            every schedule, with its next run (default)
  run NAME ...    submit its job now; the times of the schedule stay
  pause NAME ...  submit no more of its jobs; what comes due meanwhile is passed over
  resume NAME ... go on with the next time
  delete NAME ... forget it
"""
COLUMNS = ("name", "task", "when", "next run", "left", "state", "last run", "missed")


def add_verbs(verbs: Verbs) -> None:
    """Add the verb ``schedule``."""
    import argparse

    parser = verbs.add(
        "schedule",
        schedule,
        epilog=ACTIONS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="%(prog)s [ACTION] [NAME ...] [options]",
    )
    # With nargs="?" and "*", argparse takes both for given as soon as it sees an option.
    for positional in (
        parser.add_argument("action", default="list", metavar="ACTION", help="see below"),
        parser.add_argument("names", nargs="+", metavar="NAME", help="of a schedule, or its id"),
    ):
        positional.required = False


def schedule(args: argparse.Namespace, output: Output) -> int:
    """Do what `args.action` says with the schedules that `args` name."""
    from gearfleet.cli.project import load_project, require_apps
    from gearfleet.schedule import open_schedules
    from gearfleet.tasks import discover

    if args.action not in _ACTIONS:
        raise UnknownName.of("action", args.action, _ACTIONS)
    names = args.names or []
    if (args.action == "list") == bool(names):
        raise UsageError(
            "'list' takes no NAME" if names else f"'{args.action}' takes the NAME of a schedule"
        )
    project = require_apps(load_project(args))
    registry = discover(project.apps)
    store = open_schedules(project.settings)
    try:
        known = _known(project, registry, store, is_kept=args.action != "list")
        chosen = [_named(name, known) for name in dict.fromkeys(names)] if names else known
        return _ACTIONS[args.action](_Desk(output, project, registry, store), chosen)
    finally:
        store.close()


class _Desk:
    """What the actions work with."""

    def __init__(
        self, output: Output, project: Project, registry: Registry, store: ScheduleStore
    ) -> None:
        self.output = output
        self.project = project
        self.registry = registry
        self.store = store

    def tell(self, done: Sequence[Schedule], text: str) -> int:
        """Print what was done with schedules."""
        if self.output.json:
            self.output.data([describe(each) for each in done])
        else:
            for each in done:
                self.output.line(f"{each.name}: {text.format(_moment(each.next_run))}")
        return 0


def list_schedules(desk: _Desk, schedules: Sequence[Schedule]) -> int:
    """List every schedule."""
    output = desk.output
    if output.json:
        output.data([describe(each) for each in schedules])
    elif schedules:
        output.table("", COLUMNS, [_row(each) for each in schedules])
    if not schedules:
        output.talk("No schedules.")
    return 0


def run(desk: _Desk, schedules: Sequence[Schedule]) -> int:
    """Submit the job of each now."""
    from gearfleet.client import Client
    from gearfleet.schedule.steering import call_now

    submitted = []
    say = desk.output.talk if desk.output.json else desk.output.line
    calls = [(each, call_now(each, desk.registry)) for each in schedules]
    with Client(desk.project.settings) as client:
        for each, call in calls:
            handle = client.enqueue(*call)
            desk.store.note_run(each.id, datetime.now(UTC), handle.id)
            submitted.append({"name": each.name, "job": handle.id})
            say(f"{each.name}: {handle.id}")
    if desk.output.json:
        desk.output.data(submitted)
    return 0


def pause(desk: _Desk, schedules: Sequence[Schedule]) -> int:
    """Let each wait until it is resumed."""
    from gearfleet.schedule import steering

    return desk.tell([steering.pause(each, desk.store) for each in schedules], "paused")


def resume(desk: _Desk, schedules: Sequence[Schedule]) -> int:
    """Let each go on with the next time."""
    from gearfleet.schedule import steering

    return desk.tell([steering.resume(each, desk.store) for each in schedules], "next run {}")


def delete(desk: _Desk, schedules: Sequence[Schedule]) -> int:
    """Forget each, unless it would come back."""
    for each in schedules:
        if each.origin != "made":
            raise UsageError(
                f"Schedule '{each.name}' is declared in {each.origin}: delete it there, or: "
                f"gearfleet schedule pause '{each.name}'"
            )
    desk.store.delete([each.id for each in schedules])
    return desk.tell(schedules, "deleted")


_ACTIONS: dict[str, Callable[[_Desk, Sequence[Schedule]], int]] = {
    "list": list_schedules,
    "run": run,
    "pause": pause,
    "resume": resume,
    "delete": delete,
}


def describe(schedule: Schedule) -> dict[str, Any]:
    """Return all that is known of a schedule, as values of JSON."""
    import json

    from gearfleet.tasks.payload import encode_value

    timing, plan = schedule.timing, schedule.plan
    call = json.loads(encode_value([list(plan.args), dict(plan.kwargs)]))
    return {
        "name": schedule.name,
        "id": schedule.id,
        "task": plan.task,
        "cluster": plan.cluster or None,
        "args": call[0],
        "kwargs": call[1],
        "schedule_type": timing.kind,
        "minutes": timing.minutes or None,
        "cron": timing.cron or None,
        "time_zone": timing.zone,
        "next_run": None if schedule.state == "ended" else schedule.next_run.isoformat(),
        "repeats": schedule.repeats,
        "catch_up": schedule.catch_up,
        "state": schedule.state,
        "origin": schedule.origin,
        "last_run": schedule.last_run.isoformat() if schedule.last_run else None,
        "last_job": schedule.last_job or None,
        "missed": schedule.missed,
        "missed_at": schedule.missed_at.isoformat() if schedule.missed_at else None,
    }


def _row(schedule: Schedule) -> list[str]:
    return [
        schedule.name,
        schedule.plan.task,
        str(schedule.timing),
        "" if schedule.state == "ended" else _moment(schedule.next_run),
        "" if schedule.repeats < 0 else str(schedule.repeats),
        schedule.state,
        _moment(schedule.last_run),
        str(schedule.missed) if schedule.missed else "",
    ]


def _moment(moment: datetime | None) -> str:
    """Return a moment in the local time, with its offset."""
    return moment.astimezone().isoformat(" ", "seconds") if moment else ""


def _known(
    project: Project, registry: Registry, store: ScheduleStore, *, is_kept: bool
) -> list[Schedule]:
    """Return the schedules of the store, as the declarations have them now.

    What no scheduler has seen yet is kept in the store if `is_kept`.
    """
    from gearfleet.schedule.declared import changes, declared
    from gearfleet.schedule.syncing import apply

    known = store.all()
    due = changes(declared(project.settings, registry, datetime.now(UTC)), known)
    if is_kept:
        apply(due, store)
        return store.all()
    gone = {each.name for each in (*due.remove, *(before for before, _ in due.update))}
    kept = [each for each in known if each.name not in gone]
    return sorted(
        [*kept, *due.add, *(after for _, after in due.update)], key=lambda each: each.name
    )


def _named(name: str, known: Sequence[Schedule]) -> Schedule:
    for each in known:
        if name in (each.name, each.id):
            return each
    raise UnknownName.of("schedule", name, [each.name for each in known])
