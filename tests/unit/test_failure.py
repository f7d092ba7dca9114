from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gearfleet.tasks.failure import (
    MAX_MESSAGE_CHARACTERS,
    Failure,
    decode_failure,
    describe,
    encode_failure,
)


class Sulky(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no comment")


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


def test_describe__names_type_message_and_line() -> None:
    failure = describe(raised(ValueError("no such image")))
    assert (failure.type, failure.message) == ("ValueError", "no such image")
    assert "in raised" in failure.traceback
    assert str(failure) == "ValueError: no such image"


def test_describe__names_the_module_of_other_exceptions() -> None:
    assert describe(Sulky()).type == f"{__name__}.Sulky"


@pytest.mark.parametrize(
    "error", [Sulky(), ValueError("\ud800"), ValueError(b"\xff"), SystemExit(3), RecursionError()]
)
def test_describe__always_says_something_that_can_be_sent(error: BaseException) -> None:
    failure = describe(raised(error))
    assert decode_failure(encode_failure(failure)) == failure


def test_describe__cuts_the_middle_of_a_long_message() -> None:
    failure = describe(ValueError("a" * 10**6 + "the end"))
    assert len(failure.message) < MAX_MESSAGE_CHARACTERS + 100
    assert failure.message.endswith("the end")
    assert "996007 characters left out" in failure.message


def test_encode__is_json_of_three_texts() -> None:
    data = encode_failure(Failure(type="E", message="ö", traceback="T"))
    assert json.loads(data) == {"type": "E", "message": "ö", "traceback": "T"}
    assert data.isascii()


@pytest.mark.parametrize(
    "data",
    [b"Out of paper", b'"Out of paper"', b"[1]", b'{"reason": "x"}', b'{"type": 3}', b"\xff"],
)
def test_decode__takes_what_other_workers_send_as_the_message(data: bytes) -> None:
    failure = decode_failure(data)
    assert failure == Failure(type="", message=data.decode("utf-8", "backslashreplace"))


def test_decode__survives_deep_nesting() -> None:
    assert decode_failure(b"[" * 100_000).type == ""


@settings(deadline=None)
@given(st.binary())
def test_decode__never_raises(data: bytes) -> None:
    assert isinstance(str(decode_failure(data)), str)


def test_str__of_an_empty_failure_says_so() -> None:
    assert str(decode_failure(b"")) == "no reason given"
