"""A task that is counted and does nothing else."""

from __future__ import annotations

import ticks

from gearfleet import task


@task(queue="noop")
def tick(value: int | str) -> None:
    ticks.tick(value)
