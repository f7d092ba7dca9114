"""G3: ``gearman_job(queue='default', name=None)``, as J3."""

from __future__ import annotations

from types import SimpleNamespace

from gearfleet.compat import gearman_job
from gearfleet.tasks.declarations import declared_in


@gearman_job
def bare(text: str) -> str:
    return text[::-1]


@gearman_job()
def called(text: str) -> str:
    return text[::-1]


@gearman_job(queue="my-queue-name", name="reverse")
def named(text: str) -> str:
    return text[::-1]


def test_g03__attributes() -> None:
    assert (named.__name__, named.queue, named.f("ab")) == ("reverse", "my-queue-name", "ba")
    assert (bare.queue, called.queue) == ("default", "default")


def test_g03__stays_callable_and_runs_jobs() -> None:
    job = SimpleNamespace(data={"args": ["abc"], "kwargs": {}})
    assert [one("abc") for one in (bare, called, named)] == ["cba"] * 3
    assert named(SimpleNamespace(), job) == "cba"  # type: ignore[call-arg, arg-type]


def test_g03__registered_bare_too() -> None:
    assert [one.name for one in declared_in(__name__)] == [
        f"{__name__}.bare",
        f"{__name__}.called",
        "reverse",
    ]
