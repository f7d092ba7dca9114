"""The result store in a database of Django: in SQLite and in PostgreSQL."""

from __future__ import annotations

import asyncio
import sys
import threading
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from gearfleet.config import Settings
from gearfleet.errors import ConfigError, ResultStoreUnavailable
from gearfleet.results import Retention, open_store, seal
from tests.support import django_databases
from tests.support.django_databases import EMPTY, POSTGRESQL, SQLITE
from tests.support.processes import clean_environment, run
from tests.support.store_contract import LastingContract, StoreContract, failure, success
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gearfleet.contrib.django.results import DjangoStore
    from gearfleet.results import ResultStore
    from tests.support.postgresql import PostgreSQL


@pytest.fixture
def make(alias: str) -> Iterator[Callable[..., DjangoStore]]:
    from gearfleet.contrib.django.results import DjangoStore

    made: list[DjangoStore] = []

    def make_one(clock: Callable[[], float] = lambda: 1000.0, **limits: Any) -> DjangoStore:
        made.append(DjangoStore(Retention(**limits), alias=alias, clock=clock))
        return made[-1]

    yield make_one
    for store in made:
        store.close()


class TestStore(StoreContract, LastingContract):
    """Of the store in each database."""


@pytest.fixture
def store(make: Callable[..., ResultStore]) -> ResultStore:
    return make()


def test_a_transaction_of_the_caller__is_not_the_stores(store: ResultStore, alias: str) -> None:
    from django.db import connections, transaction

    with transaction.atomic(alias):
        store.save([failure("a")])
        transaction.set_rollback(True, alias)
    assert store.get("a") == failure("a", name=store.failures()[0].name)
    connections[alias].close()


def test_where_an_event_loop_runs(store: ResultStore) -> None:
    async def task() -> None:
        store.save([success("a", result=1)])
        assert store.get("a") is not None

    asyncio.run(task())


def test_an_idle_connection_is_closed(alias: str) -> None:
    from django.db import connections

    from gearfleet.contrib.django.results.desk import Desk

    def connect() -> tuple[threading.Thread, Any]:
        connections[alias].ensure_connection()
        return threading.current_thread(), connections[alias]

    desk = Desk(alias, idle=0.02)
    for _ in range(3):
        thread, connection = desk.do(connect)
        wait_for(lambda thread=thread: not thread.is_alive(), "the end of the thread")
        assert connection.connection is None


def test_written_by_many_at_once__exactly_so_many_are_kept(
    make: Callable[..., ResultStore],
) -> None:
    def write(number: int) -> None:
        store = make(save_limit=7, save_limit_per="group")
        for batch in range(5):
            store.save([success(f"{number}.{batch}.{each}", group="g") for each in range(20)])

    threads = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert make().count_group("g") == 7


def test_written_by_many_at_once__the_last_attempt_of_one_job_stands(
    make: Callable[..., ResultStore],
) -> None:
    def write(attempt: int) -> None:
        store = make()
        for number in range(10):
            store.save([failure(f"{number}", attempt=attempt, state="retry")])

    threads = [threading.Thread(target=write, args=(attempt,)) for attempt in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [make().get(f"{number}") for number in range(10)]
    assert [each and each.attempt for each in found] == [3] * 10


def test_texts_that_no_database_takes(store: ResultStore) -> None:
    long = "g" * 300
    odd = success("a\0b", group=long, hook="h\0", name="\ud800 ü", queue="\0", result="\0\ud800")
    store.save([odd, success("c", group=long + "x", enqueued_at=float("inf"))])
    found = store.get("a\0b")
    assert found is not None
    assert found == store.get("\ud800 ü")
    assert [each.id for each in store.group(long)] == [found.id]
    assert store.delete(["a\0b"]) == 1
    for attempt in (-5, 2**52, 2**52):
        store.save([success("d", attempt=attempt), success("e\0"), success("e\ufffd")])
    assert store.get("d") is not None


@pytest.mark.parametrize("alias", [SQLITE], indirect=True)
@pytest.mark.parametrize("zone", [UTC, ZoneInfo("Asia/Kolkata"), None])
@pytest.mark.parametrize("seconds", [0.0, 1.5, 1_795_291_200.0, 1_795_291_200.25, 1e9 - 2**-23])
def test_moments__are_written_as_django_does(
    alias: str, zone: tzinfo | None, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db import connections
    from django.utils.dateparse import parse_datetime

    from gearfleet.contrib.django.results import rows

    connection = connections[alias]
    monkeypatch.setitem(vars(connection), "timezone", zone)  # of the project, or of DATABASES
    moment = datetime.fromtimestamp(seconds, zone).replace(tzinfo=None)
    written = rows.moments(connection)(seconds)
    if seconds % 0.25 == 0:
        assert written == connection.ops.adapt_datetimefield_value(moment)
    told = parse_datetime(written)
    assert told is not None
    assert abs(told - moment) <= timedelta(microseconds=1)


@pytest.mark.parametrize("alias", [SQLITE], indirect=True)
@pytest.mark.parametrize("per", ["", "group", "name", "function"])
def test_no_statement_of_a_batch_reads_the_whole_table(make: Callable[..., Any], per: Any) -> None:
    from django.db import connections
    from django.test.utils import CaptureQueriesContext

    # PostgreSQL reads a table as small as a test's.
    store, connection = make(save_limit=3, save_limit_per=per), connections[SQLITE]
    with CaptureQueriesContext(connection) as told:
        for number in range(3):
            store._save([seal(success(f"{number}.{each}")) for each in range(5)])
            store._save([seal(success(f"{number}.2", attempt=2)), seal(failure(f"f{number}"))])
    read = [each["sql"] for each in told if each["sql"].startswith(("SELECT", "DELETE"))]
    assert len(read) > 10
    with connection.cursor() as cursor:
        plans = [cursor.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall() for sql in read]
    assert "SCAN" not in str(plans)


@pytest.mark.parametrize("alias", [POSTGRESQL], indirect=True)
def test_the_server_restarts(postgresql: PostgreSQL, make: Callable[..., ResultStore]) -> None:
    store = make()
    store.save([success("a", group="g")])
    postgresql.stop()
    with pytest.raises(ResultStoreUnavailable, match="Django's database"):
        store.save([success("b", group="g")])
    postgresql.start()
    store.save([success("c", group="g")])
    postgresql.stop()
    postgresql.start()
    assert store.count_group("g") == 2  # over a connection that it had before


def test_without_tables() -> None:
    from gearfleet.contrib.django.results import DjangoStore

    django_databases.set_up()
    store = DjangoStore(alias=EMPTY)
    for use in (store.failures, lambda: store.save([success("a")])):
        with pytest.raises(
            ResultStoreUnavailable,
            match=r'run "manage.py migrate gearfleet --database empty", 0001_results',
        ):
            use()
    store.close()


def test_open_store() -> None:
    django_databases.set_up()
    from gearfleet.contrib.django.results import DjangoStore
    from gearfleet.results import MemoryStore

    for named, alias in (("django", SQLITE), (f"django:{EMPTY}", EMPTY)):
        store = open_store(Settings(results=named, save_limit=7))
        assert isinstance(store, DjangoStore)
        assert (store.alias, store.retention.save_limit) == (alias, 7)
    assert isinstance(open_store(Settings(results="django", always_eager=True)), MemoryStore)
    with pytest.raises(ConfigError, match=r"'nowhere' is no database .*known: default, empty"):
        open_store(Settings(results="django:nowhere"))


def test_open_store__in_a_plain_project() -> None:
    script = (
        "import sys; from gearfleet.results import open_store; from gearfleet.config import Settings\n"
        "assert 'django' not in sys.modules\n"
        "open_store(Settings(results='django'))"
    )
    done = run([sys.executable, "-c", script], env=clean_environment())
    assert '"django" needs a Django project that is set up and has \'gearfl' in done.stderr


def test_the_migrations_are_those_of_the_models() -> None:
    from django.core.management import call_command

    django_databases.set_up()
    call_command("makemigrations", "gearfleet", check=True, dry_run=True, verbosity=0)
