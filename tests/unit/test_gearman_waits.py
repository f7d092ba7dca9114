"""Tasks that wait for requests of the asyncio client."""

from __future__ import annotations

import asyncio
import time

import pytest

from gearfleet.gearman.aio.waits import Waits, within
from gearfleet.gearman.protocol import Command
from gearfleet.gearman.session import Question
from tests.support.loops import in_a_loop


def _is_answered(question: Question) -> bool:
    return question.is_answered


def _questions(count: int) -> list[Question]:
    return [Question(Command.ECHO_RES) for _ in range(count)]


def _answer(waits: Waits, question: Question) -> None:
    question.is_answered = True
    waits.notify(question)


def test_wait__ends_with_the_last_of_its_items() -> None:
    async def story() -> None:
        waits, questions = Waits(), _questions(3)
        task = asyncio.create_task(waits.wait(questions, _is_answered, None))
        for question in questions:
            await asyncio.sleep(0)
            assert not task.done()
            _answer(waits, question)
        await task
        assert not waits

    in_a_loop(story())


def test_wait__for_what_is_done_already_returns_at_once() -> None:
    async def story() -> None:
        waits, questions = Waits(), _questions(2)
        for question in questions:
            question.is_answered = True
        await waits.wait(questions, _is_answered, None)
        await waits.wait([], _is_answered, None)

    in_a_loop(story())


def test_news__that_ends_nothing_wakes_nobody() -> None:
    async def story() -> None:
        waits, (question,) = Waits(), _questions(1)
        task = asyncio.create_task(waits.wait([question], _is_answered, None))
        await asyncio.sleep(0)
        waits.notify(question)
        await asyncio.sleep(0)
        assert not task.done()
        _answer(waits, question)
        await task

    in_a_loop(story())


def test_two_tasks__wait_for_the_same() -> None:
    async def story() -> None:
        waits, (question,) = Waits(), _questions(1)
        tasks = [asyncio.create_task(waits.wait([question], _is_answered, None)) for _ in range(2)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        await asyncio.sleep(0)
        question.is_answered = True
        waits.notify_all()
        await tasks[1]
        assert tasks[0].cancelled()
        assert not waits

    in_a_loop(story())


@pytest.mark.parametrize("seconds", [-1.0, 0.0, 0.05])
def test_deadline__leaves_nothing_behind(seconds: float) -> None:
    async def story() -> None:
        waits = Waits()
        await waits.wait(_questions(100), _is_answered, time.monotonic() + seconds)
        assert not waits

    in_a_loop(story())


def test_within__no_deadline_or_one_that_is_not_reached() -> None:
    async def value() -> int:
        return 7

    assert in_a_loop(within(None, value())) == 7
    assert in_a_loop(within(time.monotonic() + 60, value())) == 7
