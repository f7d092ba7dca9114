"""Z17, Z18: what is known of a job, and the way from django-ztask's table to there."""

from __future__ import annotations

import json
import pickle
import sys
import time
from base64 import b64encode
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from io import StringIO
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from gearfleet import config, fetch
from gearfleet.config import Settings
from gearfleet.gearman import GearmanWorker
from tests.support import django_databases
from tests.support.django_databases import SQLITE
from tests.support.running import running
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.job_servers import JobServer

#: As South made it in SQLite.
TABLE = """
CREATE TABLE django_ztask_task (
    uuid varchar(36) NOT NULL PRIMARY KEY, function_name varchar(255) NOT NULL, args text NOT NULL,
    kwargs text NOT NULL, retry_count integer NOT NULL, last_exception text NULL,
    next_attempt real NULL, created datetime NULL, failed datetime NULL
)
"""

TRACEBACK = """\
Traceback (most recent call last):
  File "/srv/shop/mail.py", line 4, in post
    raise LookupError("no such letter")
LookupError: no such letter
"""

#: What `pickle.dumps(("shelf", u"caf\xe9", 7L), 0)` and `pickle.dumps({"width": 200}, 0)` are in
#: Python 2, and the first with a datetime.
ARGS_OF_PYTHON_2 = "(S'shelf'\np0\nVcaf\\u00e9\np1\nL7L\ntp2\n."
KWARGS_OF_PYTHON_2 = "(dp0\nS'width'\np1\nI200\ns."
MOMENT_OF_PYTHON_2 = "(cdatetime\ndatetime\np0\n(S'\\x07\\xdc\\n\\x11\\x08\\x1e\\x00\\x00\\x00\\x00'\np1\ntp2\nRp3\ntp4\n."


class OldSite:
    """A project that had django-ztask, with its table and one task."""

    def __init__(self, package: str) -> None:
        self.package = package

    @property
    def function(self) -> str:
        return f"{self.package}.tasks.post"

    def add(self, function: str = "", args: Any = (), kwargs: Any = (), **columns: Any) -> str:
        """Write a row as django-ztask does; return its key."""
        from django.db import connection

        row = {
            "uuid": str(uuid4()),
            "function_name": function or self.function,
            "args": args if isinstance(args, str) else pickle.dumps(args, 0).decode("latin-1"),
            "kwargs": kwargs if isinstance(kwargs, str) else pickle.dumps(dict(kwargs), 0).decode(),
            "retry_count": 5,
            "last_exception": None,
            "next_attempt": time.time() - 60,
            "created": "2012-10-17 08:30:00",
            "failed": None,
            **columns,
        }
        with connection.cursor() as cursor:
            marks = ", ".join(["%s"] * len(row))
            names = ", ".join(row)
            cursor.execute(
                f"INSERT INTO django_ztask_task ({names}) VALUES ({marks})", [*row.values()]
            )
        return str(row["uuid"])

    def left(self) -> list[str]:
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute("SELECT uuid FROM django_ztask_task")
            return [uuid for (uuid,) in cursor.fetchall()]

    def take(self, *words: str, code: int = 0) -> list[tuple[str, str]]:
        """Run the command; return what became of each row, and why."""
        from django.core.management import call_command

        said = StringIO()
        ended = 0
        try:
            call_command("ztask_import", "--json", *words, stdout=said, stderr=StringIO())
        except SystemExit as error:
            ended = int(str(error.code))
        assert ended == code, said.getvalue()
        return [(each["became"], each["why"]) for each in json.loads(said.getvalue())]


@pytest.fixture
def site(tmp_path: Path, embedded: JobServer, function: str) -> Iterator[OldSite]:
    django_databases.set_up()
    from django.db import connection
    from django.test import override_settings

    package = f"old_{function.replace('.', '_').replace('-', '_')}"
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").touch()
    (tmp_path / package / "tasks.py").write_text(
        "from gearfleet.compat import task\n\n@task()\ndef post(*args, **kwargs): ...\n"
    )
    gearfleet = {
        "SERVERS": [embedded.address], "APPS": [package], "RESULTS": "django", "SIGNING_KEYS": [],
    }  # fmt: skip
    sys.path.insert(0, str(tmp_path))
    with config.using(Settings()), override_settings(GEARFLEET=gearfleet, BASE_DIR=tmp_path):
        django_databases.migrate(SQLITE)
        with connection.cursor() as cursor:
            cursor.execute(TABLE)
        try:
            yield OldSite(package)
        finally:
            with connection.cursor() as cursor:
                cursor.execute("DROP TABLE IF EXISTS django_ztask_task")
            django_databases.empty(SQLITE)
            sys.path.remove(str(tmp_path))


@contextmanager
def calls_of(site: OldSite, embedded: JobServer, count: int) -> Iterator[Callable[[], list[Any]]]:
    """Take the jobs of the site's task from the job server; yield what waits for so many."""
    found: list[Any] = []
    worker = GearmanWorker([embedded.address])

    def take(_worker: GearmanWorker, job: Any) -> bytes:
        envelope = json.loads(job.data)
        found.append([envelope["args"], envelope["kwargs"]])
        return b""

    worker.register_task(site.function, take)
    worker.register_task(f"{site.function}+later", take)

    def wait() -> list[Any]:
        wait_for(lambda: len(found) >= count, f"{count} jobs")
        return found

    with running(worker):
        yield wait


def test_z18__what_waits_is_submitted_and_its_row_goes(site: OldSite, embedded: JobServer) -> None:
    site.add(args=ARGS_OF_PYTHON_2, kwargs=KWARGS_OF_PYTHON_2)
    site.add(args=MOMENT_OF_PYTHON_2, created="2012-10-17 09:00:00")
    in_base64 = b64encode(pickle.dumps((Decimal("1.5"), date(2012, 10, 17)), 2)).decode()
    site.add(args=in_base64, created="2012-10-17 10:00:00")
    assert site.take("--dry-run") == [("submitted", "")] * 3
    assert len(site.left()) == 3
    assert site.take() == [("submitted", "")] * 3
    assert site.left() == []
    with calls_of(site, embedded, 3) as wait:
        first, second, third = wait()
    assert first == [["shelf", "café", 7], {"width": 200}]
    assert second[0][0]["v"].startswith("2012-10-17T08:30")
    assert [each["v"] for each in third[0]] == ["1.5", "2012-10-17"]


def test_z18__what_is_for_later_waits_at_the_job_server(site: OldSite, embedded: JobServer) -> None:
    site.add(next_attempt=time.time() + 1.5, failed="2012-10-17 08:31:00", retry_count=2)
    begun = time.time()
    assert site.take() == [("submitted", "")]
    with calls_of(site, embedded, 1) as wait:
        wait()
    assert time.time() - begun >= 1


def test_z17_z18__what_failed_for_good_is_a_failure_with_its_exception(site: OldSite) -> None:
    from gearfleet.contrib.django import texts
    from gearfleet.contrib.django.models import Failure

    failed: dict[str, Any] = {"retry_count": 0, "failed": "2012-10-17 08:31:00"}
    first = site.add(args=("shelf",), last_exception=TRACEBACK, **failed)
    second = site.add("shop.gone", args=(1,), last_exception="it broke", **failed)
    assert site.take() == [("kept as a failure", "")] * 2
    assert site.left() == []
    record = fetch(first.replace("-", ""))
    assert record is not None and record.failure is not None
    assert (record.task, record.state, record.args) == (site.function, "failure", ("shelf",))
    assert (str(record.failure), record.failure.traceback) == (
        "LookupError: no such letter", TRACEBACK,
    )  # fmt: skip
    moments = [datetime(2012, 10, 17, 8, minute, tzinfo=UTC).timestamp() for minute in (30, 31)]
    assert [record.enqueued_at, record.stopped] == moments
    rows = {row.job: row for row in Failure.objects.all()}
    assert texts.call_of(rows[record.id].sealed()) == f"{site.function}('shelf')"
    other = rows[second.replace("-", "")]
    assert (other.task, texts.reason_of(other.sealed())) == ("shop.gone", "it broke")


def test_z18__what_cannot_be_taken_is_left_with_the_reason(site: OldSite) -> None:
    evil = "cos\nsystem\n(S'true'\ntR."
    reasons = {
        site.add("shop.gone"): "Unknown task 'shop.gone'",
        site.add(args=evil): "they hold a os.system, which no job is sent with",
        site.add(args="no pickle at all"): "",
        site.add(args=pickle.dumps(5, 0).decode()): "they are 5 and {}",
    }
    found = site.take(code=1)
    assert sorted(site.left()) == sorted(reasons)
    for (became, why), reason in zip(found, reasons.values(), strict=True):
        assert became == "left"
        assert reason in why
        assert why


def test_z18__a_job_server_that_is_gone_takes_nothing(site: OldSite) -> None:
    from django.test import override_settings

    site.add()
    site.add()
    gearfleet = {"SERVERS": ["127.0.0.1:1"], "APPS": [site.package], "RESULTS": "django"}
    with override_settings(GEARFLEET=gearfleet):
        found = site.take(code=4)
    assert [became for became, _ in found] == ["left", "left"]
    assert "No job server can be reached" in found[1][1]
    assert len(site.left()) == 2


def test_z18__no_table_is_said(site: OldSite) -> None:
    from django.core.management import call_command
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE django_ztask_task")
    said = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("ztask_import", stderr=said)
    assert (ended.value.code, "has no table django_ztask_task" in said.getvalue()) == (1, True)


def test_z17__a_job_that_ends_well_is_known_with_its_state_and_result(site: OldSite) -> None:
    """django-ztask deleted its row; here the record stays, as long as the limits say."""
    from gearfleet.contrib.django.models import Success
    from gearfleet.results import TaskRecord, open_store

    store = open_store(config.current())
    assert store is not None
    store.save([TaskRecord("a" * 32, site.function, result=3, started=1.0, stopped=2.0)])
    row = Success.objects.get()
    assert (row.state, row.record().result, row.task) == ("success", 3, site.function)
