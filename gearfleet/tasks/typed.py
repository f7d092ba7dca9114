"""Python values as JSON and back, without loss.

JSON's own values (text, int, float, bool, None, list, dict with text keys)
stand for themselves. The others are tagged:

    {"$t": "decimal", "v": "1.0"}           text, as Python writes it: NaN, -0, exponent kept
    {"$t": "float", "v": "nan"}             nan, inf and -inf, for which JSON has no word
    {"$t": "datetime", "v": "2024-01-31T12:00:00+01:00"}
    {"$t": "date", "v": "2024-01-31"}       {"$t": "time", "v": "12:00:00"}
    {"$t": "timedelta", "v": [1, 2, 3]}     days, seconds, microseconds
    {"$t": "uuid", "v": "..."}              {"$t": "bytes", "v": "<base64>"}
    {"$t": "tuple", "v": [...]}             also "set" and "frozenset"
    {"$t": "dict", "v": [[key, value]]}     a dict with a key that is no text

A datetime or time keeps its UTC offset, its `fold` ("fold": 1), and the name
of its zone where that is a `zoneinfo.ZoneInfo` ("zone": "Europe/Berlin"). A
zone of another kind arrives as its offset at that time. A text key that starts
with ``$`` is written with one ``$`` more.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from math import isfinite
from typing import TYPE_CHECKING, Any, NoReturn
from uuid import UUID
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

#: Containers within containers. The program that needs more has a loop in its
#: data; the stacks of Python and of foreign JSON parsers end not far beyond.
MAX_NESTING = 100

#: Which types go to the JSON encoder unseen.
Scalars = frozenset[type]

#: Those that it writes, or says itself that it cannot.
FAST: Scalars = frozenset({str, int, float, bool, type(None)})

#: Those of which it can write every value.
CAREFUL: Scalars = frozenset({bool, type(None)})

_TEXT = frozenset({str})
_SHOWN_CHARACTERS = 40
_SHOWN_STEPS = 10


class Refused(Exception):
    """A value cannot be written or read; `path` has the steps to it, the innermost first."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.path: list[str] = []

    def __str__(self) -> str:
        steps = self.path[::-1]
        if len(steps) > _SHOWN_STEPS:
            steps = [*steps[:_SHOWN_STEPS], "..."]
        return f"{''.join(steps)} {self.args[0]}".lstrip()


# Writing


def write(item: Any, scalars: Scalars, depth: int = 0) -> Any:
    """Return the JSON tree of `item`, or raise `Refused` with the path inside it."""
    kind = type(item)
    if kind in scalars:
        return item
    writer = _WRITERS.get(kind)
    return writer(item, scalars, depth) if writer else _refuse_type(kind)


def check_plain(item: Any, depth: int = 0) -> None:
    """Raise `Refused`, with the path inside it, unless `item` is of JSON's own values."""
    kind = type(item)
    if kind in FAST:
        return
    _check_depth(depth)
    if kind is dict and _TEXT.issuperset(map(type, item)):
        parts: Iterable[tuple[Any, Any]] = item.items()
    elif kind is list:
        parts = enumerate(item)
    else:
        raise Refused(f"is of type {kind.__qualname__}, for which JSON has no word")
    for step, part in parts:
        try:
            check_plain(part, depth + 1)
        except Refused as refused:
            refused.path.append(f"[{step!r}]")
            raise


def write_array(items: Sequence[Any], scalars: Scalars, depth: int = 0) -> Sequence[Any]:
    """Return the JSON tree of a list, as which a tuple is written too."""
    _check_depth(depth)
    if scalars.issuperset(map(type, items)):
        return items
    written = []
    for index, item in enumerate(items):
        try:
            written.append(write(item, scalars, depth + 1))
        except Refused as refused:
            refused.path.append(f"[{index}]")
            raise
    return written


def write_object(items: Mapping[str, Any], scalars: Scalars, depth: int = 0) -> Mapping[str, Any]:
    """Return the JSON tree of a dict whose keys are all text."""
    _check_depth(depth)
    if (
        scalars is FAST
        and "$" not in "".join(items)
        and scalars.issuperset(map(type, items.values()))
    ):
        return items
    written = {}
    for key, item in items.items():
        try:
            written[_write_key(key)] = write(item, scalars, depth + 1)
        except Refused as refused:
            refused.path.append(f"[{key!r}]")
            raise
    return written


def _write_key(key: str) -> str:
    _write_text(key, CAREFUL, 0)
    return f"${key}" if key.startswith("$") else key


def _write_dict(items: dict[Any, Any], scalars: Scalars, depth: int) -> Any:
    if _TEXT.issuperset(map(type, items)):
        return write_object(items, scalars, depth)
    _check_depth(depth)
    return {"$t": "dict", "v": [_write_pair(pair, scalars, depth + 1) for pair in items.items()]}


def _write_pair(pair: tuple[Any, Any], scalars: Scalars, depth: int) -> list[Any]:
    key, item = pair
    step = " (a key)"
    try:
        written = write(key, scalars, depth)
        step = f"[{key!r}]"
        return [written, write(item, scalars, depth)]
    except Refused as refused:
        refused.path.append(step)
        raise


def _write_tuple(items: tuple[Any, ...], scalars: Scalars, depth: int) -> Any:
    return {"$t": "tuple", "v": write_array(items, scalars, depth)}


def _write_set(items: set[Any] | frozenset[Any], scalars: Scalars, depth: int) -> Any:
    return {"$t": type(items).__name__, "v": write_array(tuple(items), scalars, depth)}


def _write_text(item: str, _scalars: Scalars, _depth: int) -> str:
    try:
        item.encode()
    except UnicodeEncodeError:
        raise Refused("has a lone surrogate, which is no text; send it as bytes") from None
    return item


def _write_int(item: int, _scalars: Scalars, _depth: int) -> int:
    try:
        repr(item)
    except ValueError:
        raise Refused("is an int too long to print; send it as bytes") from None
    return item


def _write_float(item: float, _scalars: Scalars, _depth: int) -> Any:
    return item if isfinite(item) else {"$t": "float", "v": repr(item)}


def _write_moment(item: datetime | time, _scalars: Scalars, _depth: int) -> Any:
    tagged: dict[str, Any] = {"$t": type(item).__name__, "v": item.isoformat()}
    if type(item.tzinfo) is ZoneInfo and item.tzinfo.key:
        tagged["zone"] = item.tzinfo.key
    if item.fold:
        tagged["fold"] = 1
    # Around a clock change some zones compare unequal to any other (PEP 495), and
    # an offset below a second is lost on the way without making times unequal.
    arrived = read(tagged)
    if arrived != item or arrived.utcoffset() != item.utcoffset():
        raise Refused(f"has a zone that cannot be sent: {item.tzinfo!r}; send it in UTC")
    return tagged


def _tagged(tag: str, text_of: Callable[[Any], Any]) -> Callable[[Any, Scalars, int], Any]:
    return lambda item, _scalars, _depth: {"$t": tag, "v": text_of(item)}


_WRITERS: Mapping[type, Callable[[Any, Scalars, int], Any]] = {
    list: write_array,
    dict: _write_dict,
    tuple: _write_tuple,
    set: _write_set,
    frozenset: _write_set,
    str: _write_text,
    int: _write_int,
    float: _write_float,
    datetime: _write_moment,
    time: _write_moment,
    date: _tagged("date", date.isoformat),
    timedelta: _tagged("timedelta", lambda item: [item.days, item.seconds, item.microseconds]),
    Decimal: _tagged("decimal", str),
    UUID: _tagged("uuid", str),
    bytes: _tagged("bytes", lambda item: b64encode(item).decode()),
}
_SENDABLE = {*_WRITERS, *FAST}


def _check_depth(depth: int) -> None:
    if depth >= MAX_NESTING:
        raise Refused(f"is nested more than {MAX_NESTING} levels deep; does it hold itself?")


def _refuse_type(kind: type) -> NoReturn:
    name = (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )
    raise Refused(f"is of type {name}, which cannot be sent; {_remedy(kind)}")


def _remedy(kind: type) -> str:
    if issubclass(kind, Enum):
        return "send its .value"
    base = next((base for base in kind.__mro__ if base in _SENDABLE), None)
    if base:
        return f"it would arrive as another type; send {base.__name__}(...) of it"
    return "send what the task can find it by, such as a primary key, a path or a text"


# Reading


def read_object(table: dict[str, Any]) -> Any:
    """Return what an object of the JSON text means; its values are read already."""
    if "$t" in table:
        return read(table)
    if "$" in "".join(table):
        return {_read_key(key): item for key, item in table.items()}
    return table


def read(tagged: Mapping[str, Any]) -> Any:
    """Return the value that a tagged object stands for."""
    tag = tagged["$t"]
    reader = _READERS.get(tag) if type(tag) is str else None
    if reader is None:
        raise Refused(f"unknown type {shown(tag)} (known: {', '.join(sorted(_READERS))})")
    arguments = {key: item for key, item in tagged.items() if key != "$t"}
    try:
        return reader(**arguments)
    except (ValueError, TypeError, ArithmeticError, LookupError, OSError):
        raise Refused(f"no {tag} can be read from {shown(arguments)}") from None


def _read_key(key: str) -> str:
    if key.startswith("$") and not key.startswith("$$"):
        raise Refused(f"the key {shown(key)} must be written ${key}")
    return key.removeprefix("$")


def _read_dict(v: list[list[Any]]) -> dict[Any, Any]:
    return dict(_checked(v, list))


def _read_float(v: str) -> float:
    if v not in ("nan", "inf", "-inf"):
        raise ValueError
    return float(v)


def _read_datetime(v: str, zone: str | None = None, fold: int = 0) -> datetime:
    moment = datetime.fromisoformat(v).replace(fold=fold)
    if zone is None:
        return moment
    local = moment.replace(tzinfo=ZoneInfo(zone))
    # Where the rules of the zone are others than at the sender, the instant is kept.
    return local if local.utcoffset() == moment.utcoffset() else moment.astimezone(ZoneInfo(zone))


def _read_time(v: str, zone: str | None = None, fold: int = 0) -> time:
    moment = time.fromisoformat(v).replace(fold=fold)
    return moment if zone is None else moment.replace(tzinfo=ZoneInfo(zone))


def _read_timedelta(v: list[int]) -> timedelta:
    days, seconds, microseconds = (_checked(part, int) for part in _checked(v, list))
    return timedelta(days, seconds, microseconds)


def _reader(kind: type, make: Callable[[Any], Any]) -> Callable[..., Any]:
    """Return the reader of values that are written as one value of type `kind`."""

    def reader(v: Any) -> Any:
        return make(_checked(v, kind))

    return reader


def _checked(item: Any, kind: type) -> Any:
    if type(item) is not kind:
        raise TypeError
    return item


_READERS: Mapping[str, Callable[..., Any]] = {
    "bytes": _reader(str, lambda v: b64decode(v, validate=True)),
    "date": _reader(str, date.fromisoformat),
    "datetime": _read_datetime,
    "decimal": _reader(str, Decimal),
    "dict": _read_dict,
    "float": _read_float,
    "frozenset": _reader(list, frozenset),
    "set": _reader(list, set),
    "time": _read_time,
    "timedelta": _read_timedelta,
    "tuple": _reader(list, tuple),
    "uuid": _reader(str, UUID),
}


def shown(item: Any) -> str:
    """Return the beginning of `item`, for a message."""
    text = repr(item)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


# Nesting

_CONTAINERS = frozenset({list, dict, tuple, set, frozenset})


def is_deeper(item: Any, levels: int) -> bool:
    """Return whether `item` has containers in more than `levels` levels."""
    level = [item]
    for _ in range(levels):
        level = [part for whole in level for part in _parts(whole) if type(part) in _CONTAINERS]
        if not level:
            return False
    return True


def _parts(whole: Any) -> Iterable[Any]:
    return (*whole.keys(), *whole.values()) if type(whole) is dict else whole
