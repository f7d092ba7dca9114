"""What python-gearman's classes need to carry typed values: a request, and an encoder."""

from __future__ import annotations

from typing import Any

from gearfleet.gearman import DataEncoder
from gearfleet.gearman import GearmanJobRequest as BytesRequest
from gearfleet.gearman.encoding import NoopEncoder
from gearfleet.gearman.jobs import JOB_COMPLETE
from gearfleet.tasks.payload import decode_value, encode_value


class GearmanJobRequest(BytesRequest):
    """A request; as text, a complete one is its result, as the originals' READMEs print it."""

    __slots__ = ()

    def __str__(self) -> str:
        is_complete = self.state == JOB_COMPLETE and not self.background
        return str(self.result) if is_complete else repr(self)


class TypedEncoder(NoopEncoder):
    """Results as values; a payload is bytes already, because its signature needs the function."""

    @classmethod
    def decode(cls, decodable_string: bytes) -> Any:
        """Return the result that a worker sent."""
        return decode_value(decodable_string)


class ResultEncoder(DataEncoder):
    """The worker's side of it: its jobs are decoded before, its results are values."""

    @classmethod
    def encode(cls, encodable_object: Any) -> bytes:
        """Return the bytes of a result."""
        return encode_value(encodable_object)

    @classmethod
    def decode(cls, decodable_string: Any) -> Any:
        """Return the arguments as they are."""
        return decodable_string
