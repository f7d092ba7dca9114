"""A task that is counted and does nothing else."""

from __future__ import annotations

import ticks

from gearfleet import hooks, task


@task(queue="noop")
def tick(value: int | str) -> None:
    ticks.tick(value)


@hooks.on_start
def note_start() -> None:
    """Leave out what it costs to start."""
    ticks.note_start()
