"""gearfleet in Django's admin: jobs that have ended, schedules, and the fleet as it runs.

Nothing is done by looking: whatever runs, pauses or deletes something is a POST, which
Django guards with its token, and needs a permission of its own.
"""

from gearfleet.contrib.django.admin.fleet import FleetAdmin
from gearfleet.contrib.django.admin.records import FailureAdmin, SuccessAdmin
from gearfleet.contrib.django.admin.schedules import ScheduleAdmin

__all__ = ["FailureAdmin", "FleetAdmin", "ScheduleAdmin", "SuccessAdmin"]
