"""For the tests of your project: pytest fixtures, and the values that they give.

pytest finds the fixtures by itself where gearfleet is installed:

* `submitted` records what is submitted, and runs nothing;
* `inline_tasks` runs it in the test, at once, and records it too;
* `job_server` is a job server in memory, that clients then use;
* `worker` serves the tasks of the process from it, in a thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gearfleet._late import late

if TYPE_CHECKING:
    from gearfleet.testing.recorder import Submitted, SubmittedJob
    from gearfleet.testing.worker import ThreadWorker

# pytest imports this package in every project where gearfleet is installed.
_HOMES = {
    "Submitted": "gearfleet.testing.recorder",
    "SubmittedJob": "gearfleet.testing.recorder",
    "ThreadWorker": "gearfleet.testing.worker",
}

__all__ = ["Submitted", "SubmittedJob", "ThreadWorker"]

__getattr__, __dir__ = late(__name__, _HOMES)
