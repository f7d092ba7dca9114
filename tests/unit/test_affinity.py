"""Which CPUs a worker runs on."""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gearfleet.worker.affinity import pin, share

if TYPE_CHECKING:
    from collections.abc import Iterator


@given(
    usable=st.sets(st.integers(0, 500), min_size=1, max_size=40),
    count=st.integers(1, 50),
    rounds=st.integers(1, 3),
    program=st.text(),
)
def test_share__every_cpu_is_dealt_out_as_often_as_every_other(
    usable: set[int], count: int, rounds: int, program: str
) -> None:
    workers = range(rounds * len(usable))
    shares = [share(usable, count, program=program, number=number) for number in workers]
    assert {len(each) for each in shares} == {min(count, len(usable))}
    assert len(set(Counter(cpu for each in shares for cpu in each).values())) == 1
    assert set().union(*shares) == usable


def test_share__workers_that_follow_each_other_have_different_ones() -> None:
    shares = [share(range(8), 2, program="worker_bar", number=number) for number in range(5)]
    assert sorted(cpu for each in shares[:4] for cpu in each) == list(range(8))
    assert shares[4] == shares[0]


def test_share__programs_do_not_all_begin_with_the_first() -> None:
    first = [share(range(8), 1, program=f"worker_{letter}", number=0) for letter in "abcdefgh"]
    assert len({cpu for each in first for cpu in each}) > 2


@pytest.fixture
def cpus() -> Iterator[set[int]]:
    """The CPUs of this process, which has them again afterwards."""
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system does not let a process choose its CPUs")
    before = os.sched_getaffinity(0)
    yield before
    for thread in threading.enumerate():
        if thread.native_id:
            os.sched_setaffinity(thread.native_id, before)


def test_pin__moves_every_thread(cpus: set[int], caplog: pytest.LogCaptureFixture) -> None:
    ending = threading.Event()
    thread = threading.Thread(target=ending.wait)
    thread.start()
    with caplog.at_level(logging.INFO):
        pin(1, program="worker_bar", number=3)
    chosen = share(cpus, 1, program="worker_bar", number=3)
    assert os.sched_getaffinity(0) == os.sched_getaffinity(thread.native_id or 0) == chosen
    assert f"Runs on CPU {min(chosen)}, of {len(cpus)} that it may use" in caplog.text
    ending.set()
    thread.join()


def test_pin__where_no_system_call_does_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr("os.sched_setaffinity", raising=False)
    pin(1, program="worker_bar", number=0)
    assert "cpu_affinity does nothing: this system does not let" in caplog.text


def test_pin__that_is_refused(
    cpus: set[int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(pid: int, cpus: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("os.sched_setaffinity", refuse)
    pin(1, program="worker_bar", number=0)
    monkeypatch.undo()
    assert "cpu_affinity does nothing: the system refuses it: Operation not" in caplog.text
    assert os.sched_getaffinity(0) == cpus
