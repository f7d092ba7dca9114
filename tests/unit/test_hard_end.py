"""When the one timer is set, for whom, and when it is left alone."""

from __future__ import annotations

import faulthandler
import time
from typing import TYPE_CHECKING

import pytest

from gearfleet.worker.hard_end import SLACK, HardEnd
from gearfleet.worker.time_limits import read_evidence

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def timer(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The seconds that the timer was set for, 0 where it was taken back."""
    settings: list[float] = []
    monkeypatch.setattr(
        faulthandler,
        "dump_traceback_later",
        lambda seconds, *, exit, file: settings.append(round(seconds)),
    )
    monkeypatch.setattr(faulthandler, "cancel_dump_traceback_later", lambda: settings.append(0))
    yield settings


class Clock:
    """One that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_timer__is_set_once_for_many_jobs(timer: list[float], clock: Clock) -> None:
    end = HardEnd(clock=clock)
    for job in range(1000):
        end.begin(job, 60.0)
        end.end(job)
        clock.now += SLACK / 1000
    assert timer == [60 + SLACK]
    clock.now += SLACK
    end.begin("later", 60.0)
    assert timer == [60 + SLACK] * 2


def test_timer__is_not_set_for_jobs_without_a_limit(timer: list[float]) -> None:
    end = HardEnd()
    end.begin("job", None)
    end.end("job")
    end.close()
    assert timer == []


def test_timer__is_taken_back_for_a_job_without_a_limit(timer: list[float], clock: Clock) -> None:
    end = HardEnd(clock=clock)
    end.begin("a", 60.0)
    end.end("a")
    end.begin("b", None)
    assert timer == [61, 0]


def test_timer__is_set_again_for_another_limit(timer: list[float], clock: Clock) -> None:
    end = HardEnd(clock=clock)
    for limit in (60.0, 10.0, 60.0):
        end.begin("job", limit)
        end.end("job")
    assert timer == [61, 11, 61]


def test_timer__is_that_of_the_earliest_job(timer: list[float], clock: Clock) -> None:
    end = HardEnd(is_shared=True, clock=clock)
    end.begin("a", 60.0)
    end.begin("b", 10.0)
    end.begin("c", 60.0)
    end.end("b")
    end.end("a")
    end.end("c")
    assert timer == [61, 11, 61, 0]


def test_timer__is_taken_back_by_who_looks(timer: list[float], clock: Clock) -> None:
    end = HardEnd(clock=clock)
    woken: list[bool] = []
    end.wake_by(lambda: woken.append(True))
    assert end.looks_at == float("inf")
    end.begin("job", 60.0)
    assert woken == [True]
    assert clock.now < end.looks_at < clock.now + 1
    end.tidy()
    end.end("job")
    end.tidy()
    assert timer == [61, 0]
    assert end.looks_at == float("inf")


def test_last_call__comes_first(timer: list[float], clock: Clock) -> None:
    end = HardEnd(clock=clock)
    end.begin("job", 60.0)
    end.last_call(8)
    end.end("job")
    end.begin("other", 60.0)
    end.close()
    assert timer == [61, 8, 0]


def test_overdue__names_the_job_and_its_limit(timer: list[float], clock: Clock) -> None:
    end = HardEnd(clock=clock)
    end.begin("slow", 10.0)
    assert end.overdue() is None
    clock.now += 10.0
    assert end.overdue() == ("slow", 10.0)
    end.end("slow")
    assert end.overdue() is None


def test_evidence__is_there_only_if_something_was_written(tmp_path: Path) -> None:
    path = tmp_path / "time-limits" / "worker.1.2"
    end = HardEnd(path)
    end.begin("job", 60.0)
    assert path.exists()
    assert read_evidence(tmp_path, "worker.1.2") is None
    path.write_text("stacks")
    found = read_evidence(tmp_path, "worker.1.2")
    assert found is not None
    assert found.stacks == "stacks"
    assert found.is_of(time.monotonic() - 1)
    assert not found.is_of(time.monotonic() + 1)
    assert not found.is_of(0.0)
    end.close()
    assert not path.exists()


def test_evidence__that_cannot_be_written_is_left_out(tmp_path: Path, timer: list[float]) -> None:
    (tmp_path / "time-limits").write_text("no folder")
    end = HardEnd(tmp_path / "time-limits" / "worker.1.2")
    end.begin("job", 60.0)
    assert timer == [61]
