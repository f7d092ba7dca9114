"""J3: ``gearman_task(queue='default', name=None)``, and the modern ``@task``."""

from __future__ import annotations

from types import SimpleNamespace

from gearfleet import task
from gearfleet.compat import gearman_task
from gearfleet.tasks.declarations import declared_in


@gearman_task(queue="bar", name="my name".replace(" ", "_"))
def original(a: int, b: int = 0) -> int:
    return a + b


@gearman_task
def original_bare(a: int) -> int:
    return a


@gearman_task()
def original_called(a: int) -> int:
    return a


@task
def modern_bare(a: int) -> int:
    return a


@task(queue="bar", name="modern")
def modern(a: int) -> int:
    return a


def test_j03__the_originals_attributes() -> None:
    assert original.f(1, 2) == 3
    assert (original.__name__, original.queue) == ("my_name", "bar")
    assert (original_bare.queue, original_called.queue) == ("default", "default")


def test_j03__called_with_worker_and_job_it_runs_the_job() -> None:
    job = SimpleNamespace(data={"args": [1], "kwargs": {"b": 2}})
    assert original(SimpleNamespace(), job) == 3  # type: ignore[arg-type]


def test_j03__the_function_stays_callable() -> None:
    assert original(1, b=2) == 3
    assert [one(7) for one in (original_bare, original_called, modern_bare, modern)] == [7] * 4


def test_j03__bare_and_called_are_registered() -> None:
    assert [one.name for one in declared_in(__name__)] == [
        "my_name",
        f"{__name__}.original_bare",
        f"{__name__}.original_called",
        f"{__name__}.modern_bare",
        "modern",
    ]
