"""Codecs: how the arguments of a task, and its result, become bytes.

    envelope    any arguments and results that `typed` can carry; the default
    json        one argument and one result, each a value of plain JSON
    raw         one argument and one result, each bytes
    pickle      any arguments that pickle can carry; the result as in the envelope

``json`` and ``raw`` are for tasks that programs in other languages call. A
pickle runs code when it is read, so it is read only where a key of ours has
signed it; a result comes unsigned, so it is never one.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from gearfleet.errors import JobInterrupted, PayloadDecodeError, PayloadEncodeError
from gearfleet.tasks.payload import (
    decode_call,
    decode_json,
    decode_value,
    encode_call,
    encode_json,
    encode_value,
)

if TYPE_CHECKING:
    from collections.abc import Callable

CodecName = Literal["envelope", "json", "raw", "pickle"]
CODEC_NAMES: tuple[CodecName, ...] = get_args(CodecName)

Arguments = tuple[Sequence[Any], Mapping[str, Any]]


class Codec(NamedTuple):
    """The four ways between values and bytes; each raises a `PayloadError` that says why not."""

    encode: Callable[[Sequence[Any], Mapping[str, Any]], bytes]
    decode: Callable[[bytes], Arguments]
    encode_result: Callable[[Any], bytes]
    decode_result: Callable[[bytes], Any]


def _only(args: Sequence[Any], kwargs: Mapping[str, Any], codec: str) -> Any:
    if len(args) != 1 or kwargs:
        raise PayloadEncodeError(
            f"A task with codec '{codec}' takes one positional argument; "
            f"there are {len(args)}, and {len(kwargs)} by name"
        )
    return args[0]


def _encode_json(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bytes:
    return encode_json(_only(args, kwargs, "json"), "args[0]")


def _decode_json(data: bytes) -> Arguments:
    return ((decode_json(data),) if data else ()), {}


def _encode_json_result(value: Any) -> bytes:
    return encode_json(value, "result")


def _encode_raw(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bytes:
    return _raw(_only(args, kwargs, "raw"), "args[0]")


def _encode_raw_result(value: Any) -> bytes:
    return b"" if value is None else _raw(value, "result")


def _raw(value: Any, name: str) -> bytes:
    if not isinstance(value, bytes):
        raise PayloadEncodeError(
            f"{name} is of type {type(value).__qualname__}; codec 'raw' takes bytes"
        )
    return value


def _decode_raw(data: bytes) -> Arguments:
    return (data,), {}


def _encode_pickle(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bytes:
    try:
        return pickle.dumps({"args": tuple(args), "kwargs": dict(kwargs)}, protocol=5)
    except Exception as error:
        raise PayloadEncodeError(
            f"The arguments cannot be pickled: {type(error).__name__}: {error}"
        ) from error


def _decode_pickle(data: bytes) -> Arguments:
    try:
        table = pickle.loads(data)
        return tuple(table["args"]), dict(table["kwargs"])
    except JobInterrupted:
        raise
    except BaseException as error:  # a class may do anything when one of its objects is made
        raise PayloadDecodeError(
            f"The payload cannot be unpickled: {type(error).__name__}: {error}"
        ) from error


def _decode_envelope(data: bytes) -> Arguments:
    call = decode_call(data)
    return call.args, call.kwargs


CODECS: Mapping[str, Codec] = {
    "envelope": Codec(encode_call, _decode_envelope, encode_value, decode_value),
    "json": Codec(_encode_json, _decode_json, _encode_json_result, decode_json),
    "raw": Codec(_encode_raw, _decode_raw, _encode_raw_result, bytes),
    "pickle": Codec(_encode_pickle, _decode_pickle, encode_value, decode_value),
}
