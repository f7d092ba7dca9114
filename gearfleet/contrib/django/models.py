"""What became of jobs, in the database: the tables behind the setting ``results = "django"``.

Workers write them through `gearfleet.contrib.django.results.DjangoStore`. To look at
them there are `gearfleet.result` and its kin, and queries:

    Failure.objects.filter(task="shop.resize").order_by("-seq")[:10]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from gearfleet.contrib.django.schedules.models import Occurrence, Schedule
from gearfleet.results import Sealed

if TYPE_CHECKING:
    from datetime import datetime

    from gearfleet.results import TaskRecord

__all__ = ["Failure", "Fleet", "Occurrence", "Part", "Record", "Schedule", "Success"]

#: Characters of what is looked up by; MySQL indexes no more.
MAX_LENGTH = 255

STATES = (
    ("success", _("success")),
    ("failure", _("failure")),
    ("expired", _("expired")),
    ("retry", _("tried again")),
)


class Record(models.Model):
    """A job that has ended; one table holds them all, because a failed attempt becomes a success.

    The fields are those of `gearfleet.results.TaskRecord`, as texts and numbers. A job of one
    of Django's own tasks has a row from the start, whose state is ``retry`` until it has ended.

    Attributes:
        seq: counts records as they are written; the newest has the highest.
        job: id of the job.
        limited_as: as what it counts where so many are kept: ``success``, ``failure``, or
            nothing if it is kept for a time, whatever the limits.
        stopped_at: `stopped` once more, as a moment that Django's filters know.
        arguments: JSON of the positional and the named ones, in the envelope's form.
        result: JSON of what the task returned, likewise.
        failure: JSON of why the job failed; empty for a success.
    """

    seq: models.BigAutoField[int, int] = models.BigAutoField(primary_key=True)
    job: models.CharField[str, str] = models.CharField(_("job"), max_length=MAX_LENGTH)
    name: models.CharField[str, str] = models.CharField(_("name"), max_length=MAX_LENGTH)
    task: models.CharField[str, str] = models.CharField(_("task"), max_length=MAX_LENGTH)
    state: models.CharField[str, str] = models.CharField(_("state"), max_length=8, choices=STATES)
    limited_as: models.CharField[str, str] = models.CharField(
        max_length=8, blank=True, editable=False
    )
    function: models.CharField[str, str] = models.CharField(
        _("function"), max_length=MAX_LENGTH, blank=True
    )
    queue: models.CharField[str, str] = models.CharField(
        _("queue"), max_length=MAX_LENGTH, blank=True
    )
    group: models.CharField[str, str] = models.CharField(
        _("group"), max_length=MAX_LENGTH, blank=True
    )
    hook: models.TextField[str, str] = models.TextField(blank=True)
    enqueued_at: models.FloatField[float, float] = models.FloatField(default=0.0)
    started: models.FloatField[float, float] = models.FloatField(default=0.0)
    stopped: models.FloatField[float, float] = models.FloatField(default=0.0)
    stopped_at: models.DateTimeField[datetime, datetime] = models.DateTimeField(
        _("ended"), editable=False
    )
    attempt: models.PositiveIntegerField[int, int] = models.PositiveIntegerField(
        _("attempt"), default=1
    )
    server: models.CharField[str, str] = models.CharField(
        _("job server"), max_length=MAX_LENGTH, blank=True
    )
    handle: models.CharField[str, str] = models.CharField(
        _("handle"), max_length=MAX_LENGTH, blank=True
    )
    keep_until: models.FloatField[float, float] = models.FloatField(default=0.0)
    arguments: models.TextField[str, str] = models.TextField()
    result: models.TextField[str, str] = models.TextField()
    failure: models.TextField[str, str] = models.TextField(blank=True)

    objects: ClassVar[models.Manager[Record]] = models.Manager()

    class Meta:
        # Not ``unique=True``, which in PostgreSQL is two indexes to keep.
        constraints = [models.UniqueConstraint(fields=["job"], name="gearfleet_record_job")]
        indexes = [
            # What goes when there are too many is found without a look at what stays.
            models.Index(fields=["limited_as", "seq"], name="gearfleet_record_limited"),
            models.Index(fields=["group", "seq"], name="gearfleet_record_group"),
            models.Index(fields=["name", "seq"], name="gearfleet_record_name"),
            models.Index(fields=["function", "seq"], name="gearfleet_record_function"),
            models.Index(fields=["keep_until"], name="gearfleet_record_until"),
        ]

    def __str__(self) -> str:
        return f"{self.task} {self.name}: {self.state}"

    def sealed(self) -> Sealed:
        """Return it as every store keeps it."""
        told = {name: getattr(self, name) for name in Sealed._fields if name != "id"}
        texts = {name: told[name].encode() for name in ("arguments", "result", "failure")}
        return Sealed(id=self.job, **(told | texts))

    def record(self) -> TaskRecord:
        """Return it with its values, as `gearfleet.fetch` does."""
        return self.sealed().record()

    # What Django Q's model has beside the fields, by its names.

    @property
    def func(self) -> str:
        """The name of the task."""
        return self.task

    @property
    def cluster(self) -> str:
        """The queue of the task."""
        return self.queue

    @property
    def success(self) -> bool:
        """Whether the task returned."""
        return self.state == "success"

    @property
    def attempt_count(self) -> int:
        """How many attempts there were."""
        return self.attempt

    def time_taken(self) -> float:
        """Return the seconds from the submit to the end."""
        return max(0.0, self.stopped - (self.enqueued_at or self.started))

    def get_result(self) -> Any:
        """Return what the task returned; of one that failed, the text of why."""
        record = self.record()
        if record.is_success or record.failure is None:
            return record.result
        return record.failure.traceback or str(record.failure)

    def group_result(self, failures: bool = False) -> list[Any]:
        """Return the results of the job's group; with `failures` also why the others failed."""
        found = self._group() if failures else self._group().filter(state="success")
        return [row.get_result() for row in found.order_by("started", "seq")]

    def group_count(self, failures: bool = False) -> int:
        """Count the jobs of the group; with `failures` only those that failed."""
        found = self._group()
        return (found.exclude(state="success") if failures else found).count()

    def group_delete(self, tasks: bool = False) -> int:
        """Take the jobs out of the group, or with `tasks` delete their records; return how many."""
        return self._group().delete()[0] if tasks else self._group().update(group="")

    def _group(self) -> models.QuerySet[Record]:
        """Return the jobs of its group that have ended; none for a job without a group."""
        found = Record.objects.using(self._state.db).exclude(state="retry")
        return found.filter(group=self.group) if self.group else found.none()


class _Successes(models.Manager[Record]):
    def get_queryset(self) -> models.QuerySet[Record]:
        return super().get_queryset().filter(state="success")


class _Failures(models.Manager[Record]):
    def get_queryset(self) -> models.QuerySet[Record]:
        return super().get_queryset().filter(state__in=("failure", "expired"))


class Success(Record):
    """A job whose task has returned."""

    objects = _Successes()

    class Meta:
        proxy = True
        verbose_name = _("successful job")
        verbose_name_plural = _("successful jobs")
        permissions = [("run_again_success", "Can run successful jobs again")]


class Failure(Record):
    """A job that failed for good, or was dropped because it began too late."""

    objects = _Failures()

    class Meta:
        proxy = True
        verbose_name = _("failed job")
        verbose_name_plural = _("failed jobs")
        permissions = [("run_again_failure", "Can run failed jobs again")]


class Fleet(Record):
    """Nothing that is kept: the admin's page of what runs, and the permission to see it."""

    class Meta:
        proxy = True
        default_permissions = ("view",)
        verbose_name = _("fleet")
        verbose_name_plural = _("fleet: queues and workers")


class Part(models.Model):
    """The record of one of the jobs whose results become one list, until that is made.

    Attributes:
        whole: id of the record that the list is kept under.
        place: of this part in the list, from 0.
        sealed: JSON of the part's record.
    """

    whole: models.CharField[str, str] = models.CharField(max_length=MAX_LENGTH)
    place: models.PositiveIntegerField[int, int] = models.PositiveIntegerField()
    sealed: models.TextField[str, str] = models.TextField()

    objects: ClassVar[models.Manager[Part]] = models.Manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["whole", "place"], name="gearfleet_part_place")
        ]

    def __str__(self) -> str:
        return f"{self.whole} {self.place}"
