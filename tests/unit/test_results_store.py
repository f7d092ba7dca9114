"""What every result store does, by the same tests for each; and what only the file does."""

from __future__ import annotations

import multiprocessing
import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from gearfleet.config import Settings, read_settings
from gearfleet.errors import ConfigError, ResultStoreUnavailable
from gearfleet.gearman.addresses import Address
from gearfleet.results import MemoryStore, Retention, TaskRecord, open_store, seal
from gearfleet.results.inserting import Inserting, chunks
from gearfleet.results.record import Unsealed, are_fixed
from gearfleet.results.sqlite import SQLiteStore
from gearfleet.tasks.payload import encode_value
from tests.support.store_contract import LastingContract, StoreContract, success

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gearfleet.results import ResultStore


@pytest.fixture(params=["sqlite", "memory"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., ResultStore]]:
    made: list[ResultStore] = []

    def make_one(clock: Callable[[], float] = lambda: 1000.0, **limits: Any) -> ResultStore:
        kept = Retention(**limits)
        store: ResultStore = (
            MemoryStore(kept, clock=clock)
            if request.param == "memory"
            else SQLiteStore(tmp_path / "deep" / "results.sqlite3", kept, clock=clock)
        )
        made.append(store)
        return store

    yield make_one
    for store in made:
        store.close()


class TestStore(StoreContract):
    """Of the two stores that need nothing."""


def test_sealed_at_once() -> None:
    result = [1]
    sealed = seal(success("a", result=result))
    result.append(2)
    assert sealed.record().result == [1]


def test_sealed_later__as_it_would_have_been_at_once() -> None:
    record = TaskRecord(
        id="a", task="t", function="f", queue="q", args=(1, "\ud800"), kwargs={"x": None},
        enqueued_at=1.0, started=2.0, stopped=3.0, result=float("nan"), server="s:1", handle="H",
    )  # fmt: skip
    unsealed = Unsealed(
        *("a", "t", "f", "q", record.args, record.kwargs, 1.0, 2.0, 3.0),
        *(encode_value(record.result), Address("s", 1), "H"),
    )
    assert unsealed.seal() == seal(record)._replace(handle="H")
    assert unsealed.name == unsealed.seal().name


@pytest.mark.parametrize("changeable", [[[1]], [{}], [{1}], [(1,)], [bytearray()]])
def test_sealed_later__is_nothing_that_somebody_can_change(changeable: list[object]) -> None:
    assert are_fixed([1, "x", None, 1.5, True], {"x": 1})
    assert not are_fixed(changeable, {})
    assert not are_fixed([], {"x": changeable[0]})


def _write_many(path: Path, process: int) -> None:
    store = SQLiteStore(path)
    for number in range(25):
        store.save([success(f"{process}.{number}", group="g")])
    store.close()


def test_file__from_many_processes(tmp_path: Path) -> None:
    """All of them make the file at once."""
    path = tmp_path / "results.sqlite3"
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_write_many, args=(path, number)) for number in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4
    store = SQLiteStore(path)
    assert store.count_group("g") == 100
    store.close()


class TestFile(LastingContract):
    """Of the store in a file."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[ResultStore]:
        store = SQLiteStore(tmp_path / "results.sqlite3")
        yield store
        store.close()


def test_file__outlives_its_store(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite3"
    first = SQLiteStore(path)
    first.save([success("a")])
    first.close()
    second = SQLiteStore(path)
    assert second.get("a") is not None
    second.close()


def test_file__held_for_too_long(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite3"
    store = SQLiteStore(path, busy_timeout=0.1)
    store.save([success("a")])
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(ResultStoreUnavailable, match=r"results\.sqlite3 cannot be used: .*locked"):
        store.save([success("b")])
    other.execute("ROLLBACK")
    other.close()
    store.save([success("b")])
    assert store.get("b") is not None
    store.close()


def test_file__of_a_newer_gearfleet(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite3"
    other = sqlite3.connect(path)
    other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(ResultStoreUnavailable, match="newer gearfleet"):
        SQLiteStore(path).save([success("a")])


def test_file__cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    store = SQLiteStore(tmp_path / "file" / "results.sqlite3")
    with pytest.raises(ResultStoreUnavailable, match=r"results\.sqlite3"):
        store.get("a")


def test_open_store(tmp_path: Path) -> None:
    settings = Settings(run_dir=tmp_path)
    store = open_store(settings)
    assert isinstance(store, SQLiteStore)
    assert store.path == tmp_path / "results.sqlite3"
    assert open_store(settings) is store
    of_another_fleet = open_store(replace(settings, name="books"))
    assert isinstance(of_another_fleet, SQLiteStore)
    assert of_another_fleet.path == tmp_path / "books-results.sqlite3"
    assert open_store(Settings(results="none")) is None
    assert isinstance(open_store(Settings(results="memory")), MemoryStore)
    named = open_store(Settings(results="sqlite:///var/r.db", root=tmp_path, save_limit=7))
    assert isinstance(named, SQLiteStore)
    assert named.path == tmp_path / "var" / "r.db"
    assert named.retention.save_limit == 7


def make_my_own(settings: Settings) -> MemoryStore:
    return MemoryStore(Retention.of(settings))


def test_open_store__of_ones_own() -> None:
    assert isinstance(open_store(Settings(results=f"{__name__}.make_my_own")), MemoryStore)
    with pytest.raises(ConfigError, match=r"'results': 'no\.such' cannot be used"):
        open_store(Settings(results="no.such"))


def read(tmp_path: Path, **table: Any) -> Settings:
    return read_settings(table, root=tmp_path, origin="test")


def test_settings(tmp_path: Path) -> None:
    settings = read(
        tmp_path, results="memory", save_limit=-1, failure_limit=0, save_limit_per="func"
    )
    assert Retention.of(settings) == Retention(
        save_limit=-1, failure_limit=0, save_limit_per="function"
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("results", "redis"),
        ("results", "sqlite:///"),
        ("save_limit", -2),
        ("save_limit", True),
        ("failure_limit", -1),
        ("save_limit_per", "queue"),
    ],
)
def test_settings__refused(tmp_path: Path, key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=key):
        read(tmp_path, **{key: value})


@pytest.mark.parametrize(
    ("count", "most", "sizes"),
    [(0, 4, []), (1, 4, [1]), (7, 256, [4, 2, 1]), (11, 4, [4, 4, 2, 1]), (5, 3, [2, 2, 1])],
)
def test_inserting__few_sizes_of_statements(count: int, most: int, sizes: list[int]) -> None:
    parts = [*chunks(range(count), most)]
    assert [len(part) for part in parts] == sizes
    assert [row for part in parts for row in part] == [*range(count)]


def test_inserting__in_an_sqlite_that_takes_few_values() -> None:
    connection = sqlite3.connect(":memory:")
    connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 7)
    connection.execute("CREATE TABLE t (a, b)")
    rows = [(number, str(number)) for number in range(600)]
    Inserting("t (a, b)", 2).write(connection, rows)
    assert connection.execute("SELECT a, b FROM t ORDER BY rowid").fetchall() == rows
    connection.close()
