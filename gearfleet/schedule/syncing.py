"""Bring a store to what code and settings declare, and say what changed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gearfleet.schedule.declared import Changes
    from gearfleet.schedule.model import Schedule
    from gearfleet.schedule.store import ScheduleStore

logger = logging.getLogger(__name__)


def apply(changes: Changes, store: ScheduleStore) -> None:
    """Make `changes` in `store`; what another scheduler did meanwhile stays as that left it."""
    for each in changes.add:
        if store.add(each):
            _tell("added", each)
            _tell_if_over(each)
    for before, after in changes.update:
        if store.change(before, after):
            _tell("changed", after)
    for each in changes.remove:
        if store.delete([each.id]):
            _tell("removed", each)


def _tell(what: str, schedule: Schedule) -> None:
    logger.info(
        "Schedule '%s' %s: %s, declared in %s",
        *(schedule.name, what, schedule.timing, schedule.origin),
        extra={"action": f"schedule_{what}", "schedule": schedule.name},
    )


def _tell_if_over(schedule: Schedule) -> None:
    if schedule.repeats == 0:
        logger.warning(
            "Schedule '%s' was over at %s, before it was known: its job is not submitted",
            *(schedule.name, schedule.start.isoformat(sep=" ", timespec="seconds")),
            extra={"action": "schedule_missed", "schedule": schedule.name, "missed": 1},
        )
