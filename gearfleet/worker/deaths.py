"""The workers of this host that died by themselves: what each had in hand, and how it ended.

A worker that ends in an orderly way says so on its board. Where one does not,
somebody else says it for it, once: whoever does that tells the quarantine. Call
these functions under its lock.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, NamedTuple

from gearfleet.worker import procfs, prometheus
from gearfleet.worker.boards import read_boards
from gearfleet.worker.scoreboard import close_for
from gearfleet.worker.time_limits import read_evidence, remove_evidence

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gearfleet.worker.boards import About, BoardEntry, JobInHand
    from gearfleet.worker.time_limits import Evidence

#: Whose end was asked for; where it came with force, no job is to blame.
_TOLD_TO_STOP = frozenset({"draining", "interrupted", "stopping"})

#: Seconds for which the board of a worker is kept whose place nobody took.
_KEPT = 24 * 3600.0


class Death(NamedTuple):
    """A worker died while it ran a job.

    Attributes:
        pid: of the worker.
        program: that it belonged to.
        host: where it ran.
        how: signal or exit code; empty where only its parent knows.
        noticed: when that was seen, in seconds since the epoch.
        job_began: when it had begun the job.
        deadline: when the job must have ended, by `time.monotonic`; 0 for never.
        release: of its code.
        is_timeout: whether it ended because the job ran into its time limit.
        stacks: where its threads were then.
    """

    pid: int
    program: str
    host: str
    how: str
    noticed: float
    job_began: float
    deadline: float = 0.0
    release: str = ""
    is_timeout: bool = False
    stacks: str = ""

    def __str__(self) -> str:
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.noticed))
        how = f", {self.how}" if self.how else ""
        after = f"after {max(0.0, self.noticed - self.job_began):.1f} s"
        return f"{self.program} (pid {self.pid} on {self.host}) {moment} {after}{how}"

    def to_json(self) -> str:
        """Return one line that `from_json` reads."""
        return json.dumps(self._asdict())

    @classmethod
    def from_json(cls, line: str) -> Death:
        """Return the death that `to_json` wrote."""
        return cls(**json.loads(line))


def collect_deaths(
    run_dir: Path, *, place_of: About | None = None
) -> Iterator[tuple[BoardEntry, list[tuple[JobInHand, Death]]]]:
    """Say on the boards of dead workers why they ended; return each with the jobs to blame.

    With `place_of`, of those alone that had the place of that worker.
    The board says it only when the caller goes on: who dies before has not
    counted the death, and another one will.
    """
    for entry in read_boards(run_dir, place_of=place_of):
        if entry.is_alive or entry.state == "ended":
            continue
        about = entry.about
        how = procfs.how_it_ended(about.pid, about.ticks) if about.is_of_this_boot else ""
        evidence = read_evidence(run_dir, about.file_name) if about.is_of_this_boot else None
        if evidence is not None:
            how = "by a time limit"
            late = [job for job in entry.jobs if evidence.is_of(job.deadline)]
            yield entry, [(job, _death(entry, job, how, evidence)) for job in late]
        else:
            blamed = entry.jobs if _is_to_blame(entry) else ()
            yield entry, [(job, _death(entry, job, how)) for job in blamed]
        prometheus.mark_gone(about.pid)
        close_for(entry, _reason(entry, how))
        remove_evidence(run_dir, about.file_name)


def take_place(run_dir: Path, about: About) -> str:
    """Return why the last worker at the place of `about` ended; such boards are removed.

    The board of one that died after `collect_deaths` stays until its death is counted.
    """
    ended = [entry for entry in read_boards(run_dir, place_of=about) if _has_ended(entry)]
    for entry in ended:
        # Whoever closed the board of one that died may know of no figures, or of others.
        prometheus.mark_gone(entry.about.pid)
        entry.path.unlink(missing_ok=True)
    return max(ended, key=lambda each: each.ended).reason if ended else ""


def clear_away(run_dir: Path) -> None:
    """Remove the boards whose place nobody took for long, or before the machine started again."""
    oldest = time.time() - _KEPT
    for entry in read_boards(run_dir):
        if _has_ended(entry) and (entry.ended < oldest or not entry.about.is_of_this_boot):
            entry.path.unlink(missing_ok=True)


def _has_ended(entry: BoardEntry) -> bool:
    return entry.state == "ended" and not entry.is_alive


def _is_to_blame(entry: BoardEntry) -> bool:
    """Return whether a job in hand may have been the cause."""
    return entry.about.is_of_this_boot and entry.state not in _TOLD_TO_STOP


def _death(entry: BoardEntry, job: JobInHand, how: str, evidence: Evidence | None = None) -> Death:
    about = entry.about
    return Death(
        pid=about.pid,
        program=about.program,
        host=about.host,
        how=how,
        noticed=time.time(),
        job_began=job.started,
        deadline=job.deadline,
        release=about.release,
        is_timeout=evidence is not None,
        stacks=evidence.stacks if evidence else "",
    )


def _reason(entry: BoardEntry, how: str) -> str:
    if not entry.about.is_of_this_boot:
        return "the machine was started again"
    said = f"died ({how})" if how else "died"
    if entry.state in _TOLD_TO_STOP:
        return f"{said} while {entry.state}"
    if entry.jobs:
        return f"{said} in {', '.join(f'{job.function} ({job.handle})' for job in entry.jobs)}"
    return f"{said} without a job in hand"
