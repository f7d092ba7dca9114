"""What a person does with a schedule: run it now, pause it, let it go on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gearfleet import config
from gearfleet.errors import UnknownName
from gearfleet.schedule.clusters import find_task, in_cluster
from gearfleet.schedule.model import occurrence, resumed
from gearfleet.tasks import TaskCall

if TYPE_CHECKING:
    from collections.abc import Callable

    from gearfleet.schedule.model import Schedule
    from gearfleet.schedule.store import ScheduleStore
    from gearfleet.tasks import Registry


def call_now(schedule: Schedule, registry: Registry) -> TaskCall:
    """Return the call of the schedule's job at this moment; its times stay as they are.

    Who has submitted it notes that in the store (`ScheduleStore.note_run`).

    Raises:
        UnknownName: the project has no such task.
        ScheduleError: its cluster does not run it.
    """
    task = find_task(schedule.plan.task, registry)
    task = in_cluster(task, schedule.plan.cluster, registry.tasks, config.current())
    plan = occurrence(schedule, datetime.now(UTC), "", 0.0).plan
    return TaskCall(task.name, plan.args, plan.kwargs, replace(task.chosen, **plan.options))


def pause(schedule: Schedule, store: ScheduleStore) -> Schedule:
    """Let a schedule wait until it is resumed; return it as it is now.

    Raises:
        UnknownName: it is gone meanwhile.
    """
    return _changed(store, schedule, lambda now: replace(now, paused=True))


def resume(schedule: Schedule, store: ScheduleStore) -> Schedule:
    """Let a schedule go on with its next time; return it as it is now.

    Raises:
        UnknownName: it is gone meanwhile.
    """

    def go_on(schedule: Schedule) -> Schedule:
        following = resumed(schedule, datetime.now(UTC)) if schedule.paused else schedule.next_run
        return replace(schedule, paused=False, next_run=following)

    return _changed(store, schedule, go_on)


def _changed(
    store: ScheduleStore, schedule: Schedule, change: Callable[[Schedule], Schedule]
) -> Schedule:
    """Change a schedule, again if a scheduler was at it meanwhile."""
    now: Schedule | None = schedule
    while now is not None:
        after = change(now)
        if store.change(now, after):
            return after
        now = store.find(schedule.id)
    raise UnknownName.of("schedule", schedule.name, [each.name for each in store.all()])
