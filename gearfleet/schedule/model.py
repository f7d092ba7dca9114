"""Schedules and their occurrences as values, and what is to be done when one is due."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

from gearfleet.outgoing import new_id
from gearfleet.schedule.timing import latest_until, occurrence_after, occurrences

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gearfleet.schedule.timing import Timing

#: Whence a schedule is: made by a call of `schedule`, or declared in code or settings.
Origin = Literal["made", "code", "settings"]

#: Of the occurrences that were missed so many are counted.
MAX_COUNTED = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one occurrence submits.

    Attributes:
        task: the name of the task.
        args: of the call.
        kwargs: of the call.
        options: of the job, by their names among `SubmitOptions`.
        intended_date_kwarg: the argument that gets the moment for which the job was
            intended; empty for none.
        intended_as_text: whether it gets ISO 8601 text, as Django Q's tasks do.
        cluster: the queue that runs it; empty for that of the task. See `clusters`.
    """

    task: str
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    intended_date_kwarg: str = ""
    intended_as_text: bool = False
    cluster: str = ""

    def kwargs_at(self, intended: datetime, zone: str) -> dict[str, Any]:
        """Return the keyword arguments of the occurrence at `intended`."""
        if not self.intended_date_kwarg:
            return dict(self.kwargs)
        local = intended.astimezone(ZoneInfo(zone))
        # As an offset: another machine may know other rules of the zone.
        told = local.isoformat() if self.intended_as_text else datetime.fromisoformat(str(local))
        return {**self.kwargs, self.intended_date_kwarg: told}


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A job that is submitted again and again, or once at its time.

    Attributes:
        id: by which the store knows it; the jobs' ids follow from it.
        name: for people; no two schedules have the same.
        plan: what is submitted.
        timing: how occurrences follow each other.
        start: the first occurrence, from which the others are counted.
        next_run: the occurrence that is to be submitted next.
        repeats: how many are left; -1 for any number, 0 when it has ended.
        catch_up: whether each occurrence that was missed is submitted; else only the latest is.
        paused: whether it waits to be resumed.
        origin: whence it is.
        digest: of the declaration that it was made of; empty if it was made by a call.
        last_run: for when the last job was intended.
        last_job: its id.
        missed: how many occurrences were missed and not submitted.
        missed_at: the last of them.
    """

    id: str = field(default_factory=new_id)
    name: str
    plan: Plan
    timing: Timing
    start: datetime
    next_run: datetime
    repeats: int = -1
    catch_up: bool = False
    paused: bool = False
    origin: Origin = "made"
    digest: str = ""
    last_run: datetime | None = None
    last_job: str = ""
    missed: int = 0
    missed_at: datetime | None = None

    @property
    def state(self) -> Literal["active", "paused", "ended"]:
        """Whether it submits jobs."""
        if self.repeats == 0:
            return "ended"
        return "paused" if self.paused else "active"

    @property
    def is_kept(self) -> bool:
        """Whether it stays in the store when it has ended; a declared one would come back."""
        return self.origin != "made" or self.timing.kind != "once" or self.repeats >= 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """One occurrence that a scheduler has claimed, with all that its job needs.

    Attributes:
        schedule: the id of the schedule.
        name: of the schedule.
        intended: for when.
        job: the id of the job: the same for whoever submits it.
        plan: what is submitted; its `kwargs` have the intended date already.
        owner: the scheduler that is to submit it.
        lease_until: in seconds since the epoch: after that another one does.
    """

    schedule: str
    name: str
    intended: datetime
    job: str
    plan: Plan
    owner: str
    lease_until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one due occurrence changes.

    Attributes:
        intended: the occurrence to submit.
        start: of the schedule from then on.
        next_run: likewise.
        repeats: likewise.
        missed: how many occurrences are left out; at most `MAX_COUNTED` are counted.
        missed_from: the first of them.
        missed_until: the last of them, as far as they are counted.
    """

    intended: datetime
    start: datetime
    next_run: datetime
    repeats: int
    missed: int = 0
    missed_from: datetime | None = None
    missed_until: datetime | None = None


def step(schedule: Schedule, now: datetime) -> Step | None:
    """Return what is to be done for `schedule` now; None if nothing is due."""
    if schedule.state != "active" or schedule.next_run > now:
        return None
    timing, first = schedule.timing, schedule.next_run
    start = anchor(schedule)
    intended = first if schedule.catch_up else latest_until(timing, first, start, now)
    following = occurrence_after(timing, start, intended)
    left = schedule.repeats - 1 if schedule.repeats > 0 else schedule.repeats
    earlier = takewhile(lambda each: each < intended, occurrences(timing, first, start))
    missed = tuple(islice(earlier, MAX_COUNTED))
    return Step(
        intended=intended,
        start=start,
        next_run=following or intended,
        repeats=left if following else 0,
        missed=len(missed),
        missed_from=missed[0] if missed else None,
        missed_until=missed[-1] if missed else None,
    )


def anchor(schedule: Schedule) -> datetime:
    """Return from where occurrences are counted: `start`, unless `next_run` was moved away from it."""
    timing, start, following = schedule.timing, schedule.start, schedule.next_run
    if following <= start or timing.kind == "cron":
        return following
    before = occurrence_after(timing, start, following - _SMALLEST)
    return start if before == following else following


_SMALLEST = datetime.resolution


def resumed(schedule: Schedule, now: datetime) -> datetime:
    """Return the next run of a schedule that was paused: what came due meanwhile is passed over."""
    if schedule.next_run > now:
        return schedule.next_run
    return occurrence_after(schedule.timing, anchor(schedule), now) or schedule.next_run


def job_id(schedule: str, intended: datetime) -> str:
    """Return the id of the job for one occurrence: 32 hexadecimal digits, the same everywhere."""
    text = f"{schedule} {intended.astimezone(UTC).isoformat()}"
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def occurrence(schedule: Schedule, intended: datetime, owner: str, until: float) -> Occurrence:
    """Return the occurrence of `schedule` at `intended`, claimed by `owner`."""
    plan = schedule.plan
    return Occurrence(
        schedule=schedule.id,
        name=schedule.name,
        intended=intended,
        job=job_id(schedule.id, intended),
        plan=Plan(
            task=plan.task,
            args=plan.args,
            kwargs=plan.kwargs_at(intended, schedule.timing.zone),
            options={"group": schedule.name, **plan.options},
            cluster=plan.cluster,
        ),
        owner=owner,
        lease_until=until,
    )
