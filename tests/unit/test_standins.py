"""Jobs that run in the caller's process leave what a worker would leave."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from gearfleet import fetch, result, task
from gearfleet.client import Client
from gearfleet.config import Settings, using
from gearfleet.errors import JobFailed
from gearfleet.tasks import SubmitOptions, TaskCall, bind
from gearfleet.tasks.plans import Plan, steps_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gearfleet.results import TaskRecord

heard: list[TaskRecord] = []


def hear(record: TaskRecord) -> None:
    heard.append(record)


@task(on_failure=hear)
def double(value: Any) -> Any:
    if value is None:
        raise LookupError("nothing to double")
    return value * 2


@task
async def add(value: int, more: int = 1) -> int:
    return value + more


@pytest.fixture(autouse=True)
def client() -> Iterator[Client]:
    heard.clear()
    settings = Settings(always_eager=True, servers=("127.0.0.1:1",))
    client = Client(settings)
    with using(settings), bind(client):
        yield client


def test_result__by_handle_and_id() -> None:
    handle = double.delay((1,))
    assert handle.result() == (1, 1)
    assert result(handle.id) == (1, 1)
    assert handle.wait()
    assert handle.status().state == "unknown"
    assert add.options(name="sum").delay(3, more=4).result() == 7
    found = fetch("sum")
    assert found is not None
    assert (found.args, found.kwargs, found.server) == ((3,), {"more": 4}, "inline")


def test_failure__is_kept_and_raised() -> None:
    with pytest.raises(LookupError, match="nothing to double"):
        double.options(name="broken", hook=f"{__name__}.hear").delay(None)
    with pytest.raises(JobFailed, match="LookupError: nothing to double") as caught:
        result("broken")
    assert caught.value.failure is not None
    assert "raise LookupError" in caught.value.failure.traceback
    assert [each.name for each in heard] == ["broken", "broken"]


def test_foreground__the_caller_has_the_result() -> None:
    assert double.options(name="waited", hook=f"{__name__}.hear").submit(2) == 4
    assert fetch("waited") is None
    assert [each.result for each in heard] == [4]


def test_failure__of_a_foreground_job() -> None:
    for call in (double.submit, lambda value: asyncio.run(double.asubmit(value))):
        with pytest.raises(JobFailed, match="LookupError: nothing to double") as caught:
            call(None)
        assert caught.value.failure is not None
        assert caught.value.failure.type == "LookupError"
        assert "raise LookupError" in caught.value.failure.traceback


def test_chain__runs_to_its_end(client: Client) -> None:
    steps = steps_of(
        [double.call(1), TaskCall(add.name, (), {"more": 5})], "c" * 32, pass_results=True
    )
    first, *rest = steps
    options = SubmitOptions(id=first.job, chain=Plan(steps=tuple(rest)).told())
    client.enqueue(double.name, (1,), {}, options)
    assert [result(step.job) for step in steps] == [2, 7]


def test_chain__a_step_that_fails_is_kept(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    steps = steps_of([double.call(1), double.call(None), add.call(1)], "d" * 32)
    first, *rest = steps
    options = SubmitOptions(id=first.job, chain=Plan(steps=tuple(rest)).told())
    client.enqueue(double.name, (1,), {}, options)
    with pytest.raises(JobFailed, match="nothing to double"):
        result(steps[1].job)
    assert fetch(steps[2].job) is None
    assert "follows another job, failed" in caplog.text
