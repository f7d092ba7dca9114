"""The jobs that have ended: look at them, run them again, delete them.

A record is what happened, so nobody edits it. Nor are the arguments edited for another
run: a job with others is another job, which is submitted with its task.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin, messages
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from gearfleet import config
from gearfleet.client import Client
from gearfleet.contrib.django import texts
from gearfleet.contrib.django.admin.generic import ModelAdmin
from gearfleet.contrib.django.models import Failure, Record, Success
from gearfleet.contrib.django.project import installed_apps
from gearfleet.contrib.django.results.place import alias_of
from gearfleet.errors import GearfleetError, ServerUnavailable
from gearfleet.results.again import call_again
from gearfleet.tasks import discover

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse

    from gearfleet.tasks import Registry


class RecordAdmin(ModelAdmin[Record]):
    """What the lists of successes and of failures have in common."""

    actions = ("run_again",)
    date_hierarchy = "stopped_at"
    list_filter: ClassVar[tuple[str, ...]] = ("task", "queue", "group")
    search_fields = ("job", "name", "task", "group")
    ordering = ("-seq",)
    show_full_result_count = False
    list_per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[Record]:
        """Return the records, in the database that the setting ``results`` names."""
        return super().get_queryset(request).using(alias_of(config.current()))

    # Nobody writes records but the workers.

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Record | None = None) -> bool:
        return False

    def has_run_again_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may submit jobs."""
        user: Any = request.user
        return bool(user.has_perm(f"gearfleet.run_again_{self.opts.model_name}"))

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the list; say so if the records are kept elsewhere."""
        named = config.current().results
        if request.method == "GET" and not named.startswith("django"):
            text = _(
                "New results are not kept here: the setting “results” is “%s”. "
                "Set it to “django” to see them in the admin."
            )
            self.message_user(request, text % named, messages.WARNING)
        return super().changelist_view(request, extra_context)

    # Columns and fields

    @admin.display(description=_("enqueued"))
    def enqueued(self, row: Record) -> str:
        return texts.moment(row.enqueued_at)

    @admin.display(description=_("began"), ordering="started")
    def began(self, row: Record) -> str:
        return texts.moment(row.started)

    @admin.display(description=_("ended"), ordering="stopped")
    def ended(self, row: Record) -> str:
        return texts.moment(row.stopped)

    @admin.display(description=_("took"))
    def took(self, row: Record) -> str:
        return texts.duration(row.stopped - row.started) if row.started else ""

    @admin.display(description=_("waited"))
    def waited(self, row: Record) -> str:
        is_known = row.enqueued_at and row.started
        return texts.duration(max(0.0, row.started - row.enqueued_at)) if is_known else ""

    @admin.display(description=_("call"))
    def call(self, row: Record) -> str:
        return pre(texts.call_of(row.sealed()))

    # Running again

    @admin.action(description=_("Run selected jobs again"), permissions=["run_again"])
    def run_again(self, request: HttpRequest, queryset: QuerySet[Record]) -> None:
        """Submit each job once more, in the order in which they ended."""
        count = 0
        try:
            registry = discover(installed_apps())
            with Client(config.current()) as client:
                for row in queryset.order_by("seq"):
                    count += self._has_run_again(request, row, client, registry)
        except GearfleetError as error:  # nothing more can be submitted
            self.message_user(request, str(error), messages.ERROR)
        if count:
            text = ngettext("%d job runs again.", "%d jobs run again.", count)
            self.message_user(request, text % count, messages.SUCCESS)

    def _has_run_again(
        self, request: HttpRequest, row: Record, client: Client, registry: Registry
    ) -> bool:
        try:
            handle = client.enqueue(*call_again(row.record(), registry))
        except ServerUnavailable:
            raise
        except GearfleetError as error:
            self.message_user(request, str(error), messages.ERROR)
            return False
        self.log_change(request, row, f"Runs again as {handle.id}")
        self.after_run_again(row)
        return True

    def after_run_again(self, row: Record) -> None:
        """Do what follows when a job server has accepted the new job."""


@admin.register(Success)
class SuccessAdmin(RecordAdmin):
    """Jobs whose task has returned."""

    list_display = ("name", "task", "queue", "group", "began", "took", "short_result")
    fields = (
        ("job", "name"), ("task", "queue", "group"), "call", "full_result",
        ("enqueued", "waited", "began", "ended", "took"), ("attempt", "server", "handle"),
    )  # fmt: skip

    @admin.display(description=_("result"))
    def short_result(self, row: Record) -> str:
        return texts.shortened(texts.result_of(row.sealed()))

    @admin.display(description=_("result"))
    def full_result(self, row: Record) -> str:
        return pre(texts.result_of(row.sealed()))


@admin.register(Failure)
class FailureAdmin(RecordAdmin):
    """Jobs that failed for good; the record of one that runs again goes."""

    list_display = ("name", "task", "queue", "group", "ended", "attempt", "short_reason")
    list_filter: ClassVar[tuple[str, ...]] = ("state", *RecordAdmin.list_filter)
    fields = (
        ("job", "name"), ("task", "queue", "group"), "call", "state", "reason", "traceback",
        ("enqueued", "waited", "began", "ended", "took"), ("attempt", "server", "handle"),
    )  # fmt: skip

    @admin.display(description=_("reason"))
    def short_reason(self, row: Record) -> str:
        return texts.shortened(self.reason(row))

    @admin.display(description=_("reason"))
    def reason(self, row: Record) -> str:
        return texts.cut(texts.reason_of(row.sealed()))

    @admin.display(description=_("traceback"))
    def traceback(self, row: Record) -> str:
        return pre(texts.traceback_of(row.sealed()))

    def after_run_again(self, row: Record) -> None:
        row.delete()


def pre(text: str) -> str:
    """Return a text as a page shows it line by line, whatever is in it."""
    return format_html('<pre style="margin: 0; white-space: pre-wrap">{}</pre>', texts.cut(text))
