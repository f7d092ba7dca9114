"""What each signal asks of a worker, in every order, and while it does different things."""

from __future__ import annotations

import logging
import os
import resource
import signal
import socket
import threading
import time
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gearfleet.errors import EXIT_RECYCLED, JobInterrupted
from gearfleet.worker.lifecycle import StopLadder
from gearfleet.worker.rungs import Limits
from gearfleet.worker.signals import stoppable
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

TERM, INT, HUP = signal.SIGTERM, signal.SIGINT, signal.SIGHUP
TSTP, CONT, USR1 = signal.SIGTSTP, signal.SIGCONT, signal.SIGUSR1
STOPS = (TERM, INT)

OLD_ENOUGH = Limits(startsecs=0)


class Stage:
    """A worker of nothing but what it was asked for, in order."""

    def __init__(self, limits: Limits = OLD_ENOUGH) -> None:
        self.asked: list[str] = []
        self.states: list[str] = []
        self.limits = limits

    @contextmanager
    def ladder(self) -> Iterator[StopLadder]:
        with StopLadder(
            self.limits,
            drain=lambda: self.asked.append("drain"),
            quiet=lambda: self.asked.append("quiet"),
            resume=lambda: self.asked.append("resume"),
            tell=self.states.append,
        ) as ladder:
            yield ladder


@pytest.fixture(autouse=True)
def hangups_are_heard() -> Iterator[None]:
    """Undo what `nohup` may have done to this process."""
    before = signal.signal(HUP, signal.SIG_DFL)
    yield
    signal.signal(HUP, before)


def send(*numbers: signal.Signals) -> None:
    for number in numbers:
        signal.raise_signal(number)  # one after the other: a process may take two of a kind as one


@given(sent=st.lists(st.sampled_from([TERM, INT, HUP, TSTP, CONT, USR1]), max_size=12))
def test_signals__in_any_order(sent: list[signal.Signals]) -> None:
    stage = Stage()
    with stage.ladder() as ladder:
        send(*sent)
    stops = [number for number in sent if number in STOPS]
    assert stage.asked.count("drain") == bool(stops or HUP in sent)
    assert "drain" not in stage.asked[:-1], "nothing is asked of a worker that stops"
    assert ladder.is_interrupted == (len(stops) > 1)
    assert ladder.exit_code == (EXIT_RECYCLED if HUP in sent and not stops else 0)
    pauses = [asked for asked in stage.asked if asked != "drain"]
    assert "resume" not in pauses[:1]
    assert ("resume", "resume") not in list(pairwise(pauses))


@given(sent=st.lists(st.sampled_from([TERM, INT, HUP, TSTP, CONT, USR1]), max_size=6))
def test_signals__while_the_shutdown_hooks_run_change_nothing(sent: list[signal.Signals]) -> None:
    stage = Stage()
    with stage.ladder() as ladder, ladder.shutting_down():
        send(*sent)
    assert stage.asked == []
    assert not ladder.is_interrupted
    assert ladder.exit_code == 0


@pytest.mark.parametrize(
    ("sent", "asked", "is_cut"),
    [
        ([TERM], ["drain"], True),
        ([HUP], ["drain"], True),
        ([TSTP], ["quiet"], False),
        ([TSTP, TSTP], ["quiet", "quiet"], False),
        ([TSTP, CONT], ["quiet", "resume"], False),
        ([CONT, USR1], [], False),
        ([TSTP, TERM], ["quiet", "drain"], True),
    ],
)
def test_signals__while_the_start_hooks_run(
    sent: list[signal.Signals], asked: list[str], *, is_cut: bool
) -> None:
    stage = Stage()
    with ExitStack() as stack:
        ladder = stack.enter_context(stage.ladder())
        if is_cut:
            stack.enter_context(pytest.raises(JobInterrupted))
        stack.enter_context(ladder.starting())
        send(*sent)
        wait_for(lambda: stage.asked == asked, str(asked))
        if is_cut:
            threading.Event().wait(10)
            pytest.fail("nothing cut the hooks short")


@pytest.mark.parametrize(
    ("sent", "is_interrupted"),
    [
        ([TERM], False),
        ([HUP], False),
        ([HUP, HUP, HUP], False),
        ([HUP, TERM], False),
        ([HUP, TERM, INT], True),
        ([TSTP, CONT, TSTP, TERM], False),
        ([TERM, HUP, TSTP, CONT, USR1], False),
        ([TERM, HUP, TERM], True),
    ],
)
def test_signals__during_a_job(sent: list[signal.Signals], *, is_interrupted: bool) -> None:
    stage = Stage()
    was_cut = False
    with stage.ladder() as ladder:
        try:
            with ladder.job():
                send(*sent)
                wait_for(lambda: "drain" in stage.asked, "the drain")
                if is_interrupted:
                    threading.Event().wait(10)
        except JobInterrupted:
            was_cut = True
    assert was_cut == is_interrupted


def test_states__are_told_once_each() -> None:
    stage = Stage()
    with stage.ladder():
        send(TSTP, CONT, CONT, TERM, TERM)
    assert stage.states == ["quiet", "idle", "draining", "interrupted"]


def test_quiet__says_what_comes_next(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="gearfleet")
    with Stage().ladder() as ladder, ladder.job():
        send(TSTP, CONT)
        wait_for(lambda: len(caplog.messages) == 2, "two sentences")
    assert caplog.messages == [
        "Quiet: 1 job in hand, and no more are taken. SIGCONT resumes, SIGTERM ends the worker.",
        "Taking jobs again (SIGCONT).",
    ]


def test_hangup__says_what_comes_next(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="gearfleet")
    with Stage().ladder() as ladder, ladder.job():
        send(HUP, HUP)
        wait_for(lambda: len(caplog.messages) == 2, "two sentences")
        assert ladder.reason == "SIGHUP"
    assert caplog.messages == [
        "Draining (SIGHUP): 1 job in hand, up to 60 s; then exit 75, to be started again.",
        "SIGHUP changes nothing: the worker stops already (SIGHUP).",
    ]


def test_hangup__waits_until_the_process_is_old_enough() -> None:
    began = time.monotonic()
    stage = Stage(Limits(startsecs=0.2))
    with stage.ladder() as ladder:
        send(HUP, HUP)
        wait_for(lambda: stage.asked, "the drain")
        assert time.monotonic() >= began + 0.2
        assert ladder.exit_code == EXIT_RECYCLED


def test_hangup__that_waits_gives_way_to_a_stop() -> None:
    stage = Stage(Limits(startsecs=1.0))
    old_enough_at = time.monotonic() + 1.0
    with stage.ladder() as ladder:
        send(HUP, TERM)
        wait_for(lambda: stage.asked, "the drain")
        assert ladder.reason == "SIGTERM"
        threading.Event().wait(old_enough_at + 0.1 - time.monotonic())
    assert ladder.exit_code == 0
    assert stage.asked == ["drain"]


def test_hangup__is_left_to_nohup() -> None:
    stage = Stage()
    signal.signal(HUP, signal.SIG_IGN)
    with stage.ladder():
        send(HUP)
        assert signal.getsignal(HUP) is signal.SIG_IGN
    assert stage.asked == []


def test_immediate__interrupts_at_the_first_signal(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage(Limits(stop="immediate"))
    with stage.ladder() as ladder:
        with pytest.raises(JobInterrupted), ladder.job():
            send(TERM)
            threading.Event().wait(10)
        assert ladder.is_interrupted
    assert stage.asked == ["drain"]
    (said,) = caplog.messages
    assert said.startswith("Interrupting the job in hand (SIGTERM, and the option stop is")


def test_immediate__is_not_for_new_code() -> None:
    stage = Stage(Limits(stop="immediate", startsecs=0))
    with stage.ladder() as ladder, ladder.job():
        send(HUP)
        wait_for(lambda: stage.asked, "the drain")
        assert not ladder.is_interrupted


def test_report__shows_the_threads_and_disturbs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="gearfleet")
    end = threading.Event()
    other = threading.Thread(target=end.wait, name="another one")
    other.start()
    with Stage().ladder() as ladder, ladder.job():
        send(USR1)
        wait_for(lambda: caplog.messages, "the report")
    end.set()
    other.join()
    (said,) = caplog.messages
    assert said.startswith("State: running, 1 job in hand. The worker goes on")
    assert "Thread MainThread:" in said
    assert "in test_report__shows_the_threads_and_disturbs_nothing" in said
    assert "Thread another one:" in said
    assert "Thread stop ladder" not in said


def test_report__shows_what_coroutines_wait_for(caplog: pytest.LogCaptureFixture) -> None:
    import asyncio

    caplog.set_level(logging.INFO, logger="gearfleet")
    is_there = asyncio.Event()

    async def inner() -> None:
        is_there.set()
        while not caplog.messages:
            await asyncio.sleep(0.01)

    async def outer() -> None:
        await inner()

    async def both() -> None:
        waiting = asyncio.create_task(outer(), name="the outer one")
        await is_there.wait()
        send(USR1)
        await waiting

    with Stage().ladder():
        asyncio.run(both())
    (said,) = caplog.messages
    task = said.partition("Task the outer one:")[2]
    assert "in outer" in task
    assert "in inner" in task


def test_ladder__of_a_process_with_a_thousand_descriptors() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(2048, hard), hard))
    try:
        with ExitStack() as opened:
            while opened.enter_context(socket.socket()).fileno() < 1100:
                pass
            stage = Stage()
            with stage.ladder():
                os.kill(os.getpid(), TERM)
                wait_for(lambda: stage.asked, "the drain")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_stoppable__keeps_other_signals_for_the_ladder() -> None:
    stage = Stage()
    with stoppable():
        send(TSTP, USR1)
        with stage.ladder():
            wait_for(lambda: stage.asked, "the pause")
    assert stage.asked == ["quiet"]
