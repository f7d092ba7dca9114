"""The envelope: one call, or one value, as JSON with typed values.

    {"v": 1, "args": [...], "kwargs": {...}, "meta": {...}}

Every part may be missing, so that a client in any language can write
``{"args": [1]}``; an empty payload is a call without arguments.

The rule of the values: what arrives equals what was sent, type included, and
what would not is refused at the caller with the path to it. JSON's own values
are written as they are; `typed` says how the others are.

Most calls hold nothing but JSON's own values, so these go to the C encoder
after a look at their types only. Where that encoder stumbles (a NaN, a lone
surrogate, an integer too long to print), the careful way finds out where.

`packing` puts the envelope into a job: signed, compressed, within its limits.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from gearfleet.errors import PayloadDecodeError, PayloadEncodeError
from gearfleet.tasks import typed
from gearfleet.tasks.meta import Meta, read_meta, usual_meta
from gearfleet.tasks.typed import CAREFUL, FAST, Refused, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

VERSION = 1

_PARTS = frozenset({"v", "args", "kwargs", "meta"})
_TEXT = frozenset({str})

#: What stands around the arguments of a usual call: from the last bracket of theirs on, its
#: id and the moment.
_BEFORE = f'{{"v":{VERSION},"args":'
_AFTER = re.compile(
    r'\],"kwargs":\{\},"meta":\{"id":"([0-9A-Za-z]+)","enqueued_at":([1-9][0-9]{0,14}\.[0-9]+)\}\}'
).fullmatch

#: The envelope itself is one level.
_LEVELS = typed.MAX_NESTING + 1
#: So few bytes cannot be nested too deep.
_SHORT = 2 * _LEVELS
_TOO_DEEP = f"it is nested more than {typed.MAX_NESTING} levels deep"


class Call(NamedTuple):
    """What a payload holds; `meta` is None where a foreign client sent none."""

    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    meta: Meta | None = None


def encode_call(
    args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None, meta: Meta | None = None
) -> bytes:
    """Return the payload of a call.

    Raises:
        PayloadEncodeError: (a TypeError) an argument cannot be sent; the
            message has its path, such as ``args[0]['when']``.
    """
    positional, named = tuple(args), dict(kwargs or ())
    if not named and meta is not None and (usual := usual_call(positional, meta.brief())):
        return usual
    if named and not _TEXT.issuperset(map(type, named)):
        raise PayloadEncodeError("kwargs has a key that is no text, so no name of an argument")
    return _encode(lambda scalars: _envelope(positional, named, meta, scalars))


def usual_call(args: Sequence[Any], brief: str) -> bytes:
    """Return the payload of a call by position, as `encode_call` does; nothing if it is not usual.

    `brief` is the meta as JSON. Usual is a call with values only that JSON itself has a word
    for, and none that holds others.
    """
    if not brief or not FAST.issuperset(map(type, args)):
        return b""
    try:
        return f'{_BEFORE}{_to_json(tuple(args))},"kwargs":{{}},"meta":{brief}}}'.encode()
    except ValueError:  # a NaN, a lone surrogate: they are written in another way
        return b""


def _envelope(
    args: Sequence[Any], kwargs: Mapping[str, Any], meta: Meta | None, scalars: typed.Scalars
) -> str:
    parts = f'"v":{VERSION},"args":{_to_json(_at("args", typed.write_array, args, scalars))}'
    named = _to_json(_at("kwargs", typed.write_object, kwargs, scalars)) if kwargs else "{}"
    if meta is None:
        return f'{{{parts},"kwargs":{named}}}'
    return f'{{{parts},"kwargs":{named},"meta":{meta.brief() or _to_json(meta.told())}}}'


def decode_call(data: bytes) -> Call:
    """Return the call that `data` holds.

    Raises:
        PayloadDecodeError: it holds none; the message says why, briefly.
    """
    if not data:
        return Call((), {})
    return _read_usual(data) or _read_any(data)


def _read_usual(data: bytes) -> Call | None:
    """Return the call that `usual_call` has written, None if it has not.

    Its arguments are read where they stand, and what is around them only has to be there.
    """
    if b"$" in data or b"\\" in data or (len(data) > _SHORT and _may_be_deep(data)):
        return None  # there may be a tag
    try:
        text = data.decode()
        if not text.startswith(_BEFORE):
            return None
        args, end = _plain.scan_once(text, len(_BEFORE))
    except (ValueError, StopIteration, RecursionError, Refused):
        return None
    told = _AFTER(text, end - 1)
    if told is None:
        return None
    job, moment = told.groups()
    return Call(tuple(args), {}, usual_meta(job, float(moment)))


def _read_any(data: bytes) -> Call:
    envelope = _decode(data)
    if type(envelope) is not dict:
        _refuse(f'it must be an object such as {{"args": [1]}}, not {shown(data[:50])}')
    if not _PARTS.issuperset(envelope):
        unknown = next(part for part in envelope if part not in _PARTS)
        _refuse(f"unknown part {shown(unknown)}; there are 'args', 'kwargs', 'meta' and 'v'")
    if type(version := envelope.get("v", VERSION)) is not int or version != VERSION:
        _refuse(f"it is of version {shown(version)}; this gearfleet reads version {VERSION}")
    args, kwargs = envelope.get("args", []), envelope.get("kwargs", {})
    if type(args) is not list:
        _refuse("'args' must be a list")
    if type(kwargs) is not dict or (kwargs and not _TEXT.issuperset(map(type, kwargs))):
        _refuse("'kwargs' must be an object")
    table = envelope.get("meta")
    return Call(tuple(args), kwargs, None if table is None else read_meta(table))


def encode_value(value: Any) -> bytes:
    """Return the bytes of a result, or raise `PayloadEncodeError` with the path to what is wrong."""
    if value is None:
        return b"null"
    if type(value) in FAST:
        try:
            return _to_json(value).encode()
        except ValueError:  # it is written in another way, or not at all
            pass
    return _encode(lambda scalars: _to_json(_at("result", typed.write, value, scalars)))


def encode_plain(value: Any) -> bytes:
    """Return what `encode_value` does of lists and tuples, as lists, of the types of `FAST`.

    Raises:
        ValueError: some of them, such as a NaN, are written in another way or not at all.
    """
    return _to_json(value).encode()


def decode_value(data: bytes) -> Any:
    """Return the result that `data` holds, or raise `PayloadDecodeError`."""
    return _decode(data)


def encode_json(value: Any, name: str) -> bytes:
    """Return `value` as JSON without tags, or raise `PayloadEncodeError` with the path from `name`.

    Only JSON's own values have such a form that arrives equal.
    """
    try:
        _at(name, typed.check_plain, value)
        return _to_json(value).encode()
    except Refused as refused:
        raise PayloadEncodeError(str(refused)) from None
    except ValueError as error:
        raise PayloadEncodeError(f"{name} is no JSON: {error}") from None


def decode_json(data: bytes) -> Any:
    """Return the value of JSON text in which ``$t`` means nothing, or raise `PayloadDecodeError`."""
    return _decode(data, is_tagged=False)


def _encoder() -> Callable[[Any], str]:
    """Return what writes a value as JSON text without any white space.

    `json.JSONEncoder.encode` makes an encoder in C for each value, which takes longer than
    what that does for a short one; so one is made here, where Python has it.
    """
    encoder = json.JSONEncoder(
        ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":")
    )
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return encoder.encode
    text = json.encoder.encode_basestring
    chunks_of = make(None, encoder.default, text, None, ":", ",", False, False, False)
    return lambda value: "".join(chunks_of(value, 0))


_to_json = _encoder()


def _at(name: str, write: Callable[..., Any], value: Any, *more: Any) -> Any:
    try:
        return write(value, *more)
    except Refused as refused:
        refused.path.append(name)
        raise


def _encode(text_of: Callable[[typed.Scalars], str]) -> bytes:
    """Encode what `text_of` makes, the fast way if that works, else the careful way."""
    try:
        try:
            return text_of(FAST).encode()
        except ValueError:
            return text_of(CAREFUL).encode()
    except Refused as refused:
        raise PayloadEncodeError(str(refused)) from None
    except RecursionError:
        raise PayloadEncodeError("The stack is too full to encode the payload") from None


def _decode(data: bytes, *, is_tagged: bool = True) -> Any:
    # To look for one byte takes a tenth of the time that a longer search does.
    is_suspect = is_tagged and (b"$" in data or b"\\" in data)
    decoder = _tagged if is_suspect and _may_be_tagged(data) else _plain
    try:
        text = data.decode()
        try:
            # Most often there is no white space around it: to look for some is half of the time.
            value, end = decoder.scan_once(text, 0)
        except (ValueError, StopIteration):
            end = -1
        if end != len(text):
            value = decoder.decode(text)
    except Refused as refused:
        _refuse(str(refused))
    except RecursionError:
        _refuse(_TOO_DEEP)
    except ValueError as error:
        _refuse(f"{error}: {shown(data[:50])}")
    if len(data) > _SHORT and _may_be_deep(data) and typed.is_deeper(value, _LEVELS):
        _refuse(_TOO_DEEP)
    return value


def _may_be_deep(data: bytes) -> bool:
    return data.count(b"[") + data.count(b"{") > _LEVELS


def _may_be_tagged(data: bytes) -> bool:
    """Return whether the tag's `$` is there, as itself or as an escape."""
    return b'"$' in data or b"\\u0024" in data


def _refuse_constant(name: str) -> NoReturn:
    raise Refused(f"{name} is not JSON")


_plain: Any = json.JSONDecoder(parse_constant=_refuse_constant)
_tagged: Any = json.JSONDecoder(parse_constant=_refuse_constant, object_hook=typed.read_object)


def _refuse(reason: str) -> NoReturn:
    raise PayloadDecodeError(f"The payload cannot be read: {reason}") from None
