"""`WorkerOptions`: how one worker process behaves."""

from __future__ import annotations

from typing import NamedTuple

from gearfleet.worker.recycling import Recycling
from gearfleet.worker.rungs import Limits


class WorkerOptions(NamedTuple):
    """What the options of ``gearfleet worker`` say.

    Attributes:
        limits: of the steps of stopping.
        recycling: when it ends in order to be started afresh.
        time_limit: seconds of a job whose task has no limit of its own; 0 for none.
        prefetch: how many jobs may be here, the running one included.
        concurrency: how many jobs run at a time.
        cpu_affinity: how many CPUs it may use; 0 for all.
    """

    limits: Limits = Limits()
    recycling: Recycling = Recycling()
    time_limit: float = 0.0
    prefetch: int = 1
    concurrency: int = 1
    cpu_affinity: int = 0
