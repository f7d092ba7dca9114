"""Each job is shown to the host while it runs; one that killed too many workers is not run."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from gearfleet.config import Settings
from gearfleet.errors import JobInterrupted, JobQuarantined
from gearfleet.tasks.failure import describe
from gearfleet.worker import quarantine
from gearfleet.worker.boards import About
from gearfleet.worker.in_hand import key_of
from gearfleet.worker.job import Completed, Failed, Outcome
from gearfleet.worker.quarantine import Quarantine
from gearfleet.worker.scoreboard import Scoreboard, read_boards
from gearfleet.worker.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gearfleet.worker.job import Assignment


DONE = Completed(value=1, data=b"1")


def failed(error: Exception) -> Failed:
    return Failed(error=error, failure=describe(error))


@dataclass
class Assigned:
    unique: str = "u1"
    handle: str | None = "H:x:1"
    task: str = "shop.resize"
    data: bytes = b""


@dataclass
class FakeExecutor:
    """Does with each job what it is told."""

    run: Callable[[], Outcome] = lambda: DONE
    refused: list[tuple[JobQuarantined, bool]] = field(default_factory=list)

    def execute(self, assignment: Assignment) -> Outcome:
        return self.run()

    def refuse(self, assignment: Assignment, error: JobQuarantined, *, is_read: bool) -> Failed:
        self.refused.append((error, is_read))
        return failed(error)


def watch(run_dir: Path, after: int = 3) -> Watch:
    settings = Settings(run_dir=run_dir, quarantine_after=after)
    return Watch.open(settings, program="p", module="m", queues=["q"], release="r1")


def die(run_dir: Path, ticks: int, unique: str = "u1") -> None:
    """Leave what a worker leaves that died with this job in hand."""
    about = About(program="p", slot="p_01", ticks=ticks)
    watching = Quarantine(run_dir, 3)
    watching.enter(about, 1)
    assert watching.in_hand is not None
    board = Scoreboard.open(run_dir, about)
    board.begin("shop.resize", "H:x:1", unique.encode(), started=time.time())
    watching.in_hand.hold(0, key_of(unique.encode()))
    board.state("idle")
    Quarantine(run_dir, 3).enter(About(program="other"), 1)


def counts(run_dir: Path) -> tuple[int, int, int]:
    (entry,) = (each for each in read_boards(run_dir) if each.about.slot == "")
    return entry.done, entry.failed, entry.given_back


def test_job__is_on_the_board_while_it_runs(tmp_path: Path) -> None:
    seen = []

    def run() -> Outcome:
        seen.extend(read_boards(tmp_path))
        return DONE

    with watch(tmp_path) as watching:
        assert watching.over(FakeExecutor(run))(Assigned()) is DONE
        (entry,) = seen
        (job,) = entry.jobs
        assert (job.function, job.handle, job.unique) == ("shop.resize", "H:x:1", "u1")
        assert job.started == pytest.approx(time.time(), abs=60)
        assert counts(tmp_path) == (1, 0, 0)


@pytest.mark.parametrize("error", [JobInterrupted(), ValueError()])
def test_job__that_is_given_back(tmp_path: Path, error: BaseException) -> None:
    def run() -> Outcome:
        raise error

    with watch(tmp_path) as watching:
        with pytest.raises(type(error)):
            watching.over(FakeExecutor(run))(Assigned())
        assert counts(tmp_path) == (0, 0, 1)


def test_end__says_why(tmp_path: Path) -> None:
    with watch(tmp_path) as watching:
        watching.reason = "SIGTERM"
    with watch(tmp_path):
        pass
    assert [(each.about.previous, each.reason) for each in read_boards(tmp_path)] == [
        ("SIGTERM", "ended before it was ready")
    ]


@pytest.mark.parametrize("outcome", [DONE, failed(ValueError())])
def test_suspect__that_ends_is_none_any_more(tmp_path: Path, outcome: Outcome) -> None:
    with watch(tmp_path) as watching:
        execute = watching.over(FakeExecutor(lambda: outcome))
        for ticks in range(1, 9):  # never three times in a row
            die(tmp_path, ticks)
            if ticks % 2 == 0:
                assert execute(Assigned()) is outcome
        assert list((tmp_path / quarantine.FOLDER).glob("*.jsonl")) == []


def test_suspect__that_is_given_back_stays_one(tmp_path: Path) -> None:
    def run() -> Outcome:
        raise JobInterrupted

    die(tmp_path, 1)
    with watch(tmp_path) as watching:
        with pytest.raises(JobInterrupted):
            watching.over(FakeExecutor(run))(Assigned())
        assert len(Quarantine(tmp_path, 3).deaths("shop.resize", "u1")) == 1


def test_third_death__takes_the_job_out_with_the_evidence(tmp_path: Path) -> None:
    for ticks in (1, 2, 3):
        die(tmp_path, ticks)
    executor = FakeExecutor()
    with watch(tmp_path) as watching:
        execute = watching.over(executor)
        outcome = execute(Assigned())
        assert isinstance(outcome, Failed)
        ((error, is_read),) = executor.refused
        assert is_read
        assert "Not run again: 3 workers died while they ran this job" in str(error)
        assert str(error).count(f"p (pid {os.getpid()} on ") == 3
        assert execute(Assigned()) is DONE, "who submits it again, under the same name, is heard"
        assert counts(tmp_path) == (1, 1, 0)


def test_fourth_death__is_that_of_a_payload_that_cannot_be_read(tmp_path: Path) -> None:
    for ticks in (1, 2, 3, 4):
        die(tmp_path, ticks)
    executor = FakeExecutor()
    with watch(tmp_path) as watching:
        watching.over(executor)(Assigned())
    ((_, is_read),) = executor.refused
    assert not is_read


def test_job__without_a_unique_is_known_by_its_handle(tmp_path: Path) -> None:
    for ticks in (1, 2, 3):
        die(tmp_path, ticks, "H:x:1")
    with watch(tmp_path) as watching:
        assert isinstance(watching.over(FakeExecutor())(Assigned(unique="")), Failed)


def test_switched_off__jobs_run_whatever_they_did(tmp_path: Path) -> None:
    for ticks in (1, 2, 3):
        die(tmp_path, ticks)
    with watch(tmp_path, after=0) as watching:
        assert watching.over(FakeExecutor())(Assigned()) is DONE


def test_run_directory__that_cannot_be_written_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    with caplog.at_level(logging.WARNING), watch(tmp_path / "file") as watching:
        assert watching.over(FakeExecutor())(Assigned()) is DONE
    assert [vars(record)["action"] for record in caplog.records] == ["no_scoreboard"]


def test_quarantine__that_cannot_be_used_hurts_no_job(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    die(tmp_path, 1)
    with watch(tmp_path) as watching:
        execute = watching.over(FakeExecutor())
        for broken in ("deaths", "clear"):
            with monkeypatch.context() as patch:
                patch.setattr(Quarantine, broken, breaks)
                assert execute(Assigned()) is DONE
    with monkeypatch.context() as patch:
        patch.setattr(Quarantine, "enter", breaks)
        with watch(tmp_path) as watching:
            assert watching.over(FakeExecutor())(Assigned()) is DONE
    said = [vars(record).get("action") for record in caplog.records]
    assert said.count("no_quarantine") == 3
