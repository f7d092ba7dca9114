"""Which jobs are blamed for the death of a worker, and when one is taken out."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from gearfleet.worker import in_hand, procfs, quarantine
from gearfleet.worker.boards import About
from gearfleet.worker.deaths import collect_deaths
from gearfleet.worker.in_hand import InHand, key_of
from gearfleet.worker.quarantine import Quarantine
from gearfleet.worker.scoreboard import DONE, Scoreboard, read_boards

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gearfleet.worker.boards import BoardEntry, JobInHand
    from gearfleet.worker.deaths import Death

FUNCTION = "shop.resize"
ME = About(program="worker_bar", slot="worker_bar_00")


@pytest.fixture
def entered(tmp_path: Path) -> Quarantine:
    made = Quarantine(tmp_path, 3)
    made.enter(ME, 1)
    return made


def die(run_dir: Path, ticks: int, *uniques: str, state: str = "idle", slot: str = "") -> None:
    """Leave what a worker leaves that died with these jobs in hand."""
    about = About(program="worker_foo", slot=slot, ticks=ticks)
    watching = Quarantine(run_dir, 3)
    watching.enter(about, max(1, len(uniques)))
    board = Scoreboard.open(run_dir, about, hands=max(1, len(uniques)))
    for unique in uniques:
        hand = board.begin(FUNCTION, "H:x:1", unique.encode(), started=time.time())
        assert watching.in_hand is not None
        watching.in_hand.hold(hand.number, key_of(unique.encode()))
    board.state(state)


def is_known(watching: Quarantine, unique: str) -> bool:
    """Look for the job as before it is run, without a trace."""
    assert watching.in_hand is not None
    found = watching.in_hand.hold(0, key_of(unique.encode()))
    watching.in_hand.drop(0)
    return found


def test_job__of_a_dead_worker_is_known_and_blamed(tmp_path: Path, entered: Quarantine) -> None:
    assert not is_known(entered, "0000.1-one")
    die(tmp_path, 1, "0000.1-one")
    assert is_known(entered, "0000.1-one")
    (death,) = entered.deaths(FUNCTION, "0000.1-one")
    assert (death.program, death.pid, death.how) == ("worker_foo", os.getpid(), "")
    assert death.noticed >= death.job_began
    assert is_known(entered, "0000.1-one"), "whoever is given it next has to know"


def test_deaths__add_up_and_each_is_counted_once(tmp_path: Path, entered: Quarantine) -> None:
    for ticks in (1, 2, 3):
        die(tmp_path, ticks, "u1")
        assert len(entered.deaths(FUNCTION, "u1")) == ticks
        assert len(Quarantine(tmp_path, 3).deaths(FUNCTION, "u1")) == ticks


def test_deaths__are_those_of_the_job_alone(tmp_path: Path, entered: Quarantine) -> None:
    die(tmp_path, 1, "u1")
    assert entered.deaths(FUNCTION, "u2") == []
    assert entered.deaths("shop.other", "u1") == [], "the same unique of another function"


def test_deaths__with_several_jobs_in_hand(tmp_path: Path, entered: Quarantine) -> None:
    die(tmp_path, 1, "u1", "u2")
    assert [len(entered.deaths(FUNCTION, unique)) for unique in ("u1", "u2")] == [1, 1]


@pytest.mark.parametrize("state", ["draining", "interrupted", "stopping"])
def test_deaths__of_a_worker_that_was_told_to_stop_blame_nobody(
    tmp_path: Path, entered: Quarantine, state: str
) -> None:
    die(tmp_path, 1, "u1", state=state)
    assert entered.deaths(FUNCTION, "u1") == []
    reasons = [entry.reason for entry in read_boards(tmp_path)]
    assert f"died while {state}" in reasons


def test_deaths__of_a_quiet_worker_count(tmp_path: Path, entered: Quarantine) -> None:
    die(tmp_path, 1, "u1", state="quiet")
    assert len(entered.deaths(FUNCTION, "u1")) == 1


def test_deaths__when_the_machine_went_down_blame_nobody(
    tmp_path: Path, entered: Quarantine
) -> None:
    board = Scoreboard.open(tmp_path, replace(ME, program="old", boot=ME.boot + 1))
    board.begin(FUNCTION, "H:x:1", b"u1", started=1.0)
    assert entered.deaths(FUNCTION, "u1") == []


def test_deaths__of_a_live_worker_are_none(tmp_path: Path, entered: Quarantine) -> None:
    board = Scoreboard.open(tmp_path, ME)
    board.begin(FUNCTION, "H:x:1", b"u1", started=1.0)
    assert entered.deaths(FUNCTION, "u1") == []


def test_clear__forgets_the_deaths(tmp_path: Path, entered: Quarantine) -> None:
    die(tmp_path, 1, "u1")
    die(tmp_path, 2, "u2")
    entered.deaths(FUNCTION, "u1")
    entered.clear(FUNCTION, "u1")
    assert not is_known(entered, "u1")
    assert entered.deaths(FUNCTION, "u1") == []
    assert len(entered.deaths(FUNCTION, "u2")) == 1


def test_evidence__outlives_everything(tmp_path: Path, entered: Quarantine) -> None:
    die(tmp_path, 1, "u1")
    entered.deaths(FUNCTION, "u1")
    (tmp_path / quarantine.FOLDER / in_hand.FILE).unlink()
    later = Quarantine(tmp_path, 3)
    later.enter(replace(ME, ticks=9), 1)
    assert is_known(later, "u1")


def test_evidence__that_is_old_is_forgotten(tmp_path: Path, entered: Quarantine) -> None:
    die(tmp_path, 1, "u1")
    entered.deaths(FUNCTION, "u1")
    (path,) = (tmp_path / quarantine.FOLDER).glob("*.jsonl")
    assert json.loads(path.read_text().splitlines()[0]) == {"function": FUNCTION, "unique": "u1"}
    os.utime(path, (1, 1))
    Quarantine(tmp_path, 3).enter(replace(ME, ticks=9), 1)
    assert not path.exists()


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"function": "f"}\n{}\n', '{"unique": "u1"}\n1\n']
)
def test_evidence__of_which_a_part_is_missing_is_none(
    tmp_path: Path, entered: Quarantine, content: str
) -> None:
    die(tmp_path, 1, "u1")
    entered.deaths(FUNCTION, "u1")
    (path,) = (tmp_path / quarantine.FOLDER).glob("*.jsonl")
    whole = path.read_text()
    path.write_text(content)
    assert entered.deaths(FUNCTION, "u1") == []
    path.write_text(whole + '{"pid": 1')
    assert len(entered.deaths(FUNCTION, "u1")) == 1
    Quarantine(tmp_path, 3).enter(replace(ME, ticks=9), 1)


def test_switched_off__nothing_is_looked_for(tmp_path: Path) -> None:
    off = Quarantine(tmp_path, 0)
    off.enter(ME, 1)
    assert off.in_hand is None


def test_previous__is_why_the_last_one_of_the_place_ended(tmp_path: Path) -> None:
    die(tmp_path, 1, "u1", slot="worker_foo_00")
    die(tmp_path, 2, slot="worker_foo_01")
    place = About(program="worker_foo", slot="worker_foo_00", ticks=3)
    assert Quarantine(tmp_path, 3).enter(place, 1) == "died in shop.resize (H:x:1)"
    assert [each.about.slot for each in read_boards(tmp_path)] == ["worker_foo_01"]
    Scoreboard.open(tmp_path, place).close("SIGTERM")
    assert Quarantine(tmp_path, 3).enter(replace(place, ticks=4), 1) == "SIGTERM"
    other = replace(place, slot="worker_foo_01", ticks=5)
    assert Quarantine(tmp_path, 3).enter(other, 1) == "died without a job in hand"


def test_death__while_the_next_worker_takes_the_place_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    die(tmp_path, procfs.start_ticks(os.getpid()), "u1")  # lives, as this process does

    def see_deaths(
        run_dir: Path, **which: Any
    ) -> Iterator[tuple[BoardEntry, list[tuple[JobInHand, Death]]]]:
        yield from collect_deaths(run_dir, **which)
        monkeypatch.setattr(procfs, "is_running", lambda *_: False)

    monkeypatch.setattr(quarantine, "collect_deaths", see_deaths)
    the_next = Quarantine(tmp_path, 3)
    assert the_next.enter(About(program="worker_foo", ticks=2), 1) == ""
    assert is_known(the_next, "u1")
    assert len(the_next.deaths(FUNCTION, "u1")) == 1


def test_previous__of_the_first_worker_is_unknown(tmp_path: Path) -> None:
    assert Quarantine(tmp_path, 3).enter(ME, 1) == ""


def test_entries__are_given_back(tmp_path: Path) -> None:
    mapped = InHand.open(tmp_path)
    for _ in range(3):
        for pid in range(2, 60):
            mapped.claim(3, pid, 1)
        for owner in mapped.dead_owners():
            mapped.release(*owner)
    assert mapped._used < 200
    mapped.claim(1, os.getpid(), ME.ticks)
    assert mapped.dead_owners() == []
    mapped.hold(0, b"12345678")
    other = InHand.open(tmp_path)
    other.claim(1, os.getpid(), 1)
    assert other.hold(0, b"12345678")
    mapped.release(os.getpid(), ME.ticks)
    other.drop(0)
    assert not other.hold(0, b"12345678")


def test_entries__end(tmp_path: Path) -> None:
    mapped = InHand.open(tmp_path)
    with pytest.raises(OSError, match="all 2040 entries are in use"):
        mapped.claim(2041, 2, 1)


def test_marks__are_made_once(tmp_path: Path) -> None:
    mapped = InHand.open(tmp_path)
    mapped.claim(1, os.getpid(), 1)
    for _ in range(2):
        mapped.mark(b"12345678")
    mapped.unmark(b"12345678")
    assert not mapped.hold(0, b"12345678")


@pytest.mark.parametrize(
    ("unique", "key"), [(b"1", b"\n\n\n\n\n\n\n1"), (b"0123456789", b"23456789")]
)
def test_key__always_has_eight_bytes(unique: bytes, key: bytes) -> None:
    assert key_of(unique) == key


def test_lock__of_a_stopped_process_is_not_waited_for_long(
    tmp_path: Path, entered: Quarantine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "_PATIENCE", 0.05)
    with entered._locked(), pytest.raises(BlockingIOError):
        Quarantine(tmp_path, 3).deaths(FUNCTION, "u1")


def test_done__is_in_nobodys_hand(tmp_path: Path, entered: Quarantine) -> None:
    board = Scoreboard.open(tmp_path, About(program="p", ticks=1))
    board.begin(FUNCTION, "H:x:1", b"u1", started=1.0).end(DONE)
    assert entered.deaths(FUNCTION, "u1") == []


def test_enter__looks_at_all_boards_of_the_host_now_and_then(tmp_path: Path) -> None:
    """Where hundreds begin at once, not every one does; what is found then is found later."""
    die(tmp_path, 1, "u1", slot="worker_foo_00")
    Quarantine(tmp_path, 3).enter(ME, 1)
    assert [entry.reason for entry in read_boards(tmp_path)] == [""], "left to the next"
    os.utime(tmp_path / quarantine.FOLDER / "lock", (1, 1))
    Quarantine(tmp_path, 3).enter(replace(ME, ticks=9), 1)
    (entry,) = read_boards(tmp_path)
    assert entry.reason == "died in shop.resize (H:x:1)"


def test_enter__clears_away_what_nobody_needs(tmp_path: Path) -> None:
    board = Scoreboard.open(tmp_path, replace(ME, program="old", boot=ME.boot + 1))
    board.close("SIGTERM")
    for _ in range(2):  # once not to look, once to look
        Quarantine(tmp_path, 3).enter(replace(ME, ticks=9), 1)
        os.utime(tmp_path / quarantine.FOLDER / "lock", (1, 1))
    assert read_boards(tmp_path) == []
