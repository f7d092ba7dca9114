"""Q9, QX21, QX24: what Django Q's admin and its model of a task offer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gearfleet import config
from gearfleet.config import Settings
from gearfleet.results import TaskRecord, seal
from gearfleet.tasks.failure import Failure
from tests.originals.projects import make_project
from tests.support import django_databases
from tests.support.admin_site import SETTINGS, tell_story
from tests.support.django_databases import SQLITE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.job_servers import JobServer

TASKS = """\
from gearfleet import task

@task(queue="photos")
def develop(photo): ...
"""

#: A project's admin, with one successful and one failed job, a schedule, and who may do everything.
BEGINNING = """\
import sys
import django
django.setup()

from django.core.management import call_command
call_command("migrate", verbosity=0)

from django.contrib.auth.models import User
from django.test import Client
from django.test.utils import setup_test_environment
from django.urls import reverse
from gearfleet import config
from gearfleet.contrib.django.models import Failure, Record, Schedule, Success
from gearfleet.results import TaskRecord, open_store, reading
from gearfleet.tasks.failure import Failure as Reason

setup_test_environment()
boss = Client()
boss.force_login(User.objects.create_superuser("boss"))

def page(kind, what="changelist", *args):
    return reverse(f"admin:gearfleet_{kind}_{what}", args=args)

def rows(kind, query=""):
    return [row.job for row in boss.get(page(kind) + query).context["cl"].queryset]

def again(kind, job):
    row = Record.objects.get(job=job)
    data = {"action": "run_again", "_selected_action": [row.pk]}
    answer = boss.post(page(kind), data, follow=True)
    assert [str(each) for each in answer.context["messages"]] == ["1 job runs again."]

moments = {"enqueued_at": 1.0, "started": 2.0, "stopped": 3.0}
more = {"queue": "photos", "group": "may", **moments}
store = open_store(config.current())
store.save([
    TaskRecord("a", "myapp.develop", name="beach", args=("sand",), result="x" * 300, **more),
    TaskRecord("b", "myapp.develop", "failure", "cliff", args=("rock",),
               failure=Reason(type="LookupError", message="no film"), **more),
    TaskRecord("c", "myapp.other", name="dune", queue="mail", group="june", **moments),
])
"""

SCRIPT = """\
# Q9: read only, nothing is added, there is a search; failures run again, and then they go.
for kind, job in (("success", "a"), ("failure", "b")):
    row = Record.objects.get(job=job)
    assert boss.get(page(kind, "add")).status_code == 403
    assert boss.post(page(kind, "change", row.pk), {"task": "x"}).status_code == 403
    assert boss.get(page(kind, "change", row.pk)).status_code == 200
    assert boss.get(page(kind, "delete", row.pk)).status_code == 200
again("failure", "b")
assert rows("failure") == []

# QX21: search by name, function and group; filters by group and cluster, which is the queue here.
assert rows("success", "?q=beach") == rows("success", "?q=develop") == rows("success", "?q=may") == ["a"]
assert rows("success", "?queue=mail") == rows("success", "?group=june") == ["c"]
assert sorted(rows("success")) == ["a", "c"]

# A successful job runs again too, and stays; its result is cut in the list.
again("success", "a")
assert sorted(rows("success")) == ["a", "c"]
listed = boss.get(page("success")).content.decode()
assert "x" * 96 + "..." in listed and "x" * 100 not in listed

# The last job of a schedule is a link to what came of it.
from django.utils import timezone
Schedule.objects.create(name="nightly", func="myapp.develop", task="a", last_run=timezone.now())
link = page("success", "change", Record.objects.get(job="a").pk)
assert f'<a href="{link}">' in boss.get(page("schedule")).content.decode()

# What waits: the two that were submitted again.
for _ in range(20):  # a busy machine may not answer within the page's time
    view = boss.get(page("fleet")).context["view"]
    if view.servers[0].is_up:
        break
(queue,) = [row for row in view.queues if row.function.endswith("myapp.develop")]
assert (queue.queue, queue.waiting) == ("photos", 2), queue
"""


def test_q9_qx21__the_admin(tmp_path: Path, gearmand: JobServer, function: str) -> None:
    project = make_project(tmp_path, gearmand.address, {})
    settings = f'{SETTINGS}GEARFLEET["PREFIX"] = "{function}."\n'
    tell_story(project, TASKS, BEGINNING + SCRIPT, settings)


@pytest.fixture
def _rows() -> Iterator[None]:
    django_databases.set_up()
    with config.using(Settings(results="django")):
        django_databases.migrate(SQLITE)
        yield
        django_databases.empty(SQLITE)


@pytest.mark.usefixtures("_rows")
def test_qx24__what_the_model_of_a_task_offers() -> None:
    from gearfleet.contrib.django.models import Record, Success
    from gearfleet.contrib.django.results import DjangoStore

    broken = Failure(type="LookupError", message="no film", traceback="Traceback: no film")
    alone = TaskRecord("e", "shop.develop", result=5, stopped=1.0)
    done = TaskRecord(
        "a" * 32, "shop.develop", result=2, group="may", queue="photos", attempt=3,
        enqueued_at=10.0, started=12.0, stopped=15.0,
    )  # fmt: skip
    failed = done._replace(id="b" * 32, state="failure", failure=broken, started=11.0)
    store = DjangoStore(alias=SQLITE)
    store.save([seal(each) for each in (done, failed, alone)])
    store.close()

    row = Success.objects.get(job="a" * 32)
    assert len(row.job) == 32
    assert (row.func, row.cluster, row.group, row.success) == (
        "shop.develop",
        "photos",
        "may",
        True,
    )
    assert (row.attempt_count, row.time_taken(), row.get_result()) == (3, 5.0, 2)
    assert (row.group_result(), row.group_result(failures=True)) == ([2], [broken.traceback, 2])
    assert (row.group_count(), row.group_count(failures=True)) == (2, 1)
    assert row.group_delete() == 2
    assert Record.objects.count() == 3, "the records stay, without the group"
    Record.objects.exclude(job="e").update(group="june")
    row.refresh_from_db()
    assert row.group_delete(tasks=True) == 2
    lone = Record.objects.get()
    assert (lone.group_result(), lone.group_count(), lone.group_delete(tasks=True)) == ([], 0, 0)
    assert Record.objects.exists(), "jobs without a group are no group"
