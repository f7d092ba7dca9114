"""Schedules: jobs that are submitted at their time, once or again and again.

    from gearfleet.schedule import schedule

    schedule(report, "shop", schedule_type="daily", name="nightly report")

The process that submits them is ``gearfleet scheduler``; see docs/how-to/schedules.md.
"""

from __future__ import annotations

from gearfleet.schedule.api import schedule
from gearfleet.schedule.model import Occurrence, Plan, Schedule
from gearfleet.schedule.store import ScheduleStore, open_schedules
from gearfleet.schedule.timing import KINDS, Timing, occurrence_after, timing

__all__ = [
    "KINDS",
    "Occurrence",
    "Plan",
    "Schedule",
    "ScheduleStore",
    "Timing",
    "occurrence_after",
    "open_schedules",
    "schedule",
    "timing",
]
