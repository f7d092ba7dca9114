"""gearfleet: Gearman tasks for Python and the Supervisor fleet that runs them.

The names below are imported when they are first used, so that a supervisorctl
plugin in a system Python, or a user of `gearfleet.gearman` alone, pays for
nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gearfleet._late import late
from gearfleet._version import __version__

if TYPE_CHECKING:
    from gearfleet.client import Client, JobHandle
    from gearfleet.errors import Retry, SoftTimeLimitExceeded, TimeLimitExceeded
    from gearfleet.flows import chain, gather
    from gearfleet.results.reading import (
        count_group,
        delete_group,
        fetch,
        fetch_group,
        result,
        result_group,
    )
    from gearfleet.tasks import task
    from gearfleet.tasks.current import current_job
    from gearfleet.tasks.periodic import periodic
    from gearfleet.tasks.retry import Backoff
    from gearfleet.worker import hooks

_HOMES = {
    "Backoff": "gearfleet.tasks.retry",
    "Client": "gearfleet.client",
    "JobHandle": "gearfleet.client",
    "Retry": "gearfleet.errors",
    "SoftTimeLimitExceeded": "gearfleet.errors",
    "TimeLimitExceeded": "gearfleet.errors",
    "chain": "gearfleet.flows",
    "count_group": "gearfleet.results.reading",
    "current_job": "gearfleet.tasks.current",
    "delete_group": "gearfleet.results.reading",
    "fetch": "gearfleet.results.reading",
    "fetch_group": "gearfleet.results.reading",
    "gather": "gearfleet.flows",
    "hooks": "gearfleet.worker",
    "periodic": "gearfleet.tasks.periodic",
    "result": "gearfleet.results.reading",
    "result_group": "gearfleet.results.reading",
    "task": "gearfleet.tasks",
}

__all__ = [
    "Backoff",
    "Client",
    "JobHandle",
    "Retry",
    "SoftTimeLimitExceeded",
    "TimeLimitExceeded",
    "__version__",
    "chain",
    "count_group",
    "current_job",
    "delete_group",
    "fetch",
    "fetch_group",
    "gather",
    "hooks",
    "periodic",
    "result",
    "result_group",
    "task",
]

__getattr__, __dir__ = late(__name__, _HOMES)
