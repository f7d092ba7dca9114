"""What every result store does, by the same tests for each; and what only the file does."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import threading
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from gearfleet.config import Settings, read_settings
from gearfleet.errors import ConfigError, ResultStoreUnavailable
from gearfleet.results import MemoryStore, Part, Retention, TaskRecord, open_store, seal
from gearfleet.results.sqlite import SQLiteStore
from gearfleet.tasks.failure import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gearfleet.results import ResultStore

BOOM = Failure(type="ValueError", message="boom", traceback="Traceback ...")


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


@pytest.fixture
def store(make: Callable[..., ResultStore]) -> ResultStore:
    return make()


def success(job: str, **fields: Any) -> TaskRecord:
    return TaskRecord(id=job, task="shop.resize", **fields)


def failure(job: str, **fields: Any) -> TaskRecord:
    return TaskRecord(**{"id": job, "task": "t", "state": "failure", "failure": BOOM, **fields})


def test_comes_back_equal(store: ResultStore) -> None:
    record = success(
        "a",
        name="lake-owl-oak-fern",
        function="p.shop.resize",
        queue="bar",
        args=(1, Decimal("1.0"), (2, {3})),
        kwargs={"when": datetime(2026, 1, 2, tzinfo=UTC)},
        group="g",
        hook="shop.hooks.tell",
        enqueued_at=1.5,
        started=2.5,
        stopped=3.25,
        attempt=2,
        result={1: b"x", "y": [None, 0.5]},
        server="127.0.0.1:4730",
        handle="H:x:1",
    )
    store.save([record])
    found = store.get("a")
    assert found == record
    assert found is not None
    assert type(found.args[1]) is Decimal
    assert found.seconds == 0.75


def test_comes_back_equal__a_failure(store: ResultStore) -> None:
    store.save([failure("a", name="n")])
    assert store.get("a") == failure("a", name="n")


def test_by_name__the_newest(store: ResultStore) -> None:
    store.save([success("a", name="report", result=1), success("b", name="report", result=2)])
    found = store.get("report")
    assert found is not None
    assert found.result == 2
    assert store.get("nothing") is None


def test_a_name_is_made_of_the_id(store: ResultStore) -> None:
    store.save([success("a")])
    found = store.get("a")
    assert found is not None
    assert len(found.name.split("-")) == 4
    assert store.get(found.name) == found


def test_the_same_id_replaces(store: ResultStore) -> None:
    store.save([failure("a")])
    store.save([success("a", result=2)])
    found = store.get("a")
    assert found is not None
    assert (found.state, found.result) == ("success", 2)
    assert store.failures() == []


def test_what_cannot_be_written_is_shown(store: ResultStore) -> None:
    store.save([success("a", args=(object,), kwargs={"b": object}, result=object)])
    found = store.get("a")
    assert found is not None
    assert found.result == "<class 'object'>"
    assert list(found.args) == ["<class 'object'>"]
    assert not found.has_arguments
    store.save([found])
    again = store.get("a")
    assert again == found
    assert success("a", args=(1,)).has_arguments


def test_sealed_at_once() -> None:
    result = [1]
    sealed = seal(success("a", result=result))
    result.append(2)
    assert sealed.record().result == [1]


def test_groups(store: ResultStore) -> None:
    store.save(
        [
            success("b", group="g", started=2.0),
            success("a", group="g", started=1.0),
            failure("c", group="g", started=3.0),
            success("d"),
        ]
    )
    assert [each.id for each in store.group("g")] == ["a", "b", "c"]
    assert store.count_group("g") == 3
    assert store.count_group("g", failures=True) == 1
    assert store.count_group("g", failures=False) == 2
    assert store.group("") == []
    assert store.count_group("") == store.delete_group("") == 0


def test_groups__deleted_or_taken_apart(store: ResultStore) -> None:
    store.save([success(name, group=name[0]) for name in ("g1", "g2", "h1")])
    assert store.ungroup("h") == 1
    assert store.delete_group("g") == 2
    assert store.get("g1") is None
    kept = store.get("h1")
    assert kept is not None
    assert kept.group == ""


def test_delete(store: ResultStore) -> None:
    store.save([success("a"), success("b")])
    assert store.delete(["a", "x"]) == 1
    assert store.get("a") is None
    assert store.get("b") is not None


def test_failures__the_newest_first(store: ResultStore) -> None:
    store.save([failure("a"), success("b"), failure("c", task="u"), failure("d", state="retry")])
    store.save([failure("e", state="expired", failure=None)])
    assert [each.id for each in store.failures()] == ["e", "c", "a"]
    assert [each.id for each in store.failures(limit=2)] == ["e", "c"]
    assert [each.id for each in store.failures(task="u")] == ["c"]


@pytest.mark.parametrize("batch", [1, 3, 10])
def test_retention__exactly_so_many(make: Callable[..., ResultStore], batch: int) -> None:
    store = make(save_limit=3, failure_limit=2)
    jobs = [f"{number:02}" for number in range(10)]
    for begin in range(0, 10, batch):
        store.save([success(job, group="g") for job in jobs[begin : begin + batch]])
    store.save([failure(f"f{job}", group="f") for job in jobs])
    assert [each.id for each in store.group("g")] == ["07", "08", "09"]
    assert [each.id for each in store.group("f")] == ["f08", "f09"]


def test_retention__all(make: Callable[..., ResultStore]) -> None:
    store = make(save_limit=0, failure_limit=0)
    store.save([success(str(number), group="g") for number in range(1000)])
    assert store.count_group("g") == 1000


@pytest.mark.parametrize("per", ["group", "name", "function"])
def test_retention__per(make: Callable[..., ResultStore], per: str) -> None:
    store = make(save_limit=2, save_limit_per=per)
    for number in range(5):
        fields = {"name": "x", "function": "x", "group": "x"}
        store.save([success(f"a{number}", **fields), success(f"b{number}", **{**fields, per: "y"})])
    kept = [job for job in (f"{a}{n}" for a in "ab" for n in range(5)) if store.get(job)]
    assert kept == ["a3", "a4", "b3", "b4"]


def test_kept_until(make: Callable[..., ResultStore]) -> None:
    now = [1000.0]
    store = make(clock=lambda: now[0], save_limit=1)
    store.save([success("a", keep_until=1010.0, group="g"), success("b"), success("c")])
    assert store.get("a") is not None
    assert store.get("b") is None
    now[0] = 1010.0
    assert store.get("a") is None
    assert store.count_group("g") == 0
    store.save([success("d")])
    now[0] = 1000.0
    assert store.get("a") is None


def test_parts__in_their_order(store: ResultStore) -> None:
    def part(index: int) -> Part:
        record = success(f"p{index}", result=index)
        return Part(whole="w", index=index, count=3, sealed=seal(record))

    assert store.collect(part(2)) is None
    assert store.collect(part(0)) is None
    assert store.collect(part(0)) is None  # ran twice
    parts = store.collect(part(1))
    assert parts is not None
    assert [each.result for each in parts] == [0, 1, 2]
    assert store.collect(part(1)) is not None  # whoever had them may have died
    store.save([success("w", result=[0, 1, 2])])
    store.drop_parts("w")
    assert store.collect(part(1)) is None


def test_from_many_threads(store: ResultStore) -> None:
    def write(thread: int) -> None:
        for number in range(10):
            store.save([success(f"{thread}.{number}", group="g")])

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.count_group("g") == 40


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


def test_file__on_both_sides_of_a_fork(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "results.sqlite3")
    store.save([success("before", group="g")])
    if not (child := os.fork()):
        try:
            store.save([success("child", group="g")])
            store.close()
        finally:
            os._exit(0 if store.get("child") else 1)
    assert os.waitpid(child, 0)[1] == 0
    store.save([success("parent", group="g")])
    assert store.count_group("g") == 3
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


def test_save__an_earlier_attempt_that_ran_again_does_not_hide_the_later_one(
    store: ResultStore,
) -> None:
    store.save([success("a", attempt=2, result=5)])
    store.save([failure("a", attempt=1, state="retry")])
    found = store.get("a")
    assert found is not None
    assert (found.state, found.attempt, found.result) == ("success", 2, 5)
    store.save([failure("a", attempt=2)])
    found = store.get("a")
    assert found is not None
    assert (found.state, found.attempt) == ("failure", 2)
