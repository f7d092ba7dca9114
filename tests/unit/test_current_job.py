"""`current_job` where no worker runs the task."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

import gearfleet
from gearfleet import current_job, task
from gearfleet.client import Client
from gearfleet.config import Settings, using
from gearfleet.errors import JobFailed, PayloadEncodeError
from gearfleet.tasks import bind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gearfleet.tasks.current import CurrentJob


def told(job: CurrentJob | None) -> list[object] | None:
    return None if job is None else [job.id, job.attempt, job.task, job.function]


@task(name="shop.tell")
def tell() -> list[object] | None:
    job = current_job()
    if job:
        job.set_progress(1, 2)
        job.send_data([1])
        job.send_warning("paper is low")
    return told(job)


@task
async def tell_later() -> list[object] | None:
    await asyncio.sleep(0)
    return await asyncio.to_thread(tell)


@task
def tell_of_two() -> list[list[object] | None]:
    return [told(current_job()), tell.submit(), told(current_job())]


@task
def send_object() -> None:
    job = current_job()
    assert job is not None
    job.send_data(object())


@pytest.fixture
def eager() -> Iterator[None]:
    settings = Settings(always_eager=True, servers=("127.0.0.1:1",), prefix="site-")
    with using(settings), bind(Client(settings)):
        yield


def test_current__none_where_a_task_is_just_called() -> None:
    assert gearfleet.current_job() is None
    assert tell() is None
    assert asyncio.run(tell_later()) is None


def test_eager__what_the_job_says_is_dropped(eager: None) -> None:
    handle = tell.options(name="inline").delay()
    assert handle.result() == [handle.id, 1, "shop.tell", "site-shop.tell"]
    assert current_job() is None


def test_eager__in_coroutines(eager: None) -> None:
    async def call() -> list[object] | None:
        # The second runs in a thread of its own, because a loop is running here.
        assert await tell_later.asubmit() is not None
        return tell_later.submit()

    found = asyncio.run(call())
    assert found is not None
    assert found[2] == tell_later.name


def test_eager__a_job_inside_another(eager: None) -> None:
    before, inner, after = tell_of_two.submit()
    assert before == after != inner


def test_eager__what_cannot_be_sent_is_refused(eager: None) -> None:
    with pytest.raises(PayloadEncodeError):
        send_object.options(name="object").delay()
    with pytest.raises(JobFailed, match="type object"):
        gearfleet.result("object")
    assert current_job() is None
