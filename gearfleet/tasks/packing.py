r"""`Packing`: payloads as they travel, signed and compressed as the settings want.

A payload of gearfleet's own client, unless it is a plain envelope, begins with a
line that says how to read the rest:

    gearfleet/1 CODEC[+zlib] SIGNATURE[ META]\n
    body

SIGNATURE is ``-`` or that of ``gearfleet/1 CODEC[+zlib] FUNCTION META\n`` and the
body, so a payload counts for one function only, and for its delayed jobs. META is
that of the envelope, in JSON, for the codecs whose body has no room for it.

Nothing of a payload is decompressed, decoded or believed before its signature is
verified. A worker that has keys takes no unsigned job, unless its task is open to
all (``signed=False``): that gets the arguments and none of the meta, because
what follows a job, and under whose id it is remembered, is for the trusted to say.
"""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Self

from gearfleet.config.settings import DEFAULT_MAX_PAYLOAD_BYTES
from gearfleet.errors import BadSignature, ConfigError, PayloadDecodeError, PayloadEncodeError
from gearfleet.tasks.codecs import CODECS
from gearfleet.tasks.meta import read_meta
from gearfleet.tasks.payload import Call, decode_call, encode_call
from gearfleet.tasks.signing import LENGTH, Keyring
from gearfleet.tasks.typed import shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from gearfleet.config import Settings
    from gearfleet.tasks.codecs import CodecName
    from gearfleet.tasks.meta import Meta
    from gearfleet.tasks.signing import Seal

_MAGIC = b"gearfleet/1 "
_UNSIGNED = b"-"
_ENVELOPE = b"envelope"
_ZLIB = b"+zlib"

#: How a signed plain envelope begins; its signature and its body have their places after it.
_SIGNED = b"%s%s " % (_MAGIC, _ENVELOPE)
_SIGNATURE = slice(len(_SIGNED), len(_SIGNED) + LENGTH)
_BODY = _SIGNATURE.stop + len(b"\n")
_NEWLINE = slice(_BODY - 1, _BODY)

#: How our own client's plain envelope begins.
_OURS = b'{"v":1,"args":'


class Terms(NamedTuple):
    """What payloads of one task look like.

    Attributes:
        function: of the task, also for jobs that are queued under another one, for later.
        codec: that its jobs are written in; each task reads our own envelope too.
        signed: True takes no unsigned job, False takes jobs of everybody, None takes
            unsigned jobs where there is no key.
    """

    function: str
    codec: CodecName = "envelope"
    signed: bool | None = None

    @property
    def needs_key(self) -> bool:
        """Whether jobs cannot do without a signature."""
        return self.signed is True or self.codec == "pickle"

    @property
    def reason(self) -> str:
        """Why, as an addition to a sentence."""
        return ", because its codec is 'pickle'" if self.codec == "pickle" else ""


class Packing:
    """Puts calls and results into bytes, and takes calls out of them."""

    def __init__(
        self,
        keyring: Keyring | None = None,
        *,
        compress_above: int = 0,
        max_bytes: int = DEFAULT_MAX_PAYLOAD_BYTES,
    ) -> None:
        """Sign and verify with `keyring`; None neither signs nor verifies.

        Args:
            keyring: of the settings.
            compress_above: bytes of a payload from which on it is compressed; 0 for never.
            max_bytes: of a payload, before it is compressed, and of a result.
        """
        self._keyring = keyring
        self._compress_above = compress_above
        self._max_bytes = max_bytes

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the packing of a project's clients and workers."""
        keys = settings.signing_keys
        return cls(
            Keyring(keys) if keys else None,
            compress_above=settings.compress_above,
            max_bytes=settings.max_payload_bytes,
        )

    def pack(self, call: Call, terms: Terms) -> bytes:
        """Return the payload of a job; it is signed if there is a key, unless `signed` is False.

        Raises:
            PayloadEncodeError: (a TypeError) an argument cannot be sent; names its path.
            ConfigError: it has to be signed, and there is no key.
        """
        return self.packer(terms)(call)

    def packer(self, terms: Terms) -> Callable[[Call], bytes]:
        """Return what does as `pack` for all jobs of these terms, which it has looked at."""
        codec, wrap = terms.codec, self.wrapper(terms)
        return lambda call: wrap(*_write(call, codec))

    def wrapper(self, terms: Terms) -> Callable[[bytes, bytes], bytes]:
        """Return what makes a payload of what the header tells of the meta, and of the body.

        It raises as `pack` does.
        """
        max_bytes, compress_above = self._max_bytes, self._compress_above
        how = terms.codec.encode()
        is_signed = self._keyring is not None and terms.signed is not False
        sign = self._envelopes(terms.function).sign if is_signed and how == _ENVELOPE else None

        def wrap(told: bytes, body: bytes) -> bytes:
            size = len(body)
            if size > max_bytes:
                self._refuse_to_send(body, "payload")
            if 0 < compress_above < size:
                return self._signed(zlib.compress(body, 1), how + _ZLIB, told, terms)
            if sign is not None:
                return b"%s%s\n%s" % (_SIGNED, sign(body), body)
            return self._signed(body, how, told, terms)

        return wrap

    def _signed(self, body: bytes, how: bytes, told: bytes, terms: Terms) -> bytes:
        if self._keyring is None or terms.signed is False:
            self.refuse_without_key(terms)
            return body if how == _ENVELOPE else _header(how, _UNSIGNED, told) + body
        signature = self._keyring.seal(_covered(how, terms.function, told)).sign(body)
        return _header(how, signature, told) + body

    def unpack(self, data: bytes, terms: Terms) -> Call:
        """Return the call that the payload of a job holds.

        Raises:
            BadSignature: it is not signed, or not by us, or not for this function.
            PayloadDecodeError: it cannot be read; the message says why, briefly.
        """
        return self.unpacker(terms)(data)

    def unpacker(self, terms: Terms) -> Callable[[bytes], Call]:
        """Return what does as `unpack` for all jobs of these terms.

        Nearly every payload is a signed plain envelope, every part of which is where it has to
        be. What is not quite so is read by `_unpack_any`, or refused with the reason.
        """
        if self._keyring is None:
            return lambda data: self._unpack_any(data, terms)
        verify, max_bytes = self._envelopes(terms.function).verify, _BODY + self._max_bytes

        def unpack(data: bytes) -> Call:
            if (
                data.startswith(_SIGNED)
                and data[_NEWLINE] == b"\n"
                and len(data) <= max_bytes
                and verify(data[_SIGNATURE], body := data[_BODY:])
            ):
                return decode_call(body)
            return self._unpack_any(data, terms)

        return unpack

    def _envelopes(self, function: str) -> Seal:
        """Return the seal of plain envelopes for `function`."""
        assert self._keyring is not None
        return self._keyring.seal(_covered(_ENVELOPE, function, b""))

    def _unpack_any(self, data: bytes, terms: Terms) -> Call:
        if not data.startswith(_MAGIC):
            self._bound(data)
            self._check_unverified(_UNSIGNED, terms)
            is_ours = terms.codec != "envelope" and _is_own_envelope(data)
            return self._believed(_read(data, "envelope" if is_ours else terms.codec, b""))
        how, signature, told, body = _split(data)
        self._bound(body)
        codec = _codec_of(how, terms)
        is_verified = self._is_signed(signature, _covered(how, terms.function, told), body)
        if not is_verified:
            self._check_unverified(signature, terms)
        if how.endswith(_ZLIB):
            body = self._decompress(body)
        call = _read(body, codec, told)
        return call if is_verified else self._believed(call)

    def result_packer(self, codec: CodecName = "envelope") -> Callable[[Any], bytes]:
        """Return what makes the bytes of a result.

        It raises `PayloadEncodeError` with the path to what is wrong.
        """
        encode, max_bytes = CODECS[codec].encode_result, self._max_bytes

        def pack(value: Any) -> bytes:
            data = encode(value)
            if len(data) > max_bytes:
                self._refuse_to_send(data, "result")
            return data

        return pack

    def refuse_without_key(self, terms: Terms) -> None:
        """Raise `ConfigError` if jobs of these terms have to be signed and there is no key."""
        if terms.needs_key and self._keyring is None:
            raise ConfigError(
                f"A job of {terms.function} has to be signed{terms.reason}: set 'signing_keys'"
            )

    def _is_signed(self, signature: bytes, start: bytes, body: bytes) -> bool:
        if self._keyring is None or len(signature) != LENGTH:
            return False
        return self._keyring.seal(start).verify(signature, body)

    def _check_unverified(self, signature: bytes, terms: Terms) -> None:
        """Raise unless a job may be taken whose signature is missing or does not fit."""
        if terms.needs_key or (self._keyring is not None and terms.signed is not False):
            raise BadSignature(self._why_refused(signature, terms))

    def _why_refused(self, signature: bytes, terms: Terms) -> str:
        function = terms.function
        if self._keyring is None:
            return (
                f"{function} takes only signed jobs{terms.reason}, and this worker has no key to "
                "verify one with: set 'signing_keys'"
            )
        if signature == _UNSIGNED:
            open_it = ", or declare the task with signed=False to take jobs of everybody"
            return (
                f"The job is not signed: give its client the 'signing_keys' of the workers of "
                f"{function}{'' if terms.needs_key else open_it}"
            )
        return (
            f"The signature does not fit {function}: its client has other 'signing_keys' than this "
            "worker, or the payload was changed, or made for another function"
        )

    def _believed(self, call: Call) -> Call:
        """Return what is believed of a call that is not verified."""
        return call if self._keyring is None else call._replace(meta=None)

    def _decompress(self, body: bytes) -> bytes:
        reader = zlib.decompressobj()
        try:
            data = reader.decompress(body, self._max_bytes + 1)
        except zlib.error as error:
            raise PayloadDecodeError(f"The payload cannot be decompressed: {error}") from None
        if len(data) > self._max_bytes:
            self._refuse_size("more bytes when it is decompressed")
        if not reader.eof or reader.unused_data:
            raise PayloadDecodeError("The payload cannot be decompressed: it is cut, or too long")
        return data

    def _refuse_to_send(self, data: bytes, kind: str) -> NoReturn:
        raise PayloadEncodeError(
            f"The {kind} has {len(data)} bytes, and the setting 'max_payload_bytes' allows "
            f"{self._max_bytes}; put the data into a file or a store and send its name"
        )

    def _bound(self, body: bytes) -> None:
        if len(body) > self._max_bytes:
            self._refuse_size(f"{len(body)} bytes")

    def _refuse_size(self, size: str) -> NoReturn:
        raise PayloadDecodeError(
            f"The payload cannot be read: it has {size}, and the setting 'max_payload_bytes' allows "
            f"{self._max_bytes}"
        )


def _codec_of(how: bytes, terms: Terms) -> str:
    if how == _ENVELOPE:
        return "envelope"
    codec = how.removesuffix(_ZLIB).decode("ascii", "replace")
    if codec not in (terms.codec, "envelope"):
        raise PayloadDecodeError(
            f"The payload cannot be read: it is written as {shown(codec)}, and {terms.function} "
            f"reads '{terms.codec}'"
        )
    return codec


def _covered(how: bytes, function: str, told: bytes) -> bytes:
    """Return what a signature covers before the body; no part of it has white space but `told`."""
    return b"%s%s %s %s\n" % (_MAGIC, how, function.encode(), told)


def _header(how: bytes, signature: bytes, told: bytes) -> bytes:
    return b"%s%s %s%s\n" % (_MAGIC, how, signature, b" " + told if told else b"")


def _split(data: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """Return the codec, the signature, the meta and the body of a payload with a header."""
    header, newline, body = data.partition(b"\n")
    fields = header[len(_MAGIC) :].split(b" ", 2)
    if not newline or len(fields) < 2:
        raise PayloadDecodeError(
            f"The payload cannot be read: its first line is {shown(header[:100])}"
        )
    return fields[0], fields[1], fields[2] if len(fields) > 2 else b"", body


def _write(call: Call, codec: CodecName) -> tuple[bytes, bytes]:
    """Return what the header tells of the meta, and the body."""
    args, kwargs, meta = call
    if codec == "envelope":
        return b"", encode_call(args, kwargs, meta)
    told = "" if meta is None else json.dumps(meta.told(), separators=(",", ":"))
    return told.encode(), CODECS[codec].encode(args, kwargs)


def _read(body: bytes, codec: str, told: bytes) -> Call:
    if codec == "envelope":
        return decode_call(body)
    args, kwargs = CODECS[codec].decode(body)
    return Call(tuple(args), kwargs, _read_told(told) if told else None)


def _read_told(told: bytes) -> Meta:
    try:
        table = json.loads(told)
    except (ValueError, RecursionError):
        table = None
    return read_meta(table)


def _is_own_envelope(data: bytes) -> bool:
    """Return whether a client of ours, which did not know the task's codec, has written `data`.

    It had only the name of the task, and nothing to sign with.
    """
    if not data.startswith(_OURS):
        return False
    try:
        return decode_call(data).meta is not None
    except PayloadDecodeError:
        return False
