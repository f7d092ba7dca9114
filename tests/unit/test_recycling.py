"""When a worker is told to end in order to be started afresh."""

from __future__ import annotations

from typing import Any

import pytest

from gearfleet.errors import ConfigError
from gearfleet.worker.recycling import LOWEST_SHARE, Recycler, Recycling

MB = 2**20


class Stage:
    """A ladder, a clock and a memory of values."""

    def __init__(self, *, share: float = 1.0, **limits: Any) -> None:
        self.now = 100.0
        self.rss = 50 * MB
        self.looks = 0
        self.in_hand = 0
        self.may_renew = True
        self.reasons: list[str] = []
        self.recycler = Recycler(
            Recycling(**limits),
            self,
            clock=lambda: self.now,
            rss_bytes=self._rss_bytes,
            draw=lambda low, high: low + (high - low) * share,
        )

    def recycle(self, reason: str) -> bool:
        if self.may_renew:
            self.reasons.append(reason)
        return self.may_renew

    def _rss_bytes(self) -> int:
        self.looks += 1
        return self.rss


def test_no_limits__are_no_reason() -> None:
    stage = Stage()
    stage.now, stage.rss = 1e9, 1 << 50
    assert stage.recycler.after_job()
    assert stage.recycler.after_poll()
    assert not Recycling().is_needed


def test_max_jobs() -> None:
    stage = Stage(max_jobs=3)
    assert [stage.recycler.after_job() for _ in range(3)] == [True, True, False]
    assert stage.reasons == ["max_jobs: 3 jobs done"]


def test_max_lifetime__ends_a_worker_with_jobs_and_without() -> None:
    for look in (Recycler.after_job, Recycler.after_poll):
        stage = Stage(max_lifetime=60)
        stage.now += 59.9
        assert look(stage.recycler)
        stage.now += 0.1
        assert not look(stage.recycler)
        assert stage.reasons == ["max_lifetime: up for 60 s"]


def test_max_idle__counts_from_the_last_job() -> None:
    stage = Stage(max_idle=10)
    stage.now += 9
    assert stage.recycler.after_job()
    stage.now += 9
    assert stage.recycler.after_poll()
    stage.now += 1
    assert not stage.recycler.after_poll()
    assert stage.reasons == ["max_idle: no job for 10 s"]


def test_max_idle__does_not_count_while_other_threads_have_jobs() -> None:
    stage = Stage(max_idle=10)
    stage.now += 11
    stage.in_hand = 1
    assert stage.recycler.after_poll()


def test_max_rss__is_looked_at_once_a_second() -> None:
    stage = Stage(max_rss=100 * MB)
    stage.looks = 0
    assert all(stage.recycler.after_job() for _ in range(1000))
    assert stage.looks == 1
    stage.rss = 100 * MB
    assert stage.recycler.after_job()
    stage.now += 1
    assert not stage.recycler.after_poll()
    assert stage.reasons == ["max_rss: 100 MB in memory"]


def test_max_rss__needs_a_system_that_tells() -> None:
    with pytest.raises(ConfigError, match="max_rss needs /proc/self/statm"):
        Recycler(Recycling(max_rss=1), Stage(), rss_bytes=lambda: 0)


def test_worker__that_may_not_be_renewed_yet_is_asked_again() -> None:
    stage = Stage(max_jobs=1)
    stage.may_renew = False
    assert stage.recycler.after_job()
    stage.may_renew = True
    assert not stage.recycler.after_poll()


@pytest.mark.parametrize(("max_jobs", "lowest"), [(1000, 900), (10, 9), (1, 1)])
def test_limits__are_lower_by_up_to_a_tenth(max_jobs: int, lowest: int) -> None:
    stage = Stage(share=0.0, max_jobs=max_jobs)
    while stage.recycler.after_job():
        pass
    assert stage.reasons == [f"max_jobs: {lowest} jobs done"]
    assert lowest >= max_jobs * LOWEST_SHARE
