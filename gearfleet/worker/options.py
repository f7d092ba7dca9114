"""`WorkerOptions`: how one worker process behaves."""

from __future__ import annotations

from dataclasses import dataclass, field

from gearfleet.worker.rungs import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """What the options of ``gearfleet worker`` say.

    Attributes:
        limits: of the steps of stopping.
        prefetch: how many jobs may be here, the running one included.
        concurrency: how many jobs run at a time.
    """

    limits: Limits = field(default_factory=Limits)
    prefetch: int = 1
    concurrency: int = 1
