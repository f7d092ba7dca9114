"""Schedules: make and change them, run one now, pause and resume them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.urls import reverse
from django.utils import formats, timezone
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from gearfleet import config
from gearfleet.client import Client
from gearfleet.contrib.django.admin.generic import ModelAdmin, ModelForm
from gearfleet.contrib.django.models import Record, Schedule
from gearfleet.contrib.django.project import installed_apps
from gearfleet.contrib.django.results.place import alias_of
from gearfleet.contrib.django.schedules import rows
from gearfleet.contrib.django.schedules.store import DjangoScheduleStore
from gearfleet.errors import GearfleetError, ServerUnavailable
from gearfleet.schedule import steering
from gearfleet.schedule.clusters import find_task, in_cluster
from gearfleet.tasks import discover

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import QuerySet
    from django.http import HttpRequest

    from gearfleet.schedule import Schedule as Model
    from gearfleet.tasks import Registry

#: Fields from which the occurrences follow; what was counted from before counts no more.
TIMES = frozenset({"schedule_type", "minutes", "cron", "time_zone", "next_run"})


#: Where a record is shown, by its state.
_PAGES = {"success": "success", "failure": "failure", "expired": "failure"}


class ScheduleForm(ModelForm[Schedule]):
    """Refuses a schedule of a task that the project does not have, or its cluster does not run."""

    def clean_func(self) -> str:
        """Return the task."""
        func: str = self.cleaned_data["func"]
        try:
            find_task(func, discover(installed_apps()))
        except GearfleetError as error:
            raise forms.ValidationError(str(error)) from error
        return func

    def clean_cluster(self) -> str | None:
        """Return the cluster, which must be one that runs the task."""
        func, cluster = self.cleaned_data.get("func"), self.cleaned_data["cluster"]
        if not (func and cluster):
            return None
        registry = discover(installed_apps())
        try:
            in_cluster(find_task(func, registry), cluster, registry.tasks, config.current())
        except GearfleetError as error:
            raise forms.ValidationError(str(error)) from error
        return str(cluster)


@admin.register(Schedule)
class ScheduleAdmin(ModelAdmin[Schedule]):
    """What is declared in code or settings is changed there; here it is run and paused."""

    form = ScheduleForm
    actions = ("run_now", "pause", "resume")
    list_display = (
        "name", "func", "cluster", "when", "next_run", "left", "condition", "last", "missed",
    )  # fmt: skip
    list_filter = ("paused", "schedule_type", "origin", "cluster")
    search_fields = ("name", "func")
    ordering = ("next_run", "name")
    readonly_fields = ("condition", "last", "missed")
    fieldsets = (
        (None, {"fields": ("name", "func", "args", "kwargs", "hook", "cluster")}),
        (
            _("times"),
            {
                "fields": (
                    *("schedule_type", "minutes", "cron", "next_run", "time_zone", "repeats"),
                    *("catch_up", "intended_date_kwarg", "paused"),
                )
            },
        ),
        (_("what happened"), {"fields": ("condition", "last", "missed")}),
    )

    # What is declared elsewhere would be changed back by the next scheduler that starts.

    def has_change_permission(self, request: HttpRequest, obj: Schedule | None = None) -> bool:
        return _is_own(obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Schedule | None = None) -> bool:
        return _is_own(obj) and super().has_delete_permission(request, obj)

    def save_model(self, request: HttpRequest, obj: Schedule, form: Any, change: bool) -> None:
        """Keep a schedule; where its times were changed, they are counted anew."""
        if change and TIMES & set(form.changed_data):
            obj.start = None
        super().save_model(request, obj, form, change)

    # Columns and fields

    @admin.display(description=_("when"))
    def when(self, row: Schedule) -> str:
        try:
            return str(row.timing())
        except GearfleetError as error:
            return str(error)

    @admin.display(description=_("left"), ordering="repeats")
    def left(self, row: Schedule) -> str:
        return "" if row.repeats < 0 else str(row.repeats)

    @admin.display(description=_("state"))
    def condition(self, row: Schedule) -> str:
        if row.repeats == 0:
            return gettext("ended")
        return gettext("paused") if row.paused else gettext("active")

    @admin.display(description=_("last job"), ordering="last_run")
    def last(self, row: Schedule) -> str:
        """Return when it ran last, as a link to what came of that."""
        if row.last_run is None or not row.task:
            return ""
        is_aware = timezone.is_aware(row.last_run)
        moment = formats.localize(timezone.localtime(row.last_run) if is_aware else row.last_run)
        records = Record.objects.using(alias_of(config.current()))
        record = records.filter(job=row.task).only("seq", "state").first()
        page = _PAGES.get(record.state) if record else None
        if record is None or page is None:
            return moment
        url = reverse(f"{self.admin_site.name}:gearfleet_{page}_change", args=[record.seq])
        return format_html('<a href="{}">{}: {}</a>', url, moment, record.state)

    # Actions

    @admin.action(description=_("Run selected schedules now"), permissions=["change"])
    def run_now(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> None:
        """Submit the job of each; their times stay."""
        try:
            registry = discover(installed_apps())
        except GearfleetError as error:  # the tasks do not import
            self.message_user(request, str(error), messages.ERROR)
            return
        with Client(config.current()) as client:
            done = self._steer(request, queryset, _Submit(client, registry, _store(queryset)))
        text = ngettext("%d job was submitted.", "%d jobs were submitted.", done)
        self._tell(request, text, done)

    @admin.action(description=_("Pause selected schedules"), permissions=["change"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> None:
        """Let each wait."""
        store = _store(queryset)
        done = self._steer(
            request, queryset, _noting("Paused", lambda one: steering.pause(one, store))
        )
        self._tell(request, ngettext("%d schedule waits.", "%d schedules wait.", done), done)

    @admin.action(description=_("Resume selected schedules"), permissions=["change"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> None:
        """Let each go on."""
        store = _store(queryset)
        done = self._steer(
            request, queryset, _noting("Resumed", lambda one: steering.resume(one, store))
        )
        self._tell(request, ngettext("%d schedule goes on.", "%d schedules go on.", done), done)

    def _steer(
        self, request: HttpRequest, queryset: QuerySet[Schedule], act: Callable[[Model], str]
    ) -> int:
        """Do something with each schedule, and note it in its history; return how many went well."""
        count = 0
        for row in queryset:
            try:
                note = act(rows.schedule_of(row))
            except (GearfleetError, ValueError, TypeError) as error:  # a row that nobody can mean
                self.message_user(request, f"{row.name}: {error}", messages.ERROR)
                if isinstance(error, ServerUnavailable):
                    break  # nobody takes the others either
            else:
                self.log_change(request, row, note)
                count += 1
        return count

    def _tell(self, request: HttpRequest, text: str, count: int) -> None:
        if count:
            self.message_user(request, text % count, messages.SUCCESS)


class _Submit:
    """Submits the job of a schedule now."""

    def __init__(self, client: Client, registry: Registry, store: DjangoScheduleStore) -> None:
        self._client, self._registry, self._store = client, registry, store

    def __call__(self, schedule: Model) -> str:
        handle = self._client.enqueue(*steering.call_now(schedule, self._registry))
        self._store.note_run(schedule.id, datetime.now(UTC), handle.id)
        return f"Run as {handle.id}"


def _noting(note: str, act: Callable[[Model], object]) -> Callable[[Model], str]:
    def noted(schedule: Model) -> str:
        act(schedule)
        return note

    return noted


def _store(queryset: QuerySet[Schedule]) -> DjangoScheduleStore:
    return DjangoScheduleStore(queryset.db)


def _is_own(row: Schedule | None) -> bool:
    """Return whether a schedule was made here or by code at run time."""
    return row is None or row.origin == "made"
