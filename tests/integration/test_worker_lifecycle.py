"""The stop ladder with real signals, in this process: its main thread plays the worker."""

from __future__ import annotations

import hashlib
import logging
import multiprocessing
import os
import signal
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from gearfleet.errors import JobInterrupted
from gearfleet.worker import signals
from gearfleet.worker.executor import Executor
from gearfleet.worker.hooks import Hooks
from gearfleet.worker.lifecycle import StopLadder
from gearfleet.worker.rungs import Limits
from tests.support.waiting import DEADLINE, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

LONG = Limits(drain_timeout=60, interrupt_grace=30, hook_timeout=30)


@dataclass
class Stage:
    """A ladder, and what it asked of the worker."""

    asked: list[str] = field(default_factory=list)

    @contextmanager
    def ladder(self, limits: Limits = LONG) -> Iterator[StopLadder]:
        with StopLadder(
            limits,
            drain=lambda: self.asked.append("drain"),
        ) as ladder:
            yield ladder


@pytest.fixture
def stage() -> Stage:
    return Stage()


def send(number: signal.Signals = signal.SIGTERM) -> None:
    os.kill(os.getpid(), number)


def block() -> None:
    """Do what a task in a long wait does; fail if nothing interrupts it."""
    threading.Event().wait(DEADLINE)
    pytest.fail("nothing interrupted the task")


def until(stage: Stage, *asked: str) -> None:
    wait_for(lambda: stage.asked == list(asked), f"{asked}, asked so far: {stage.asked}")


@pytest.mark.parametrize("number", signals.STOP_SIGNALS)
def test_first_signal__drains_and_leaves_the_job_alone(
    stage: Stage, number: signal.Signals, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="gearfleet")
    with stage.ladder() as ladder, ladder.job():
        send(number)
        wait_for(lambda: caplog.records, "the line that says so")
        assert stage.asked == ["drain"]
        assert ladder.reason == number.name
        assert not ladder.is_interrupted
    (record,) = caplog.records
    assert record.message == (
        "Draining: 1 job in hand, up to 60 s. "
        "Press Ctrl-C again to stop now; it will run again elsewhere."
    )
    assert vars(record)["action"] == "worker_draining"


def test_first_signal__while_idle_says_that_there_is_nothing_to_wait_for(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="gearfleet")
    with stage.ladder():
        send()
        wait_for(lambda: caplog.records, "the line that says so")
    assert caplog.messages == ["Draining: no job in hand."]


def test_first_signal__is_answered_while_a_library_holds_the_main_thread(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="gearfleet")
    with stage.ladder() as ladder, ladder.job():
        sender = threading.Timer(0.05, send)
        sender.start()
        # OpenSSL lets go of the GIL, and looks at no signal, for about a second.
        hashlib.pbkdf2_hmac("sha256", b"secret", b"salt", 2_000_000)
        returned = time.time()
        sender.join()
    (record,) = caplog.records
    assert record.created < returned - 0.1


def test_second_signal__raises_in_the_task(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    cleaned = []
    with stage.ladder() as ladder:
        with pytest.raises(JobInterrupted), ladder.job():
            try:
                send()
                until(stage, "drain")
                send()
                block()
            finally:
                cleaned.append(True)
        assert ladder.is_interrupted
    assert cleaned == [True]
    assert stage.asked == ["drain"]
    assert "it has 30 s to clean up and will run again elsewhere" in caplog.messages[-1]


def test_second_signal__finds_a_coroutine_waiting(stage: Stage) -> None:
    import asyncio

    from gearfleet.tasks import Task

    cleaned = []

    async def waits() -> None:
        try:
            send()
            send(signal.SIGINT)
            await asyncio.sleep(DEADLINE)
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)

    waits.__qualname__ = "waits"
    task = Task(waits, name="waits", queue="q", priority="normal")
    assigned = type("A", (), {"task": "f", "handle": "H:1", "unique": "u", "data": b""})()
    with stage.ladder() as ladder:
        executor = Executor({"f": task}, hooks=Hooks(), ladder=ladder)
        with pytest.raises(JobInterrupted):
            executor.execute(assigned)
    assert cleaned == [True]


def test_second_signal__before_the_job_begins_keeps_it_from_beginning(stage: Stage) -> None:
    with stage.ladder() as ladder:
        send()
        until(stage, "drain")
        send()
        wait_for(lambda: ladder.is_interrupted, "the interruption")
        with pytest.raises(JobInterrupted), ladder.job():
            pytest.fail("the job began")


def test_second_signal__never_raises_in_our_own_code(stage: Stage) -> None:
    with stage.ladder() as ladder:
        with ladder.job():
            pass
        send()
        until(stage, "drain")
        send()
        wait_for(lambda: ladder.is_interrupted, "the interruption")


def test_drain_timeout__interrupts(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    limits = Limits(drain_timeout=0.05, interrupt_grace=30)
    with stage.ladder(limits) as ladder, pytest.raises(JobInterrupted), ladder.job():
        send()
        block()
    assert "not done after 0.05 s" in caplog.messages[-1]


def test_grace__over_raises_once_more(stage: Stage) -> None:
    limits = Limits(drain_timeout=0.01, interrupt_grace=0.05)
    interruptions = 0
    with stage.ladder(limits) as ladder, pytest.raises(JobInterrupted), ladder.job():
        send()
        try:
            block()
        except JobInterrupted:
            interruptions += 1
        block()
    assert interruptions == 1


def test_starting__is_interrupted_by_the_first_signal(stage: Stage) -> None:
    with stage.ladder() as ladder, pytest.raises(JobInterrupted), ladder.starting():
        send()
        block()


def test_hooks__have_a_limited_time(stage: Stage) -> None:
    limits = Limits(hook_timeout=0.05)
    with stage.ladder(limits) as ladder, pytest.raises(JobInterrupted), ladder.shutting_down():
        block()


def test_hooks__are_not_cut_by_more_signals(stage: Stage) -> None:
    limits = Limits(hook_timeout=0.1)
    with stage.ladder(limits) as ladder, pytest.raises(JobInterrupted), ladder.shutting_down():
        began = time.monotonic()
        try:
            send()
            send(signal.SIGINT)
            block()
        finally:
            assert time.monotonic() - began >= limits.hook_timeout
    assert stage.asked == []


def test_hooks__run_after_an_interruption(stage: Stage) -> None:
    ran = []
    with stage.ladder() as ladder:
        with pytest.raises(JobInterrupted), ladder.job():
            send()
            until(stage, "drain")
            send()
            block()
        with ladder.shutting_down():
            ran.append(True)
    assert ran == [True]


def test_leaving__restores_everything(stage: Stage) -> None:
    numbers = [*signals.STOP_SIGNALS, signal.SIGURG, signal.SIGALRM]
    before = [signal.getsignal(number) for number in numbers]
    wakeup = signal.set_wakeup_fd(-1)
    threads = threading.active_count()
    with stage.ladder():
        assert signal.getsignal(signal.SIGALRM) is before[-1]
    assert [signal.getsignal(number) for number in numbers] == before
    assert signal.set_wakeup_fd(wakeup) == -1
    assert threading.active_count() == threads


def test_forked_child__dies_of_sigterm_and_drains_nobody(stage: Stage) -> None:
    context = multiprocessing.get_context("fork")
    with stage.ladder() as ladder, ladder.job():
        child = context.Process(target=signal.pause)
        child.start()
        try:
            child.terminate()
            child.join(DEADLINE)
            assert child.exitcode == -signal.SIGTERM
        finally:
            child.kill()
        send()
    # The ladder has read everything: had the child's signal come here, ours was the second.
    assert not ladder.is_interrupted


@pytest.mark.parametrize("number", signals.STOP_SIGNALS)
def test_stoppable__ends_an_import_with_success(number: signal.Signals) -> None:
    with pytest.raises(SystemExit) as caught, signals.stoppable():
        send(number)
        block()
    assert caught.value.code == 0
