"""The call forms of the older READMEs, as arguments of the task."""

from __future__ import annotations

from typing import Any

import pytest

from gearfleet.errors import PayloadEncodeError
from gearfleet.tasks.forms import arguments_of, refuse_misplaced


@pytest.mark.parametrize(
    ("datum", "arguments", "args", "kwargs", "keywords", "expected"),
    [
        (None, (), None, None, {}, ([], {})),
        ({"a": 1}, (), None, None, {}, ([{"a": 1}], {})),
        (None, (1, 2), None, None, {}, ([1, 2], {})),
        (None, (), (1, 2), {"x": 3}, {"y": 4}, ([1, 2], {"x": 3, "y": 4})),
        (None, (), None, {"x": 3}, {"x": 4}, ([], {"x": 3})),
        (0, (1,), [2], None, {}, ([0], {})),
        (None, (1,), [2], None, {}, ([1], {})),
        (None, (), [None], None, {}, ([None], {})),
        (None, (), None, None, {"data": False}, ([False], {})),
        (None, (), None, {"data": 1}, {}, ([], {"data": 1})),
    ],
)
def test_arguments(
    datum: Any, arguments: Any, args: Any, kwargs: Any, keywords: Any, expected: Any
) -> None:
    before = dict(keywords)
    assert arguments_of(datum, arguments, args, kwargs, keywords) == expected
    assert keywords == before


@pytest.mark.parametrize("datum", [0, 0.0, "", b"", {}, [], (), False, set()])
def test_arguments__falsy_data_is_data(datum: Any) -> None:
    assert arguments_of(datum, (), None, None, {}) == ([datum], {})


@pytest.mark.parametrize("args", ["abc", b"abc", {"a": 1}, 5])
def test_arguments__args_must_be_a_list(args: Any) -> None:
    with pytest.raises(PayloadEncodeError, match="args must be a list of arguments"):
        arguments_of(None, (), args, None, {})


def test_arguments__kwargs_must_be_a_dict() -> None:
    with pytest.raises(PayloadEncodeError, match="kwargs must be a dict"):
        arguments_of(None, (), None, [1], {})  # type: ignore[arg-type]


def test_arguments__one_datum_only() -> None:
    with pytest.raises(TypeError, match="datum twice"):
        arguments_of(1, (), None, None, {"data": 2})


@pytest.mark.parametrize(
    "options",
    [
        {"unique": 2},
        {"unique": "x", "priority": 3},
        {"background": 1},
        {"wait_until_complete": "x"},
        {"max_retries": True},
        {"poll_timeout": "5"},
    ],
)
def test_misplaced__names_args(options: Any) -> None:
    with pytest.raises(TypeError, match=r"args=\[1, "):
        refuse_misplaced(1, **options)


def test_misplaced__what_is_an_option() -> None:
    refuse_misplaced(1, unique=b"x", priority="HIGH", background=True, max_retries=0)
    refuse_misplaced(1, unique=None, priority=None, poll_timeout=0.5, wait_until_complete=False)
    with pytest.raises(ValueError, match="max_retries"):
        refuse_misplaced(None, max_retries=-1)
