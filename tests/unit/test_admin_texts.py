"""What the admin shows of a job, whatever is in it."""

from __future__ import annotations

import pytest

from gearfleet.contrib.django import texts
from gearfleet.results import Sealed
from tests.support.django_databases import set_up


@pytest.fixture(autouse=True, scope="module")
def _django() -> None:
    set_up()  # the texts are translated


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("one line", "one line"),
        ("the first\nthe second", "the first ..."),
        ("x" * 101, "x" * 97 + "..."),
    ],
)
def test_shortened__fits_into_a_cell(text: str, shown: str) -> None:
    assert texts.shortened(text) == shown


def test_cut__says_how_much_is_left_out() -> None:
    assert texts.cut("x" * (texts.LONG + 5)).endswith("\n... 5 characters more")
    assert texts.cut("x\ny") == "x\ny"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 ms"),
        (0.5, "500 ms"),
        (1, "1.0 s"),
        (119, "119.0 s"),
        (120, "2 min"),
        (4000, "1 h 6 min"),
    ],
)
def test_duration__is_read_at_a_glance(seconds: float, shown: str) -> None:
    assert texts.duration(seconds) == shown


def test_call__that_cannot_be_read_is_shown_as_it_was_kept() -> None:
    kept = Sealed(
        *("id", "name", "shop.price", "success", "shop.price", "foo", "", ""),
        *(0.0, 1.0, 2.0, 1, "", "", 0.0, b'[[{"$of another": 1}]', b"{", b""),
    )  # fmt: skip
    assert texts.call_of(kept) == '[[{"$of another": 1}]'
    assert texts.result_of(kept) == "{"
    readable = kept._replace(arguments=b'[[12], {"size": "big"}]', result=b'"4.20"')
    assert texts.call_of(readable) == "shop.price(12, size='big')"
    assert texts.result_of(readable) == "'4.20'"
    without = readable._replace(arguments=b"[[], {}, null]")
    assert texts.call_of(without) == "shop.price(...): the arguments are not kept"
