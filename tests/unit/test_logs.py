"""The lines of the log: what they hold, and that nothing that is logged can break them."""

from __future__ import annotations

import enum
import json
import logging
import sys
import threading
import time
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gearfleet.logs import MAX_TEXT, HumanFormatter, JobFilter, JsonFormatter
from gearfleet.tasks import Task
from gearfleet.tasks.current import job_in_hand, unheard
from gearfleet.tasks.meta import Meta

if TYPE_CHECKING:
    from collections.abc import Callable

FORMATTERS = [HumanFormatter(), JsonFormatter()]
both = pytest.mark.parametrize("formatter", FORMATTERS, ids=["human", "json"])


def work() -> None: ...


class Job(NamedTuple):
    task: Task[..., Any]
    meta: Meta | None = None
    function: str = "shop.resize"


TASK = Task(work, name="shop.resize", queue="bar", priority="normal")
JOB = Job(TASK, Meta(id="abc", attempt=2))


def record(message: object = "Hello", *args: object, **extra: Any) -> logging.LogRecord:
    logger = logging.Logger("shop.billing")
    exc_info = extra.pop("exc_info", None)
    return logger.makeRecord(
        "shop.billing", logging.INFO, "x.py", 1, message, args, exc_info, extra=extra
    )


def filtered(one: logging.LogRecord) -> logging.LogRecord:
    assert JobFilter().filter(one)
    return one


def as_json(one: logging.LogRecord) -> dict[str, Any]:
    (line,) = JsonFormatter().format(one).splitlines()
    assert line.isascii()
    found: dict[str, Any] = json.loads(line, parse_constant=pytest.fail)
    return found


def caught(raiser: Callable[[], object]) -> Any:
    try:
        raiser()
    except BaseException:
        return sys.exc_info()


class Nasty:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_json__fields_come_in_their_order() -> None:
    one = record("%d of %s", 3, "four", action="counted", queues=("a", "b"))
    one.created, one.process = 1700000000.0625, 77
    assert list(as_json(filtered(one)).items()) == [
        ("time", "2023-11-14T22:13:20.062Z"),
        ("level", "INFO"),
        ("logger", "shop.billing"),
        ("pid", 77),
        ("message", "3 of four"),
        ("action", "counted"),
        ("queues", ["a", "b"]),
    ]


def test_json__constants_are_in_each_line() -> None:
    line = JsonFormatter({"program": "worker_foo"}).format(record())
    assert json.loads(line)["program"] == "worker_foo"


def test_json__tells_the_job() -> None:
    with unheard(JOB):
        found = as_json(filtered(record()))
    assert {"job_id": "abc", "attempt": 2, "task": "shop.resize"}.items() <= found.items()


def test_json__extras_do_not_replace_fields() -> None:
    found = as_json(record(time=3, level="high", logger=None))
    assert (found["extra_time"], found["extra_level"], found["extra_logger"]) == (3, "high", None)
    assert (found["level"], found["logger"]) == ("INFO", "shop.billing")


def test_json__exception_is_a_text() -> None:
    found = as_json(record("Oh", exc_info=caught(lambda: 1 / 0)))
    assert found["exception"].startswith("Traceback (most recent call last):\n")
    assert found["exception"].endswith("ZeroDivisionError: division by zero")


class Color(enum.IntEnum):
    RED = 7


LOOP: list[Any] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (2**64 - 1, 2**64 - 1),
        (2**64, hex(2**64)),
        (10**5000, hex(10**5000)),
        (True, True),
        (None, None),
        (Color.RED, 7),
        (b"\xff", "b'\\xff'"),
        ("caf\u00e9 \u2028 \U0001f600", "caf\u00e9 \u2028 \U0001f600"),
        ("\udc80", "\\udc80"),
        ({1: "a", "\udcff": {2}}, {"1": "a", "\\udcff": [2]}),
        (LOOP, [[[[["[[...]]"]]]]]),
        (Nasty(), "<Nasty whose repr raises RuntimeError>"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_json__value_of_every_kind(value: object, shown: object) -> None:
    assert as_json(record(value=value))["value"] == shown


def test_json__many_items_are_cut_and_counted() -> None:
    assert as_json(record(value=list(range(1000))))["value"][199:] == [199, "... of 1000"]
    assert as_json(record(value=dict.fromkeys(range(1000))))["value"]["..."] == "of 1000"


def test_json__class_that_lies_about_itself_leaves_the_line() -> None:
    class Liar(dict[str, str]):
        def items(self) -> Any:
            raise ValueError

    class Mute(str):
        def __str__(self) -> str:
            raise ValueError

    for value in (Liar(a="b"), Mute("x")):
        found = as_json(record("Hello", value=value))
        assert (found["message"], found["log_error"]) == ("Hello", "ValueError")


def test_human__line() -> None:
    one = record("Hello\r\nWorld")
    one.created, one.msecs, one.process = 1700000000.0625, 62.5, 77
    formatter = HumanFormatter()
    formatter.converter = time.gmtime
    assert formatter.format(one).splitlines() == [
        "2023-11-14 22:13:20,062 INFO     [77] shop.billing: Hello",
        "  World",
    ]


def test_human__tells_the_job_and_indents_the_traceback() -> None:
    with unheard(JOB):
        one = filtered(record("Oh", exc_info=caught(lambda: 1 / 0)))
    first, second, *_, last = HumanFormatter().format(one).splitlines()
    assert first.endswith("shop.billing: Oh [job=abc attempt=2 task=shop.resize]")
    assert second == "  Traceback (most recent call last):"
    assert last == "  ZeroDivisionError: division by zero"


@both
@pytest.mark.parametrize(
    ("message", "args"),
    [
        ("%d", ("x",)),
        ("%s %s", (1,)),
        ("plain", (1, 2)),
        (Nasty(), ()),
        ("%r", (Nasty(),)),
        ("\udc80", ()),
        ("", ()),
        (None, ()),
        (b"\xff", ()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_message__that_cannot_be_made_is_shown_as_it_came(
    message: object, args: tuple[object, ...], formatter: logging.Formatter
) -> None:
    line = formatter.format(filtered(record(message, *args)))
    assert line.encode()
    assert len(line.splitlines()) == 1


@both
def test_message__of_ten_million_characters_is_cut(formatter: logging.Formatter) -> None:
    line = formatter.format(record("a" * 10_000_000 + "z"))
    assert len(line) < MAX_TEXT + 200
    assert "9967233 characters" in line
    assert "az" in line


@both
def test_exception__that_has_no_text(formatter: logging.Formatter) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    def mute() -> None:
        raise Mute

    assert "Mute" in formatter.format(record(exc_info=caught(mute)))
    assert "Traceback" not in formatter.format(record(exc_info=(None, None, None)))


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.binary()
    | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=10,
)


@given(
    st.text(st.characters()), ANYTHING, st.dictionaries(st.text(min_size=1), ANYTHING, max_size=4)
)
def test_line__holds_whatever_is_logged(
    message: str, value: object, extra: dict[str, object]
) -> None:
    one = record(message, value)
    one.__dict__.update({f"x{name}": item for name, item in extra.items()})
    assert len(as_json(one)) >= 5
    first, *more = HumanFormatter().format(one).splitlines()
    assert " INFO     [" in first
    assert all(line.startswith("  ") for line in more)
    assert HumanFormatter().format(one).encode()


def test_filter__fields_are_empty_outside_of_a_job() -> None:
    one = filtered(record())
    assert (one.job_id, one.attempt, one.task) == ("", 0, "")  # type: ignore[attr-defined]
    assert "job_id" not in as_json(one)


def test_filter__leaves_what_the_line_says_itself() -> None:
    with unheard(JOB):
        one = filtered(record(task="mine"))
    assert (one.job_id, one.task) == ("abc", "mine")  # type: ignore[attr-defined]


def test_filter__job_without_an_id_has_its_task() -> None:
    with unheard(Job(TASK)):
        one = filtered(record())
    assert (one.job_id, one.task) == ("", "shop.resize")  # type: ignore[attr-defined]


def test_filter__thread_without_the_context_has_a_plain_line() -> None:
    found: list[logging.LogRecord] = []
    context = copy_context()
    context.run(job_in_hand.set, (JOB, None, None))

    def log() -> None:
        found.append(filtered(record()))

    for thread in (
        threading.Thread(target=context.run, args=(log,)),
        threading.Thread(target=log),
    ):
        thread.start()
        thread.join()
    assert [one.job_id for one in found] == ["abc", ""]  # type: ignore[attr-defined]
