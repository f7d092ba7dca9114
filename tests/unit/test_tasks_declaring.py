"""`@task`: what can be declared, what comes of it, and what is refused."""

from __future__ import annotations

import copy
import functools
import inspect
import pickle
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from gearfleet.errors import TaskDeclarationError
from gearfleet.tasks import SubmitOptions, Task, task
from gearfleet.tasks.declarations import declared_in

if TYPE_CHECKING:
    from collections.abc import Callable


@task
def resize(image_id: int, width: int = 200, *, name: str = "x") -> str:
    """Make it smaller."""
    return f"{image_id}x{width}{name}"


@task(name="mail.send", queue="mail", priority="high")
async def send(to: str) -> str:
    return to


@task
@functools.lru_cache
def cached(n: int) -> int:
    return n


@task
def answers_itself(self: int, args: int) -> int:
    return self + args


def plain() -> None: ...


def generator() -> Any:
    yield 1


class Holder:
    def method(self) -> None: ...

    @classmethod
    def on_class(cls) -> None: ...


def test_task__bare() -> None:
    assert isinstance(resize, Task)
    assert (resize.name, resize.queue, resize.priority) == (
        f"{__name__}.resize",
        "default",
        "normal",
    )
    assert (resize.module, resize.is_async) == (__name__, False)


def test_task__with_options() -> None:
    assert (send.name, send.queue, send.priority) == ("mail.send", "mail", "high")
    assert send.is_async


def test_task__keeps_its_declaration() -> None:
    declared = Task(
        plain,
        unique=True,
        retries=3,
        retry_for=OSError,
        no_retry_for=(FileNotFoundError, PermissionError),
        backoff=timedelta(minutes=1),
        soft_time_limit=timedelta(seconds=90),
        expires=3600,
        ignore_result=True,
        on_success=plain,
        on_failure="shop.hooks.tell",
    )
    assert declared.declared.retries == 3
    assert declared.soft_time_limit == 90.0
    assert Task(plain).soft_time_limit is None
    assert Task(plain, time_limit=timedelta(minutes=2)).time_limit == 120.0
    assert Task(plain).time_limit is None
    assert declared.declared.on_success is plain
    assert declared.chosen == SubmitOptions(unique=True, expires=3600, save=False)


def test_task__is_still_the_function() -> None:
    assert resize(3, name="y") == "3x200y"
    assert resize.__doc__ == "Make it smaller."
    assert resize.__name__ == "resize"
    assert inspect.signature(resize) == inspect.signature(resize.func)
    assert cached(2) == 2
    assert answers_itself(self=1, args=2) == 3


def test_task__signature_as_text() -> None:
    assert resize.signature == "(image_id, width=200, *, name='x')"


def test_task__place() -> None:
    path, line = resize.place.rsplit(":", 1)
    assert path == __file__
    assert inspect.getsource(resize.func).splitlines()[0] == "@task"
    assert inspect.getsourcelines(resize.func)[1] == int(line)


def test_task__pickles_by_reference() -> None:
    assert pickle.loads(pickle.dumps(resize)) is resize
    assert copy.deepcopy(resize) is resize


def test_task__repr() -> None:
    assert repr(send) == "<Task mail.send queue=mail>"


def test_task__is_kept_with_its_module() -> None:
    assert [one.func.__name__ for one in declared_in(__name__)] == [
        "resize", "send", "cached", "answers_itself",
    ]  # fmt: skip


def declare_nested() -> Any:
    def inside() -> None: ...

    return inside


@pytest.mark.parametrize(
    ("thing", "kind"),
    [
        (lambda: 1, "a lambda"),
        (declare_nested(), "a function inside another"),
        (Holder.method, "a method"),
        (Holder().method, "a method"),
        (Holder.__dict__["on_class"], "a method"),
        (staticmethod(plain), "a method"),
        (Holder, "a class"),
        (generator, "a generator"),
        (functools.partial(plain), "no function"),
        (print, "no function"),
        (resize, "a task already"),
        ("bar", r"a text \(a name is given as name=, a queue as queue=\)"),
        (5, "no function"),
    ],
)
def test_refused__what_is_no_function(thing: Any, kind: str) -> None:
    with pytest.raises(TaskDeclarationError, match=f"is {kind}.*top level of a module"):
        task(thing)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "send mail"}, "task name 'send mail': a name has no white space"),
        ({"name": "a\0b"}, "a name has no white space"),
        ({"name": ""}, "1 to 255 bytes"),
        ({"name": "ü" * 128}, "1 to 255 bytes"),
        ({"name": 5}, "task name 5: a name is a text"),
        ({"queue": "a b"}, "queue 'a b': a name has no white space"),
        ({"queue": ""}, "queue ''"),
        ({"prority": "high"}, r"Unknown option 'prority' of @task .* Did you mean 'priority'"),
        ({"unique": "x"}, "unique 'x': it is none of True, False"),
        ({"ignore_result": 1}, "ignore_result 1: it is none of True, False"),
        ({"retries": -1}, "retries -1: it must be a whole number, 0 or more"),
        ({"retries": True}, "retries True"),
        ({"retry_for": "ValueError"}, "retry_for 'ValueError': it must be an exception class"),
        ({"no_retry_for": (ValueError, 1)}, "no_retry_for .* tuple of them"),
        ({"expires": float("nan")}, "expires nan"),
        ({"soft_time_limit": 0}, "soft_time_limit 0: it must be more than 0 seconds"),
        ({"time_limit": -1}, "time_limit -1: it must be more than 0 seconds"),
        (
            {"soft_time_limit": 60, "time_limit": timedelta(minutes=1)},
            "soft_time_limit 60 must be less than time_limit 60",
        ),
        ({"soft_time_limit": "5"}, "soft_time_limit '5'"),
        ({"expires": 0}, "expires 0: it must be more than 0 seconds"),
        ({"backoff": "soon"}, "backoff 'soon': it must be seconds"),
        ({"on_success": "tell"}, "on_success 'tell': .* dotted path"),
        ({"on_failure": 5}, "on_failure 5"),
        ({"priority": "HIGH"}, "priority 'HIGH': it is none of high, normal, low"),
    ],
)
def test_refused__bad_options_name_the_place(options: Any, message: str) -> None:
    decorate: Callable[[Any], Any] = task(**options)
    with pytest.raises(TaskDeclarationError, match=message) as caught:
        decorate(plain)
    assert str(caught.value).startswith(f"{__file__}:{plain.__code__.co_firstlineno}: ")


def test_refused__is_not_kept() -> None:
    before = declared_in(__name__)
    with pytest.raises(TaskDeclarationError):
        task(name="a b")(plain)
    assert declared_in(__name__) == before
