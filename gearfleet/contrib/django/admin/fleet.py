"""The fleet as it runs: job servers, queues, programs and processes, from the servers themselves."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _

from gearfleet import config
from gearfleet.contrib.django import texts
from gearfleet.contrib.django.admin.generic import ModelAdmin
from gearfleet.contrib.django.models import Fleet
from gearfleet.contrib.django.project import installed_apps
from gearfleet.errors import DiscoveryError
from gearfleet.monitor import Code
from gearfleet.monitor.sample import Places, take
from gearfleet.monitor.view import view_of
from gearfleet.supervisor.address import Address
from gearfleet.supervisor.control import Supervisor
from gearfleet.tasks import discover

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse

    from gearfleet.config import Host, Settings
    from gearfleet.monitor.truths import TaskTruth

#: Where Debian's supervisord is configured.
MAIN = "/etc/supervisor/supervisord.conf"
#: Seconds that each answer may take: somebody waits for the page.
TIMEOUT = 1.5
#: Seconds between two looks that the page offers.
INTERVALS = (2, 5, 15, 60)


@admin.register(Fleet)
class FleetAdmin(ModelAdmin[Fleet]):
    """One page; there is nothing to add, change or delete."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Fleet | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Fleet | None = None) -> bool:
        return False

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show what runs now, and again every so often if the page is asked to."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        request.current_app = self.admin_site.name  # so that its links stay in this site
        every = request.GET.get("every", "")
        context = {
            **self.admin_site.each_context(request),
            "title": _("Fleet"),
            "opts": self.opts,
            "intervals": INTERVALS,
            "every": every,
            **fleet_now(config.current()),
            **(extra_context or {}),
        }
        page = TemplateResponse(request, "admin/gearfleet/fleet/change_list.html", context)
        if every in map(str, INTERVALS):
            page["Refresh"] = every
        return page


def fleet_now(settings: Settings) -> dict[str, Any]:
    """Return what the page shows of this moment."""
    tasks, trouble = _tasks(settings)
    view = view_of(
        take(
            Places(
                servers=settings.servers_of_workers,
                run_dir=settings.run_dir,
                connect=way_to_supervisord(settings),
                tasks=tasks,
                timeout=TIMEOUT,
            )
        )
    )
    processes = [
        {
            "row": row,
            "doing": ", ".join(row.tasks) or row.state,
            "seconds": texts.duration(row.seconds) if row.tasks else "",
            "memory": row.rss_bytes,
        }
        for row in view.processes
    ]
    now = texts.moment(view.now)
    return {"view": view, "processes": processes, "now": now, "trouble": trouble}


def way_to_supervisord(settings: Settings) -> Callable[[], Supervisor] | None:
    """Return what makes the way to the supervisord of this host; None where none is known."""
    host = settings.hosts.get(socket.gethostname())
    if host and host.url:
        return lambda: _at(host)
    if os.access(MAIN, os.R_OK):
        return lambda: Supervisor.from_config(MAIN, timeout=TIMEOUT)
    return None


def _at(host: Host) -> Supervisor:
    from gearfleet.config.credentials import credentials_of

    username, password = credentials_of(host) or (None, None)
    address = Address.from_url(host.url or "", username=username, password=password)
    return Supervisor(address, timeout=TIMEOUT)


def _tasks(settings: Settings) -> tuple[tuple[TaskTruth, ...], str]:
    try:
        registry = discover(installed_apps())
    except DiscoveryError as error:
        return (), str(error)
    return Code.of(registry, settings, "").tasks, ""
