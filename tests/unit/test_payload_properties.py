"""Whatever is accepted arrives equal and of equal type; whatever arrives is read or refused."""

from __future__ import annotations

import json
from collections import OrderedDict
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gearfleet.errors import PayloadDecodeError, PayloadEncodeError
from gearfleet.tasks.meta import Meta
from gearfleet.tasks.payload import (
    _read_any,
    _read_usual,
    decode_call,
    decode_value,
    encode_call,
    encode_value,
)

# Any character, the `$` of the tags often, lone surrogates too.
texts = st.text(st.one_of(st.characters(), st.sampled_from("$tv")), max_size=8)
offsets = st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(timezone)
zones = st.one_of(st.none(), offsets, st.sampled_from(["UTC", "Europe/Berlin"]).map(ZoneInfo))
moments = st.datetimes(datetime(1902, 1, 1), datetime(2037, 1, 1), timezones=zones)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    texts,
    st.binary(max_size=8),
    st.decimals().filter(lambda number: not number.is_snan()),  # which has no hash
    st.dates(),
    st.times(timezones=zones),
    st.builds(lambda moment, fold: moment.replace(fold=fold), moments, st.integers(0, 1)),
    st.timedeltas(),
    st.uuids(),
)
# Deferred, because hypothesis would print the whole tree of strategies.
hashable = st.deferred(
    lambda: st.one_of(
        scalars,
        st.tuples(scalars, scalars),
        st.frozensets(scalars, max_size=3),
        st.tuples(st.frozensets(scalars, max_size=2)),
    )
)
containers = st.deferred(
    lambda: st.one_of(
        st.lists(values, max_size=3),
        st.tuples(values),
        st.sets(hashable, max_size=3),
        st.dictionaries(texts, values, max_size=3),
        st.dictionaries(hashable, values, max_size=3),
    )
)
values: st.SearchStrategy[Any] = st.one_of(scalars, scalars, containers)


def same(left: Any, right: Any) -> bool:
    """Compare as ==, but tell 1 from True and from 1.0, -0.0 from 0.0; a NaN equals itself."""
    if type(left) is not type(right):
        return False
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return same(list(left.items()), list(right.items()))
    if isinstance(left, set | frozenset):
        return sorted(map(_unordered, left)) == sorted(map(_unordered, right))
    if isinstance(left, datetime | time):
        return left == right and left.fold == right.fold and left.utcoffset() == right.utcoffset()
    return repr(left) == repr(right)


def _unordered(item: Any) -> str:
    """Return a text that is the same for equal members of a set."""
    if isinstance(item, frozenset):
        return f"frozenset{sorted(map(_unordered, item))}"
    if isinstance(item, tuple):
        return f"tuple{[_unordered(part) for part in item]}"
    if isinstance(item, datetime):
        return f"datetime{item.replace(tzinfo=None)!r}{item.utcoffset()}{item.fold}"
    if isinstance(item, time):
        return f"time{item.replace(tzinfo=None)!r}{item.utcoffset()}{item.fold}"
    return f"{type(item)}{item!r}"


@given(values)
@settings(deadline=None)
@example({"$t": "decimal", "v": "1"})
@example({"$": 1, "$$t": 2, "": 3})
@example(datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")))
@example(datetime(2024, 3, 31, 2, 30, tzinfo=ZoneInfo("Europe/Berlin")))
@example(datetime.max.replace(tzinfo=timezone(timedelta(hours=-23))))
@example([Decimal("NaN12"), Decimal("sNaN"), Decimal("-0"), Decimal("1E+5"), Decimal("Infinity")])
@example([float("nan"), float("-inf"), -0.0, 1.0, 1, True, 10**400])
@example(["\x00", "\u2028", "\U0001f600", "\\u0024t"])
@example("\ud83d\ude00")
def test_value__arrives_equal_or_is_refused(value: Any) -> None:
    try:
        data = encode_value(value)
    except PayloadEncodeError as error:
        assert "surrogate" in str(error)
        assert "\\ud" in ascii(value)
    else:
        assert same(decode_value(data), value)


@given(st.lists(values, max_size=3), st.dictionaries(texts, values, max_size=3))
@settings(deadline=None, max_examples=50)
def test_call__arrives_equal_or_is_refused(args: list[Any], kwargs: dict[str, Any]) -> None:
    meta = Meta(
        id="j", attempt=2, enqueued_at=1.5, waits=True, expires=2.5, name="n", group="g",
        hook="shop.tell", save=False, chain=(["shop.f", [1], {}],),
    )  # fmt: skip
    try:
        call = decode_call(encode_call(args, kwargs, meta))
    except PayloadEncodeError:
        return
    assert same(call.args, tuple(args))
    assert same(call.kwargs, kwargs)
    assert call.meta == meta


class Name(str):
    __slots__ = ()


subclassed = st.sampled_from(
    [True, 1, Name("x"), OrderedDict(a=1), object(), b"x", date(2024, 1, 1)]
)


@given(st.recursive(subclassed, lambda inner: st.lists(inner, max_size=3)))
def test_value__of_a_subclass_is_refused_wherever_it_stands(value: Any) -> None:
    def is_foreign(item: Any) -> bool:
        if type(item) is list:
            return any(map(is_foreign, item))
        return type(item) in {Name, OrderedDict, object}

    if is_foreign(value):
        with pytest.raises(PayloadEncodeError, match="is of type"):
            encode_value(value)
    else:
        assert same(decode_value(encode_value(value)), value)


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(texts, st.sampled_from(["$t", "v", "args", "meta"])), inner),
        st.fixed_dictionaries(
            {
                "$t": st.sampled_from(["set", "dict", "datetime", "time", "timedelta", "tuple"]),
                "v": inner,
            },
            optional={"zone": inner, "fold": inner, "x": inner},
        ),
    ),
    max_leaves=10,
)


@given(st.one_of(st.binary(), json_values.map(lambda tree: json.dumps(tree).encode())))
@settings(deadline=None)
@example(b'{"args": [{"$t": "datetime", "v": "2024-01-01", "zone": "Europe"}]}')
@example(b'{"args": [{"$t": "datetime", "v": "2024-01-01", "fold": 2}]}')
@example(b'{"$t": "dict", "v": [[1, 2], ["a", 3]]}')
@example(b"[" * 100_000)
@example(b'{"args":' * 100_000)
def test_decode__anything_is_read_or_refused(data: bytes) -> None:
    for decode in (decode_call, decode_value):
        try:
            decode(data)
        except PayloadDecodeError as error:
            assert len(str(error)) < 500


@given(
    st.lists(st.recursive(st.one_of(st.integers(), st.floats(), texts), st.lists, max_leaves=4)),
    st.integers(1, 200),
    st.integers(0, 2),
    st.sampled_from([b"", b"]", b"[", b"0", b'"', b",", b"e", b" ", b"}", b"\\"]),
)
@settings(deadline=None)
def test_decode__the_usual_way_reads_nothing_else_than_the_other(
    args: list[Any], at: int, cut: int, put: bytes
) -> None:
    try:
        sent = encode_call(args, {}, Meta("a1", 1, 1763740000.5))
    except PayloadEncodeError:  # a lone surrogate
        return
    place = len(sent) - at % len(sent)
    for data in (sent, sent[:place] + put + sent[place + cut :]):
        call = _read_usual(data)
        assert call is None or repr(call) == repr(_read_any(data))
