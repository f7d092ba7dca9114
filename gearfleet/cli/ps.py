"""``gearfleet ps``: the workers of this host, and what each is doing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

    from gearfleet.cli.builder import Verbs
    from gearfleet.cli.output import Output
    from gearfleet.worker.scoreboard import BoardEntry, JobInHand

COLUMNS = (
    "program",
    "pid",
    "state",
    "task",
    "job",
    "for",
    "done",
    "failed",
    "memory",
    "release",
    "the one before",
)


def add_verbs(verbs: Verbs) -> None:
    """Add the verb ``ps``."""
    verbs.add("ps", ps)


def ps(args: argparse.Namespace, output: Output) -> int:
    """Show every worker whose board is in the run directory of the project."""
    from gearfleet.cli.project import load_project
    from gearfleet.worker.scoreboard import read_boards

    run_dir = load_project(args).settings.run_dir
    entries = [entry for entry in read_boards(run_dir) if entry.is_alive]
    now = time.time()
    if output.json:
        output.data([describe(entry, now) for entry in entries])
    elif entries:
        output.table("", COLUMNS, [row(entry, now) for entry in entries])
    else:
        output.talk(f"No worker runs here (run directory: {run_dir}).")
    return 0


def describe(entry: BoardEntry, now: float) -> dict[str, Any]:
    """Return all that is known of a worker, as values of JSON."""
    about = entry.about
    return {
        "program": about.program,
        "process": about.slot,
        "pid": about.pid,
        "host": about.host,
        "state": entry.state,
        "module": about.module,
        "queues": list(about.queues),
        "release": about.release,
        "began": about.began,
        "prefetch": about.prefetch,
        "jobs": [_job(job, now) for job in entry.jobs],
        "done": entry.done,
        "failed": entry.failed,
        "given_back": entry.given_back,
        "rss_bytes": entry.rss_bytes,
        "previous_end": about.previous,
    }


def row(entry: BoardEntry, now: float) -> list[str]:
    """Return the cells of a worker; one with several jobs has a line for each."""
    about = entry.about
    jobs = [_job(job, now) for job in entry.jobs]
    return [
        about.program,
        str(about.pid),
        entry.state,
        "\n".join(job["task"] for job in jobs),
        "\n".join(job["handle"] for job in jobs),
        "\n".join(duration(job["seconds"]) for job in jobs),
        str(entry.done),
        str(entry.failed),
        f"{entry.rss_bytes / 1e6:.0f} MB",
        about.release,
        about.previous,
    ]


def duration(seconds: float) -> str:
    """Return a time as one glance takes it in.

    Example:
        >>> [duration(seconds) for seconds in (0.4, 75, 7385, 100_000)]
        ['0s', '1m15s', '2h03m', '1d03h']
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    if minutes == 0:
        return f"{rest}s"
    if hours == 0:
        return f"{minutes}m{rest:02}s"
    if hours < 24:
        return f"{hours}h{minutes_left:02}m"
    return f"{hours // 24}d{hours % 24:02}h"


def _job(job: JobInHand, now: float) -> dict[str, Any]:
    return {
        "task": job.task,
        "function": job.function,
        "handle": job.handle,
        "id": job.id,
        "unique": job.unique,
        "started": job.started,
        "seconds": round(max(0.0, now - job.started), 3),
    }
