"""What is known of a fleet right now, from four sides, and what is wrong between them.

    truths      the code, the configuration, supervisord, the job servers: one value for each
    look        asks supervisord, with a deadline
    servers     asks the job servers, all at the same time, with a deadline
    plugin      asks supervisorctl whether it knows gearfleet, with a deadline
    supervised  rules over supervisord and the workers of this host
    queues      rules over the job servers
    at_once     several questions at the same time
    sample      all who can be asked are asked, again and again
    view        what a sample means, in rows
    arranging   in which order rows are shown, and which
    totals      what the records of the results say of the last hour and day

Rules are pure: they get a `Snapshot` and yield findings. A truth that could not
be asked is a value too, with the reason, and the others are told all the same.
"""

from gearfleet.monitor.truths import (
    Code,
    JobServer,
    Plugin,
    Registered,
    Snapshot,
    Supervision,
    TaskTruth,
)

__all__ = [
    "Code",
    "JobServer",
    "Plugin",
    "Registered",
    "Snapshot",
    "Supervision",
    "TaskTruth",
]
