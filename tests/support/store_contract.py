"""What every result store does: the same tests for each, by subclasses that know how to make one."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from gearfleet.results import Counting, Kept, Part, Tally, TaskRecord, seal
from gearfleet.tasks.failure import Failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from gearfleet.results import ResultStore

BOOM = Failure(type="ValueError", message="boom", traceback="Traceback ...")


def success(job: str, **fields: Any) -> TaskRecord:
    return TaskRecord(id=job, task="shop.resize", **fields)


def failure(job: str, **fields: Any) -> TaskRecord:
    return TaskRecord(**{"id": job, "task": "t", "state": "failure", "failure": BOOM, **fields})


class StoreContract:
    """Its subclass's module has a fixture ``make(clock=..., **limits)`` that makes an empty store."""

    @pytest.fixture
    def store(self, make: Callable[..., ResultStore]) -> ResultStore:
        return make()

    def test_comes_back_equal(self, store: ResultStore) -> None:
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

    def test_comes_back_equal__a_failure(self, store: ResultStore) -> None:
        store.save([failure("a", name="n")])
        assert store.get("a") == failure("a", name="n")

    @pytest.mark.parametrize("has_arguments", [True, False])
    def test_comes_back_equal__with_what_else_is_kept(
        self, store: ResultStore, has_arguments: bool
    ) -> None:
        about = {"workers": ["w"], "priority": 7}
        kept = success("a", name="n", args=(1,), about=about, has_arguments=has_arguments)
        store.save([kept])
        assert store.get("a") == kept

    def test_a_job_that_waits__then_runs__then_ends(self, store: ResultStore) -> None:
        waits = TaskRecord(id="a", task="t", name="n", state="retry", attempt=0, keep_until=9e9)
        for stage in (waits, waits._replace(started=1.0), success("a", name="n")):
            store.save([stage])
            assert store.get("a") == stage
        store.save([waits])  # of one that runs a second time
        assert store.get("a") == success("a", name="n")
        assert store.failures() == []

    def test_by_name__the_newest(self, store: ResultStore) -> None:
        store.save([success("a", name="report", result=1), success("b", name="report", result=2)])
        found = store.get("report")
        assert found is not None
        assert found.result == 2
        assert store.get("nothing") is None

    def test_a_name_is_made_of_the_id(self, store: ResultStore) -> None:
        store.save([success("a")])
        found = store.get("a")
        assert found is not None
        assert len(found.name.split("-")) == 4
        assert store.get(found.name) == found

    def test_the_same_id_replaces(self, store: ResultStore) -> None:
        store.save([failure("a")])
        store.save([success("a", result=2)])
        found = store.get("a")
        assert found is not None
        assert (found.state, found.result) == ("success", 2)
        assert store.failures() == []

    def test_among_many_some_are_known(self, make: Callable[..., ResultStore]) -> None:
        store = make(save_limit=0)  # more than one statement writes
        store.save([success("7", attempt=2, result="later"), success("99", result="before")])
        store.save([success(str(n), group="g", result=n) for n in range(120)])
        kept = store.group("g")
        assert {each.id for each in kept} == {str(n) for n in range(120)} - {"7"}
        assert all(each.result == int(each.id) for each in kept)
        later = store.get("7")
        assert later is not None
        assert later.result == "later"

    def test_what_cannot_be_written_is_shown(self, store: ResultStore) -> None:
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

    def test_groups(self, store: ResultStore) -> None:
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

    def test_groups__deleted_or_taken_apart(self, store: ResultStore) -> None:
        store.save([success(name, group=name[0]) for name in ("g1", "g2", "h1")])
        assert store.ungroup("h") == 1
        assert store.delete_group("g") == 2
        assert store.get("g1") is None
        kept = store.get("h1")
        assert kept is not None
        assert kept.group == ""

    def test_delete(self, store: ResultStore) -> None:
        store.save([success("a"), success("b")])
        assert store.delete(["a", "x"]) == 1
        assert store.get("a") is None
        assert store.get("b") is not None

    def test_failures__the_newest_first(self, store: ResultStore) -> None:
        store.save(
            [failure("a"), success("b"), failure("c", task="u"), failure("d", state="retry")]
        )
        store.save([failure("e", state="expired", failure=None)])
        assert [each.id for each in store.failures()] == ["e", "c", "a"]
        assert [each.id for each in store.failures(limit=2)] == ["e", "c"]
        assert [each.id for each in store.failures(task="u")] == ["c"]

    @pytest.mark.parametrize("batch", [1, 3, 10])
    def test_retention__exactly_so_many(self, make: Callable[..., ResultStore], batch: int) -> None:
        store = make(save_limit=3, failure_limit=2)
        jobs = [f"{number:02}" for number in range(10)]
        for begin in range(0, 10, batch):
            store.save([success(job, group="g") for job in jobs[begin : begin + batch]])
        store.save([failure(f"f{job}", group="f") for job in jobs])
        assert [each.id for each in store.group("g")] == ["07", "08", "09"]
        assert [each.id for each in store.group("f")] == ["f08", "f09"]

    def test_retention__all(self, make: Callable[..., ResultStore]) -> None:
        store = make(save_limit=0, failure_limit=0)
        store.save([success(str(number), group="g") for number in range(1000)])
        assert store.count_group("g") == 1000

    @pytest.mark.parametrize("per", ["group", "name", "function"])
    def test_retention__per(self, make: Callable[..., ResultStore], per: str) -> None:
        store = make(save_limit=2, save_limit_per=per)
        for number in range(5):
            fields = {"name": "x", "function": "x", "group": "x"}
            store.save(
                [success(f"a{number}", **fields), success(f"b{number}", **{**fields, per: "y"})]
            )
        kept = [job for job in (f"{a}{n}" for a in "ab" for n in range(5)) if store.get(job)]
        assert kept == ["a3", "a4", "b3", "b4"]

    def test_kept_until(self, make: Callable[..., ResultStore]) -> None:
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

    def test_parts__in_their_order(self, store: ResultStore) -> None:
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

    def test_from_many_threads(self, store: ResultStore) -> None:
        def write(thread: int) -> None:
            for number in range(10):
                store.save([success(f"{thread}.{number}", group="g")])

        threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert store.count_group("g") == 40

    def test_tally__counts_by_task_and_state_what_ended_since(self, store: ResultStore) -> None:
        assert isinstance(store, Counting)
        assert (store.tally(0.0), store.kept()) == ([], Kept())
        store.save(
            [
                success("a", enqueued_at=7.0, started=10.0, stopped=12.0),
                success("b", started=20.0, stopped=21.0),
                success("c", enqueued_at=30.0, started=30.5, stopped=34.0, keep_until=1e11),
                success("old", started=1.0, stopped=2.0),
                failure("d", enqueued_at=40.0, started=41.0, stopped=41.5),
                failure("e", state="expired", stopped=50.0),
                failure("f", state="retry", stopped=60.0, failure=BOOM),
            ]
        )
        assert store.tally(12.0) == [
            Tally("shop.resize", "success", jobs=3, seconds=6.5, begun=2, waited=3.5),
            Tally("t", "expired", jobs=1, seconds=0.0, begun=0, waited=0.0),
            Tally("t", "failure", jobs=1, seconds=0.5, begun=1, waited=1.0),
            Tally("t", "retry", jobs=1, seconds=0.0, begun=0, waited=0.0),
        ]
        assert store.tally(61.0) == []
        assert store.kept() == Kept(3, 2.0, 3, 41.5)

    def test_save__an_earlier_attempt_that_ran_again_does_not_hide_the_later_one(
        self,
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


class LastingContract:
    """Of stores that several processes may have open; its subclass has a fixture ``store``."""

    def test_on_both_sides_of_a_fork(self, store: ResultStore) -> None:
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
