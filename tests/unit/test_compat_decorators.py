"""The originals' decorators."""

from __future__ import annotations

import inspect
import pickle
from types import SimpleNamespace
from typing import Any

import pytest

from gearfleet import compat
from gearfleet.compat import GearmanTask, gearman_job, gearman_task
from gearfleet.errors import TaskDeclarationError
from gearfleet.tasks import Task
from gearfleet.tasks.declarations import declared_in


@gearman_task
def bare(n: int) -> int:
    return n + 1


@gearman_task()
def called(n: int) -> int:
    return n + 2


@gearman_task("foo", "given.name")
def positional(a: Any, b: Any = None) -> Any:
    return (a, b)


@gearman_job(queue="bar", name="other.name")
def keywords() -> None: ...


def test_declared__bare_too() -> None:
    assert [(one.name, one.queue) for one in declared_in(__name__)] == [
        (f"{__name__}.bare", "default"),
        (f"{__name__}.called", "default"),
        ("given.name", "foo"),
        ("other.name", "bar"),
    ]


def test_attributes() -> None:
    assert isinstance(positional, GearmanTask)
    assert isinstance(positional, Task)
    assert inspect.isfunction(positional.f)
    assert (positional.__name__, positional.queue) == ("given.name", "foo")
    assert positional.signature == "(a, b=None)"


def test_call__is_an_ordinary_one() -> None:
    assert (bare(1), called(1)) == (2, 3)
    assert positional(1, 2) == (1, 2)
    assert positional(1, SimpleNamespace(data={"args": []})) == (
        1,
        SimpleNamespace(data={"args": []}),
    )


def test_call__with_worker_and_job_runs_the_job() -> None:
    job = SimpleNamespace(data={"args": [1], "kwargs": {"b": 2}})
    assert positional("worker", job) == (1, 2)


def test_pickle__by_reference() -> None:
    assert pickle.loads(pickle.dumps(positional)) is positional


def test_refused__as_every_task() -> None:
    with pytest.raises(TaskDeclarationError, match="a lambda"):
        gearman_task(lambda: 1)


def test_all__is_exact() -> None:
    assert compat.__all__ == sorted(compat.__all__)
    assert all(hasattr(compat, name) for name in compat.__all__)
