"""The envelope: what it looks like on the wire, what is refused and in which words."""

from __future__ import annotations

import enum
import json
import sys
from collections import OrderedDict, namedtuple
from datetime import datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from gearfleet.errors import PayloadDecodeError, PayloadEncodeError
from gearfleet.tasks.meta import Meta
from gearfleet.tasks.payload import (
    Call,
    decode_call,
    decode_value,
    encode_call,
    encode_value,
)
from gearfleet.tasks.typed import MAX_NESTING


class Colour(enum.IntEnum):
    RED = 1


class Shape(enum.Enum):
    ROUND = "round"


Point = namedtuple("Point", "x y")


def nested(levels: int) -> Any:
    value: Any = []
    for _ in range(levels - 1):
        value = [value]
    return value


def test_wire__plain_values() -> None:
    data = encode_call((1, "ä", None), {"deep": [1.5, {"a": True}]}, Meta(id="j1"))
    assert json.loads(data) == {
        "v": 1,
        "args": [1, "ä", None],
        "kwargs": {"deep": [1.5, {"a": True}]},
        "meta": {"id": "j1"},
    }
    assert "ä".encode() in data


def test_wire__what_a_framework_keeps_of_the_job() -> None:
    about = {"backend": "default", "workers": []}
    data = encode_call((), {}, Meta(id="j1", about=about))
    assert json.loads(data)["meta"] == {"id": "j1", "about": about}
    assert decode_call(data).meta == Meta(id="j1", about=about)
    with pytest.raises(PayloadDecodeError, match="'about'"):
        decode_call(b'{"meta": {"id": "j1", "about": [1]}}')


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        (Decimal("1.0"), {"$t": "decimal", "v": "1.0"}),
        (datetime(2024, 1, 31, 12), {"$t": "datetime", "v": "2024-01-31T12:00:00"}),
        (
            datetime(2024, 10, 27, 2, fold=1, tzinfo=ZoneInfo("Europe/Berlin")),
            {
                "$t": "datetime",
                "v": "2024-10-27T02:00:00+01:00",
                "zone": "Europe/Berlin",
                "fold": 1,
            },
        ),
        (timedelta(days=-1, microseconds=5), {"$t": "timedelta", "v": [-1, 0, 5]}),
        (UUID(int=1), {"$t": "uuid", "v": "00000000-0000-0000-0000-000000000001"}),
        (b"\x00\xff", {"$t": "bytes", "v": "AP8="}),
        ((1, 2), {"$t": "tuple", "v": [1, 2]}),
        ({1}, {"$t": "set", "v": [1]}),
        (frozenset(), {"$t": "frozenset", "v": []}),
        ({1: "a"}, {"$t": "dict", "v": [[1, "a"]]}),
        ({"$t": 1}, {"$$t": 1}),
        (float("nan"), {"$t": "float", "v": "nan"}),
    ],
)
def test_wire__typed_values(value: Any, wire: Any) -> None:
    assert json.loads(encode_value(value)) == wire


@pytest.mark.parametrize(
    ("data", "call"),
    [
        (b"", Call((), {})),
        (b"{}", Call((), {})),
        (b'{"args": [1]}', Call((1,), {})),
        (b' {"kwargs": {"a": 1}}\n', Call((), {"a": 1})),
        (b'{"args": [{"\\u0024t": "tuple", "v": []}]}', Call(((),), {})),
        (b'{"v": 1, "meta": {"id": "x", "future": []}}', Call((), {}, Meta(id="x"))),
    ],
)
def test_decode__what_other_languages_send(data: bytes, call: Call) -> None:
    assert decode_call(data) == call


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"hello", "Expecting value.*hello"),
        (b"\xff", "utf-8"),
        (b"5", r'must be an object such as \{"args": \[1\]\}'),
        (b'{"arg": [1]}', "unknown part 'arg'"),
        (b'{"v": 2}', "version 2; this gearfleet reads version 1"),
        (b'{"v": true}', "version True"),
        (b'{"args": {}}', "'args' must be a list"),
        (b'{"args": "abc"}', "'args' must be a list"),
        (b'{"kwargs": []}', "'kwargs' must be an object"),
        (b'{"kwargs": {"$t": "dict", "v": [[1, 2]]}}', "'kwargs' must be an object"),
        (b'{"meta": 5}', "'meta' must be an object"),
        (b'{"meta": {"id": "x", "attempt": "2"}}', "wrong 'attempt': '2'"),
        (b'{"meta": {"id": "x", "attempt": true}}', "wrong 'attempt': True"),
        (b'{"args": [NaN]}', "NaN is not JSON"),
        (b'{"args": [{"$t": "pickle", "v": ""}]}', "unknown type 'pickle'"),
        (b'{"args": [{"$t": [], "v": ""}]}', "unknown type"),
        (b'{"args": [{"$t": "set", "v": [[]]}]}', "no set can be read"),
        (b'{"args": [{"$t": "bytes", "v": "?"}]}', "no bytes can be read"),
        (b'{"args": [{"$t": "decimal"}]}', "no decimal can be read"),
        (b'{"args": [{"$x": 1}]}', r"'\$x' must be written \$\$x"),
        (b'{"args": [' + b"9" * 5000 + b"]}", "4300 digits"),
    ],
)
def test_decode__refused(data: bytes, reason: str) -> None:
    with pytest.raises(PayloadDecodeError, match=reason) as caught:
        decode_call(data)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ([{"when": object()}], {}, r"args\[0\]\['when'\] is of type object, which cannot be sent"),
        ([1, [2, {3}, {(4, object())}]], {}, r"args\[1\]\[2\]\[0\]\[1\] is of type object"),
        ([], {"by": {1: object()}}, r"kwargs\['by'\]\[1\] is of type object"),
        ([{Shape.ROUND: 1}], {}, r"args\[0\] \(a key\) is of type .*Shape.* send its \.value"),
        ([Colour.RED], {}, r"args\[0\] is of type .*Colour.* send its \.value"),
        ([Point(1, 2)], {}, r"send tuple\(\.\.\.\) of it"),
        ([OrderedDict()], {}, r"send dict\(\.\.\.\) of it"),
        ([["a\ud800"]], {}, r"args\[0\]\[0\] has a lone surrogate"),
        ([{"a\ud800": None}], {}, r"args\[0\]\['a\\ud800'\] has a lone surrogate"),
        ([10**5000], {}, r"args\[0\] is an int too long"),
        ([], {1: 2}, "kwargs has a key that is no text"),
    ],
)
def test_encode__refused(args: list[Any], kwargs: Any, message: str) -> None:
    with pytest.raises(PayloadEncodeError, match=message) as caught:
        encode_call(args, kwargs)
    assert isinstance(caught.value, TypeError)


def test_encode__of_a_result_says_so() -> None:
    with pytest.raises(PayloadEncodeError, match=r"result\['a'\] is of type"):
        encode_value({"a": object()})


class Twisted(tzinfo):
    """A zone whose offset depends on the fold, as no fixed offset can say."""

    def utcoffset(self, moment: datetime | None) -> timedelta:
        return timedelta(hours=moment.fold if moment else 0)

    def dst(self, _moment: datetime | None) -> timedelta:
        return timedelta()


def test_encode__a_zone_that_would_not_arrive_equal() -> None:
    moment = datetime(2024, 1, 1, tzinfo=Twisted())
    with pytest.raises(PayloadEncodeError, match=r"args\[0\] has a zone that cannot be sent"):
        encode_call([moment])


def test_decode__rules_of_the_zone_differ__instant_is_kept() -> None:
    data = b'{"$t": "datetime", "v": "2024-07-01T12:00:00+05:00", "zone": "Europe/Berlin"}'
    moment = decode_value(data)
    assert moment.isoformat() == "2024-07-01T09:00:00+02:00"


def test_nesting__up_to_the_limit_and_not_beyond() -> None:
    assert decode_value(encode_value(nested(MAX_NESTING))) == nested(MAX_NESTING)
    with pytest.raises(PayloadEncodeError, match="nested more than 100 levels"):
        encode_value(nested(MAX_NESTING + 1))


@pytest.mark.parametrize("levels", [MAX_NESTING + 2, 100_000])
def test_nesting__of_what_arrives(levels: int) -> None:
    with pytest.raises(PayloadDecodeError, match="nested more than 100 levels"):
        decode_value(b"[" * levels + b"]" * levels)


def test_nesting__a_value_that_holds_itself() -> None:
    loop: dict[str, Any] = {}
    loop["self"] = loop
    with pytest.raises(PayloadEncodeError, match="does it hold itself"):
        encode_call([loop])


def test_nesting__on_a_full_stack() -> None:
    def encode_at(depth: int) -> None:
        if depth:
            encode_at(depth - 1)
        else:
            encode_value(nested(MAX_NESTING))

    left = sys.getrecursionlimit() - len(traceback_frames()) - 60
    with pytest.raises(PayloadEncodeError, match="stack"):
        encode_at(left)


def traceback_frames() -> list[Any]:
    import inspect

    return inspect.stack(0)


@pytest.mark.parametrize("offset", [timedelta(microseconds=1), timedelta(microseconds=-1)])
def test_encode__refuses_an_offset_that_would_be_lost(offset: timedelta) -> None:
    with pytest.raises(PayloadEncodeError, match=r"args\[0\] has a zone that cannot be sent"):
        encode_call([time(12, 0, tzinfo=timezone(offset))], {}, None)
