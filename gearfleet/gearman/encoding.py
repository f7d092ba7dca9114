"""How the values of users become the payloads of jobs, and the other way round."""

from __future__ import annotations

from typing import Any


class DataEncoder:
    """Base of data encoders: override both methods, set it as `data_encoder` of a subclass."""

    @classmethod
    def encode(cls, encodable_object: Any) -> bytes:
        """Return the payload for a value; text is sent as UTF-8."""
        raise NotImplementedError

    @classmethod
    def decode(cls, decodable_string: bytes) -> Any:
        """Return the value of a payload."""
        raise NotImplementedError


class NoopEncoder(DataEncoder):
    """Bytes in, bytes out: anything else is a TypeError."""

    @classmethod
    def encode(cls, encodable_object: Any) -> bytes:
        if isinstance(encodable_object, bytes):
            return encodable_object
        if isinstance(encodable_object, bytearray | memoryview):
            return bytes(encodable_object)
        raise TypeError(
            f"Expecting byte string, got {type(encodable_object).__name__}: "
            "encode it first (text.encode(), json.dumps(...).encode()), or set data_encoder"
        )

    @classmethod
    def decode(cls, decodable_string: bytes) -> bytes:
        return decodable_string


def encode_with(encoder: type[DataEncoder], value: Any) -> bytes:
    """Return the payload that `encoder` makes of `value`.

    Encoders written for Python 2 return text (`json.dumps`); it goes as UTF-8.
    """
    encoded: Any = encoder.encode(value)
    return encoded.encode() if isinstance(encoded, str) else NoopEncoder.encode(encoded)
