"""The admin, as Django's test client sees it: who may do what, and that looking does nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.admin_site import AdminSite

if TYPE_CHECKING:
    from tests.support.job_servers import JobServer

#: What every script begins with: records of both kinds, users, and clients who are logged in.
BEGINNING = """\
from datetime import UTC, datetime, timedelta

from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client, override_settings
from django.test.utils import setup_test_environment
from django.urls import reverse

from gearfleet import fetch
from gearfleet.contrib.django.models import Failure, Record, Schedule, Success
from gearfleet.schedule import schedule
from myapp.gearman_workers.worker_foo import MENDED, develop, price

setup_test_environment()

def client_of(*permissions, strict=False):
    user = User.objects.create_user(f"clerk {User.objects.count()}", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client(enforce_csrf_checks=strict)
    client.force_login(user)
    return client

def page(kind, what="changelist", *args):
    return reverse(f"admin:gearfleet_{kind}_{what}", args=args)

def act(client, kind, action, *rows, **more):
    chosen = [row.pk for row in rows]
    data = {"action": action, "_selected_action": chosen, **more}
    return client.post(page(kind), data, follow=True)

def told(response):
    return [str(message) for message in response.context["messages"]]

def expect(response, *messages):
    assert told(response) == [*messages], told(response)
"""

RECORDS = """\
done = fetch(price.options(name="a dozen", group="may").delay(12), wait=30)
lost = fetch(develop.options(name="a photo").delay("beach"), wait=30)
assert lost.failure.message == "no such photo: <b>beach</b>"
success, failure = Success.objects.get(), Failure.objects.get()
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, gearmand: JobServer) -> AdminSite:
    return AdminSite(tmp_path_factory.mktemp("admin"), gearmand.address)


def test_records__are_shown_run_again_and_deleted(site: AdminSite) -> None:
    script = """
    shown = client_of("view_success", "view_failure")
    for kind, words in (
        ("success", ["a dozen", "Decimal(&#x27;4.20&#x27;)", "prices", "may"]),
        ("failure", ["a photo", "LookupError: no such photo: &lt;b&gt;beach&lt;/b&gt;", "photos"]),
    ):
        answer = shown.get(page(kind))
        assert answer.status_code == 200
        for word in words:
            assert word in answer.content.decode(), (word, answer.content.decode())
    opened = shown.get(page("failure", "change", failure.pk)).content.decode()
    for word in ("develop(&#x27;beach&#x27;)", "Traceback (most recent call last)", lost.id):
        assert word in opened, (word, opened)
    opened = shown.get(page("success", "change", success.pk)).content.decode()
    assert "price(12)" in opened and "Decimal(&#x27;4.20&#x27;)" in opened

    # Searching, filtering, the dates.
    for query, count in (
        ("?q=dozen", 1), ("?q=" + done.id, 1), ("?q=nothing", 0), ("?group=may", 1),
        ("?queue=photos", 0), (f"?stopped_at__year={success.stopped_at.year}", 1),
        ("?stopped_at__year=1999", 0),
    ):
        found = shown.get(page("success") + query).context["cl"].queryset.count()
        assert found == count, (query, found)

    # Who may only look does nothing else, and to look does nothing.
    act(shown, "failure", "run_again", failure)
    act(shown, "failure", "delete_selected", failure, post="yes")
    chosen = f"?action=run_again&_selected_action={failure.pk}"
    boss = client_of("view_failure", "run_again_failure", "delete_failure")
    boss.get(page("failure") + chosen)
    boss.get(page("failure", "delete", failure.pk))
    assert Failure.objects.get() == failure and Record.objects.count() == 2
    strict = client_of("view_failure", "run_again_failure", strict=True)
    assert act(strict, "failure", "run_again", failure).status_code == 403

    # A job runs again with the arguments that it had: nobody changes them.
    boss = client_of("view_failure", "change_failure", "add_failure", "run_again_failure")
    assert boss.post(page("failure", "change", failure.pk), {"arguments": "[]"}).status_code == 403
    assert boss.get(page("failure", "add")).status_code == 403

    MENDED.touch()
    answer = act(boss, "failure", "run_again", failure)
    expect(answer, "1 job runs again.")
    assert not Failure.objects.exists()
    job = LogEntry.objects.get().change_message.rpartition(" ")[2]
    assert fetch(job, wait=30).result == "developed beach"
    again = act(client_of("view_success", "run_again_success"), "success", "run_again", success)
    expect(again, "1 job runs again.")
    assert Success.objects.filter(pk=success.pk).exists(), "what has succeeded is kept"
    job = LogEntry.objects.latest("pk").change_message.rpartition(" ")[2]
    assert str(fetch(job, wait=30).result) == "4.20"

    # In bulk.
    act(client_of("view_success", "delete_success"), "success", "delete_selected",
        *Success.objects.all(), post="yes")
    assert not Success.objects.exists()
    """
    with site.working():
        site.python(BEGINNING + RECORDS + _flush_left(script))


def test_run_again__of_what_cannot_be_submitted_says_why_and_keeps_the_record(
    site: AdminSite,
) -> None:
    script = """
    MENDED.unlink(missing_ok=True)
    boss = client_of("view_failure", "run_again_failure")
    from gearfleet import config
    with override_settings(GEARFLEET={"SERVERS": ["127.0.0.1:1"], "RESULTS": "django"}):
        (said,) = told(act(boss, "failure", "run_again", failure))
    assert "127.0.0.1:1" in said, said
    Failure.objects.update(task="myapp.worker_foo.gone")
    (said,) = told(act(boss, "failure", "run_again", failure))
    assert "cannot be submitted again" in said and "myapp.worker_foo.gone" in said, said
    assert Failure.objects.count() == 1

    # What another release wrote is shown as it is, and keeps no page from its place.
    Failure.objects.update(failure='["of another', arguments="{", result="{")
    listed = boss.get(page("failure")).content.decode()
    assert "[&quot;of another" in listed, listed
    assert boss.get(page("failure", "change", failure.pk)).status_code == 200
    assert told(act(boss, "failure", "run_again", failure))[0] != "1 job runs again."
    assert Failure.objects.count() == 1

    with override_settings(GEARFLEET={"SERVERS": ["127.0.0.1:1"], "RESULTS": "sqlite"}):
        (said,) = told(boss.get(page("failure")))
    assert "the setting “results” is “sqlite”" in said, said
    Record.objects.all().delete()
    """
    with site.working():
        begun = "MENDED.unlink(missing_ok=True)\n"
        site.python(BEGINNING + begun + RECORDS + _flush_left(script))


def test_schedules__are_made_run_paused_and_deleted(site: AdminSite) -> None:
    script = """
    boss = client_of(*(f"{what}_schedule" for what in ("view", "add", "change", "delete")))
    fields = {
        "name": "nightly", "func": "myapp.worker_foo.price", "args": "3", "kwargs": "",
        "schedule_type": "D", "repeats": "-1", "next_run_0": "2050-01-01", "next_run_1": "03:00:00",
    }
    refused = boss.post(page("schedule", "add"), {**fields, "func": "myapp.worker_foo.prize"})
    (error,) = refused.context["adminform"].form.errors["func"]
    assert "myapp.worker_foo.price" in error, error
    refused = boss.post(page("schedule", "add"), {**fields, "schedule_type": "I"})
    assert refused.status_code == 200 and not Schedule.objects.exists()
    boss.post(page("schedule", "add"), fields, follow=True)
    made = Schedule.objects.get()
    assert (made.name, made.origin, made.next_run.hour) == ("nightly", "made", 3)

    expect(act(boss, "schedule", "run_now", made), "1 job was submitted.")
    made.refresh_from_db()
    assert str(fetch(made.task, wait=30).result) == "1.05"
    assert made.next_run.year == 2050, "its times stay"
    listed = boss.get(page("schedule")).content.decode()
    record = Record.objects.get(job=made.task)
    assert page("success", "change", record.pk) in listed and "active" in listed

    expect(act(boss, "schedule", "pause", made), "1 schedule waits.")
    made.refresh_from_db()
    assert made.paused and "paused" in boss.get(page("schedule")).content.decode()
    expect(act(boss, "schedule", "resume", made), "1 schedule goes on.")
    made.refresh_from_db()
    assert not made.paused
    notes = LogEntry.objects.filter(object_repr="nightly").order_by("pk")
    assert [note.change_message.split()[0] for note in notes][1:] == ["Run", "Paused", "Resumed"]

    # What is declared in code is run and paused, but neither changed nor deleted.
    declared = Schedule.objects.create(
        name="stocktaking", func="myapp.worker_foo.count", schedule_type="Y", origin="code"
    )
    changed = {**fields, "name": "stocktaking"}
    assert boss.post(page("schedule", "change", declared.pk), changed).status_code == 403
    assert boss.post(page("schedule", "delete", declared.pk), {"post": "yes"}).status_code == 403
    act(boss, "schedule", "delete_selected", declared, made, post="yes")
    assert Schedule.objects.count() == 2
    expect(act(boss, "schedule", "pause", declared), "1 schedule waits.")

    with override_settings(GEARFLEET={"SERVERS": ["127.0.0.1:1"], "RESULTS": "django"}):
        (said,) = told(act(boss, "schedule", "run_now", made, declared))
    assert "127.0.0.1:1" in said, said
    Schedule.objects.filter(pk=declared.pk).update(args="no literal")
    (said,) = told(act(boss, "schedule", "run_now", declared))
    assert said.startswith("stocktaking: "), said

    shown = client_of("view_schedule")
    act(shown, "schedule", "run_now", made)
    act(shown, "schedule", "delete_selected", made, post="yes")
    assert Schedule.objects.count() == 2 and Record.objects.count() == 1
    boss = client_of("view_schedule", "delete_schedule")
    act(boss, "schedule", "delete_selected", made, post="yes")
    assert Schedule.objects.get() == declared
    declared.delete()
    Record.objects.all().delete()
    """
    with site.working():
        site.python(BEGINNING + _flush_left(script))


def test_fleet__is_shown_to_who_may_see_it(site: AdminSite) -> None:
    script = """
    shown = client_of("view_fleet")
    for _ in range(20):  # a busy machine may not answer within the page's time
        answer = shown.get(page("fleet"))
        view = answer.context["view"]
        (server,) = view.servers
        if server.is_up:
            break
    assert server.is_up, server
    assert server.workers >= 1, server
    assert {row.queue for row in view.queues} >= {"photos", "prices"}
    assert [row.program for row in view.programs] == ["worker_foo"]
    (process,) = view.processes
    assert str(process.pid) in answer.content.decode() and "Refresh" not in answer
    assert shown.get(page("fleet") + "?every=5")["Refresh"] == "5"
    assert "Refresh" not in shown.get(page("fleet") + "?every=0.001")
    assert shown.get(page("fleet", "add")).status_code == 403
    assert client_of("view_success").get(page("fleet")).status_code == 403
    assert Client().get(page("fleet")).status_code == 302

    down = {"SERVERS": ["127.0.0.1:1"], "RESULTS": "django"}
    with override_settings(GEARFLEET=down):
        answer = shown.get(page("fleet"))
    (server,) = answer.context["view"].servers
    assert not server.is_up and "<strong>down</strong>" in answer.content.decode()
    """
    with site.working():
        site.python(BEGINNING + _flush_left(script))


def _flush_left(script: str) -> str:
    return "\n".join(line.removeprefix("    ") for line in script.splitlines())
