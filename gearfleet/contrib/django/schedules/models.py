"""The tables of schedules: Django Q's fields by their names, and what a scheduler keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from gearfleet import config
from gearfleet.contrib.django.schedules import literals
from gearfleet.errors import ScheduleError
from gearfleet.outgoing import new_id

if TYPE_CHECKING:
    from datetime import datetime

    from gearfleet.schedule.timing import Timing

#: As in the tables of results: MySQL indexes no more.
MAX_LENGTH = 255


def new_uid() -> str:
    """Return an id that no other schedule has."""
    return new_id()


class Schedule(models.Model):
    """A job that ``gearfleet scheduler`` submits at its times.

    Attributes:
        uid: from which the ids of its jobs follow.
        func: the name of the task, or the dotted path of its function.
        args: the arguments by position, as text: see `literals`.
        kwargs: the named ones, likewise; ``q_options`` among them are options of the job.
        cluster: the queue that runs the jobs; empty for that of the task.
        repeats: how many jobs are left; -1 for any number, 0 when it has ended.
        next_run: the moment of the next job.
        task: the id of the last one.
        start: from where occurrences are counted; empty for `next_run`.
        options: JSON of the options that a call of `gearfleet.schedule` had.
        missed: how many occurrences were missed and not submitted; the last at `missed_at`.
    """

    ONCE, MINUTES, HOURLY, DAILY, WEEKLY = "O", "I", "H", "D", "W"
    BIWEEKLY, MONTHLY, BIMONTHLY, QUARTERLY, YEARLY, CRON = "BW", "M", "BM", "Q", "Y", "C"
    TYPE = (
        (ONCE, _("once")),
        (MINUTES, _("minutes")),
        (HOURLY, _("hourly")),
        (DAILY, _("daily")),
        (WEEKLY, _("weekly")),
        (BIWEEKLY, _("biweekly")),
        (MONTHLY, _("monthly")),
        (BIMONTHLY, _("bimonthly")),
        (QUARTERLY, _("quarterly")),
        (YEARLY, _("yearly")),
        (CRON, _("cron")),
    )

    uid: models.CharField[str, str] = models.CharField(
        max_length=32, unique=True, default=new_uid, editable=False
    )
    name: models.CharField[str, str] = models.CharField(
        _("name"), max_length=MAX_LENGTH, unique=True, blank=True
    )
    func: models.CharField[str, str] = models.CharField(
        _("task"), max_length=MAX_LENGTH, help_text=_("the task, such as shop.report")
    )
    hook: models.CharField[str | None, str | None] = models.CharField(
        _("hook"), max_length=MAX_LENGTH, blank=True, null=True
    )
    args: models.TextField[str | None, str | None] = models.TextField(
        _("arguments"), blank=True, null=True, help_text=_("such as 1, 'a text'")
    )
    kwargs: models.TextField[str | None, str | None] = models.TextField(
        _("named arguments"), blank=True, null=True, help_text=_("such as x=1, y='a text'")
    )
    schedule_type: models.CharField[str, str] = models.CharField(
        _("kind"), max_length=2, choices=TYPE, default=ONCE
    )
    minutes: models.PositiveIntegerField[int | None, int | None] = models.PositiveIntegerField(
        _("minutes"), null=True, blank=True
    )
    cron: models.CharField[str | None, str | None] = models.CharField(
        _("cron"), max_length=100, null=True, blank=True
    )
    repeats: models.IntegerField[int, int] = models.IntegerField(
        _("repeats"), default=-1, help_text=_("-1 for any number, n counts down")
    )
    next_run: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(
        _("next run"), default=timezone.now, null=True
    )
    task: models.CharField[str | None, str | None] = models.CharField(
        max_length=100, null=True, editable=False
    )
    intended_date_kwarg: models.CharField[str | None, str | None] = models.CharField(
        _("argument for the intended date"), max_length=100, null=True, blank=True
    )
    cluster: models.CharField[str | None, str | None] = models.CharField(
        _("cluster"), max_length=100, null=True, blank=True
    )
    time_zone: models.CharField[str, str] = models.CharField(
        _("time zone"), max_length=64, blank=True, help_text=_("empty for the project's")
    )
    catch_up: models.BooleanField[bool, bool] = models.BooleanField(_("catch up"), default=False)
    paused: models.BooleanField[bool, bool] = models.BooleanField(_("paused"), default=False)
    origin: models.CharField[str, str] = models.CharField(
        _("declared in"), max_length=8, default="made", editable=False
    )
    digest: models.CharField[str, str] = models.CharField(max_length=32, blank=True, editable=False)
    options: models.TextField[str, str] = models.TextField(blank=True, editable=False)
    start: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(
        null=True, editable=False
    )
    last_run: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(
        null=True, editable=False
    )
    missed: models.PositiveIntegerField[int, int] = models.PositiveIntegerField(
        _("missed"), default=0, editable=False
    )
    missed_at: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(
        null=True, editable=False
    )

    objects: ClassVar[models.Manager[Schedule]] = models.Manager()

    class Meta:
        app_label = "gearfleet"
        ordering = ("next_run",)
        verbose_name = _("schedule")
        verbose_name_plural = _("schedules")
        indexes = [models.Index(fields=["next_run"], name="gearfleet_schedule_next")]

    def __str__(self) -> str:
        return self.name or self.func

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Keep it; one without a name is given one."""
        if not self.name:
            self.name = f"{self.func} {self.uid[-8:]}"
        super().save(*args, **kwargs)

    def clean(self) -> None:
        """Refuse what no scheduler could mean.

        Raises:
            ValidationError: with the reason.
        """
        try:
            self.timing()
            literals.read_args(self.args)
            literals.read_kwargs(self.kwargs)
        except ScheduleError as error:
            raise ValidationError(str(error)) from error

    def timing(self) -> Timing:
        """Return how its occurrences follow each other, or raise `ScheduleError`."""
        # Every process of the project imports this module; few of them ask for a time.
        from gearfleet.schedule.timing import timing

        is_cron, is_minutes = self.schedule_type == self.CRON, self.schedule_type == self.MINUTES
        return timing(
            self.schedule_type,
            minutes=self.minutes if is_minutes else None,
            cron=self.cron if is_cron else None,
            zone=self.time_zone or config.current().time_zone,
        )

    def calculate_next_run(self, next_run: datetime | None = None) -> datetime | None:
        """Return the occurrence after `next_run`, or after the next one; None if it is the last."""
        from gearfleet.schedule.timing import occurrence_after

        moment = next_run or self.next_run or timezone.now()
        return occurrence_after(self.timing(), moment, moment)

    def success(self) -> bool | None:
        """Return whether its last job has succeeded; None while that is not known."""
        from gearfleet.results.reading import fetch

        record = fetch(self.task) if self.task else None
        return record.is_success if record else None

    def result(self) -> Any:
        """Return what its last job returned; None while there is nothing."""
        from gearfleet.results.reading import fetch

        record = fetch(self.task) if self.task else None
        return record.result if record and record.is_success else None


class Occurrence(models.Model):
    """An occurrence that a scheduler has claimed, and what became of that."""

    schedule: models.CharField[str, str] = models.CharField(max_length=32)
    intended: models.DateTimeField[datetime, datetime] = models.DateTimeField()
    name: models.CharField[str, str] = models.CharField(max_length=MAX_LENGTH)
    job: models.CharField[str, str] = models.CharField(max_length=32)
    plan: models.TextField[str, str] = models.TextField()
    owner: models.CharField[str, str] = models.CharField(max_length=MAX_LENGTH)
    lease_until: models.FloatField[float, float] = models.FloatField()
    state: models.CharField[str, str] = models.CharField(max_length=9, default="claimed")
    failure: models.TextField[str, str] = models.TextField(blank=True)

    objects: ClassVar[models.Manager[Occurrence]] = models.Manager()

    class Meta:
        app_label = "gearfleet"
        constraints = [
            models.UniqueConstraint(
                fields=["schedule", "intended"], name="gearfleet_occurrence_once"
            )
        ]
        indexes = [models.Index(fields=["state", "lease_until"], name="gearfleet_occurrence_left")]

    def __str__(self) -> str:
        return f"{self.name} {self.intended}: {self.state}"
