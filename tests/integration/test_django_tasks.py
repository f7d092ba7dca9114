"""The backend keeps the contract of Django's tasks framework; nothing is sent to a job server here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.django_tasks import FRAMEWORK, make_site, need_framework, tell

if TYPE_CHECKING:
    from pathlib import Path

TASKS = """\
from FRAMEWORK import task

@task
def plain(*args, **kwargs):
    return kwargs or list(args)

@task(queue_name="mail", priority=-3)
def write(text): ...

@task(takes_context=True)
async def who(context): ...

@task
def fail():
    raise LookupError("no such photo")

def undecorated(): ...

renamed = task(undecorated)
"""

HELPERS = """\
import enum, threading
from datetime import datetime, timedelta, timezone as zones
from FRAMEWORK import TaskResultStatus, default_task_backend as backend, task, task_backends
from FRAMEWORK.base import TaskResult
from django.db import transaction
from django.test import override_settings
from gearfleet.config import current
from gearfleet.contrib.django.backend import GearmanBackend
from gearfleet.contrib.django.backend.api import InvalidTask, TaskResultDoesNotExist
from gearfleet.tasks import bind
from gearfleet.testing import Submitted
from myapp import tasks
from myapp.tasks import fail, plain, renamed, who, write

OURS = "gearfleet.contrib.django.backend.GearmanBackend"

def refused(action, *words, error=InvalidTask):
    try:
        action()
    except error as raised:
        assert all(word in str(raised) for word in words), raised
        return raised
    raise AssertionError(f"{error} was not raised")

def tasks_setting(**more):
    return override_settings(TASKS={"default": {"BACKEND": OURS, **more}})
"""


def check(folder: Path, story: str, more: str = "") -> None:
    """Run `story`, which must come to its end."""
    need_framework()
    site = make_site(folder, "127.0.0.1:9", TASKS, more)
    assert tell(site, f"{HELPERS}{story}\nprint('told')\n") == "told\n"


def test_declaration__what_no_worker_could_run_is_refused(tmp_path: Path) -> None:
    check(
        tmp_path,
        """
def outer():
    def nested(): ...
    return nested
refused(lambda: task(outer()), "module")
refused(lambda: task(lambda: None), "module")

def top(text): ...
top.__qualname__ = "top"
top.__module__ = "myapp.tasks"
refused(lambda: task(takes_context=True)(top), "context")
refused(lambda: task(queue_name="parcels")(top), "parcels")
for wrong in (101, -101, 1.5):
    refused(lambda wrong=wrong: task(priority=wrong)(top), "priority")
    refused(lambda wrong=wrong: plain.using(priority=wrong), "priority")

def generate():
    yield
generate.__qualname__, generate.__module__ = "generate", "myapp.tasks"
refused(lambda: task(generate), "generator")

refused(lambda: plain.using(run_after=datetime(2030, 1, 1)), "aware")
refused(lambda: plain.using(queue_name="mail"), "queue 'default'", "queue_name='mail'")
refused(lambda: plain.using(queue_name="parcels"), "parcels")
refused(renamed.enqueue, "myapp.tasks.undecorated", "not this task")
assert who.takes_context and write.queue_name == "mail" and write.priority == -3
""",
    )


def test_enqueue__becomes_a_job_of_gearfleets(tmp_path: Path) -> None:
    check(
        tmp_path,
        """
class Colour(str, enum.Enum):
    RED = "red"

assert backend.supports_defer and backend.supports_async_task
assert backend.supports_priority and backend.supports_get_result
assert backend.task_class is type(plain)

with bind(Submitted(current())) as _, bind(submitted := Submitted(current())):
    result = plain.enqueue((1, 2), b"text", colour=Colour.RED, table={7: None})
    assert isinstance(result, TaskResult) and result.status == TaskResultStatus.READY
    assert result.args == [[1, 2], "text"] and result.backend == "default"
    assert result.kwargs == {"colour": "red", "table": {"7": None}}
    assert type(result.kwargs["colour"]) is str and result.attempts == 0
    job = submitted.assert_once("myapp.tasks.plain", [1, 2], "text", colour="red", table={"7": None})
    assert job.options.id == result.id and job.options.priority == "normal"
    assert result.enqueued_at is not None and not result.is_finished
    refused(lambda: result.return_value, "finished", error=ValueError)

    for priority, level in ((100, "high"), (1, "high"), (0, "normal"), (-1, "low"), (-100, "low")):
        plain.using(priority=priority).enqueue()
        assert submitted[-1].options.priority == level
    write.enqueue("dear Ada")
    assert submitted[-1].options.priority == "low"

    due = datetime(2030, 1, 1, tzinfo=zones.utc)
    later = plain.using(run_after=due).enqueue()
    assert submitted[-1].options.at == due
    assert backend.get_result(later.id).task == plain.using(run_after=due)

    count = len(submitted)
    refused(lambda: plain.enqueue(object()), error=TypeError)
    refused(lambda: plain.enqueue(float("nan")), error=ValueError)
    refused(lambda: plain.enqueue(b"\\xff"), error=ValueError)
    assert len(submitted) == count

    with override_settings(USE_TZ=False, TIME_ZONE="Europe/Berlin"):
        naive = plain.using(run_after=datetime(2030, 1, 1, 12)).enqueue()
        assert submitted[-1].options.at == datetime(2030, 1, 1, 11, tzinfo=zones.utc)
        assert naive.enqueued_at.tzinfo is None
        found = backend.get_result(naive.id)
        assert found.enqueued_at.tzinfo is None and found.task == naive.task
""",
    )


def test_any_queue__serves_each_task_in_all_of_them(tmp_path: Path) -> None:
    check(
        tmp_path,
        """
from gearfleet.contrib.django.backend.adoption import adopted
from gearfleet.tasks.declarations import declared_in
assert list(adopted(plain.func)) == ["default", "mail"]
names = [each.name for each in declared_in("myapp.tasks")]
assert names[:2] == ["myapp.tasks.plain", "myapp.tasks.plain@mail"], names
posted = plain.using(queue_name="mail")
with bind(submitted := Submitted(current())):
    there = posted.enqueue(1)
    plain.enqueue(2)
    write.using(queue_name="default").enqueue("dear Ada")
    assert [job.task for job in submitted] == [
        "myapp.tasks.plain@mail", "myapp.tasks.plain", "myapp.tasks.write@default"
    ]
    assert submitted[-1].options.priority == "low"
assert there.task == posted and posted.queue_name == "mail"
assert backend.get_result(there.id).task == posted
refused(lambda: plain.using(queue_name="parcels"), "parcels")
from django.core import checks
assert checks.run_checks() == [], checks.run_checks()
""",
        'TASKS["default"]["OPTIONS"] = {"ANY_QUEUE": True}\n',
    )


def test_commit__is_waited_for_where_the_options_say_so(tmp_path: Path) -> None:
    check(
        tmp_path,
        """
heard = []
from FRAMEWORK.signals import task_enqueued
task_enqueued.connect(lambda sender, task_result, **_: heard.append((sender, task_result)), weak=False)
with bind(submitted := Submitted(current())):
    with transaction.atomic():
        plain.enqueue(1)
        assert len(submitted) == 1
    with tasks_setting(OPTIONS={"ENQUEUE_ON_COMMIT": True}):
        with transaction.atomic():
            result = plain.enqueue(2)
            assert (len(submitted), result.enqueued_at, len(heard)) == (1, None, 1)
            refused(lambda: plain.enqueue(object()), error=TypeError)
        assert len(submitted) == 2 and result.enqueued_at is not None
        assert heard[1] == (GearmanBackend, result)
        assert plain.enqueue(3).enqueued_at is not None
""",
    )


def test_results__are_told_of_as_far_as_they_are_kept(tmp_path: Path) -> None:
    check(
        tmp_path,
        """
kept = current()
for change in ({"RESULTS": "none"}, {"RESULTS": "memory"}, {"SAVE_LIMIT": -1}):
    with override_settings(GEARFLEET={"SERVERS": kept.servers, **change}):
        assert not backend.supports_get_result
        refused(lambda: backend.get_result("x"), *change, error=NotImplementedError)
        with bind(Submitted(current())):
            result = plain.enqueue()
            refused(result.refresh, error=NotImplementedError)
with override_settings(GEARFLEET={"SAVE_LIMIT": -1}), tasks_setting(OPTIONS={"KEEP_RESULTS": 60}):
    assert backend.supports_get_result

from gearfleet.results import TaskRecord, open_store
store = open_store(current())
store.save([TaskRecord(id="a", task="myapp.nowhere.lost"), TaskRecord(id="b", task="os.path.join")])
store.save([TaskRecord(id="c", task="myapp.tasks.plain", name="the first")])
for unknown in ("a", "b", "the first", "", "z" * 300):
    refused(lambda unknown=unknown: backend.get_result(unknown), error=TaskResultDoesNotExist)
assert backend.get_result("c").task == plain

# What came over the wire from nobody knows where.
for about in ({"workers": 1, "errors": [1, ["x"], ["x", 2]], "started": "now", "priority": "high",
               "run_after": 1e30, "backend": 7}, {"backend": "gone", "priority": 1000}):
    store.save([TaskRecord(id="d", task="myapp.tasks.plain", args=[b"x"], about=about)])
    found = backend.get_result("d")
    assert (found.worker_ids, found.errors, found.args) == ([], [], ["x"])
    assert found.task == plain and found.status == "SUCCESSFUL"
""",
    )


def test_other_backends__may_take_its_place(tmp_path: Path) -> None:
    check(
        tmp_path,
        """
immediate, dummy = (
    f"FRAMEWORK.backends.{name.lower()}.{name}Backend" for name in ("Immediate", "Dummy")
)
with override_settings(TASKS={"default": {"BACKEND": immediate}}):
    assert plain.enqueue(1).return_value == [1]
with override_settings(TASKS={"default": {"BACKEND": dummy}}):
    plain.enqueue(2)
    assert len(task_backends["default"].results) == 1

two = {"default": {"BACKEND": immediate}, "fleet": {"BACKEND": OURS}}
with override_settings(TASKS=two):
    assert plain.using(backend="fleet").backend == "fleet"  # it was adopted under another setting
""",
    )


def test_task_of_another_backend__is_not_taken_for_one_of_the_fleet(tmp_path: Path) -> None:
    more = f"""
TASKS["db"] = TASKS["default"]
TASKS["default"] = {{"BACKEND": "{FRAMEWORK}.backends.dummy.DummyBackend", "QUEUES": []}}
"""
    check(
        tmp_path,
        """
refused(lambda: plain.using(backend="db"), "backend 'default'", "@task(backend='db')")
from gearfleet.tasks.declarations import declared_in
assert declared_in("myapp.tasks") == ()
""",
        more,
    )


def test_instances__one_for_each_thread(tmp_path: Path) -> None:
    check(
        tmp_path,
        """
with bind(submitted := Submitted(current())):
    seen = []
    def enqueue():
        seen.append(task_backends["default"])
        plain.enqueue(1)
    threads = [threading.Thread(target=enqueue) for _ in range(3)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(set(map(id, seen))) == 3 and len({job.options.id for job in submitted}) == 3
""",
    )


@pytest.mark.parametrize("results", ["django", "memory"])
def test_eager__runs_here_and_keeps_the_result(tmp_path: Path, results: str) -> None:
    check(
        tmp_path,
        """
result = plain.enqueue(1, 2)
result.refresh()
assert result.return_value == [1, 2] and result.attempts == 1
refused(fail.enqueue, "no such photo", error=LookupError)
""",
        f'GEARFLEET |= {{"ALWAYS_EAGER": True, "RESULTS": "{results}"}}\n',
    )


def test_checks__say_what_is_wrong(tmp_path: Path) -> None:
    check(
        tmp_path,
        """
from django.core import checks
def found(**setting):
    with tasks_setting(**setting):
        return {each.id: each for each in checks.run_checks() if each.id.startswith("gearfleet.")}

assert found() == {}
wrong = found(
    QUEUES=["two words"],
    OPTIONS={"RETRY": 3, "TIME_LIMIT": -1, "ENQUEUE_ON_COMMIT": "yes", "KEEP_RESULTS": 0, "ANY_QUEUE": 1},
)
assert sorted(wrong) == ["gearfleet.E102", "gearfleet.E103", "gearfleet.W101"], wrong
assert "RETRIES" in wrong["gearfleet.W101"].hint
assert all(each.hint for each in wrong.values())
with override_settings(GEARFLEET={"RESULTS": "none"}):
    assert "RESULTS" in found()["gearfleet.W102"].hint
for wrong in (7, "django:nowhere"):
    with override_settings(GEARFLEET={"RESULTS": wrong}):
        assert "results" in found()["gearfleet.E104"].msg
from myapp import letters
assert "myapp.letters.post" in found()["gearfleet.W103"].msg
from django.apps import apps
with override_settings(INSTALLED_APPS=["myapp", *[a for a in ("django_tasks",) if apps.is_installed(a)]]):
    assert list(found()) == ["gearfleet.E101"]
""",
        "import pathlib\n(pathlib.Path(__file__).parent / 'myapp' / 'letters.py').write_text("
        "(pathlib.Path(__file__).parent / 'myapp' / 'tasks.py').read_text()"
        ".split('@task')[0] + '@task\\ndef post(): ...\\n')\n",
    )
