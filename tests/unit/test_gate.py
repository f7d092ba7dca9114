"""Jobs run side by side, and a suspect alone."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from gearfleet.worker.gate import Gate
from tests.support.waiting import DEADLINE, wait_for


def test_jobs__run_side_by_side() -> None:
    gate, both = Gate(), threading.Barrier(2)

    def run() -> int:
        with gate.among_others():
            return both.wait(DEADLINE)

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(lambda _: run(), range(2))) == [0, 1]


def test_suspect__runs_alone() -> None:
    gate = Gate()
    seen: list[set[int]] = []
    inside: set[int] = set()

    def run(number: int) -> None:
        is_suspect = number % 3 == 0
        with gate.alone() if is_suspect else gate.among_others():
            inside.add(number)
            if is_suspect:
                seen.append(set(inside))
            inside.discard(number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(run, range(300)))
    assert len(seen) == 100
    assert all(len(each) == 1 for each in seen)


def test_suspect__waits_for_those_that_run_and_lets_nobody_in() -> None:
    gate = Gate()
    order: list[str] = []

    def suspect() -> None:
        with gate.alone():
            order.append("suspect")

    def other() -> None:
        with gate.among_others():
            order.append("other")

    with ThreadPoolExecutor(2) as pool, gate.among_others():
        pool.submit(suspect)
        wait_for(lambda: gate._is_shut, "the suspect at the gate")
        pool.submit(other)
        assert order == []
    assert order == ["suspect", "other"]
