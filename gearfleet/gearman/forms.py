"""Submits that are not one of the six of priority and background.

The job server runs a job of either form with normal priority. Both are values
that a request carries, so that it can be submitted again after a lost connection.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from gearfleet.errors import LocalProtocolError
from gearfleet.gearman.jobs import PRIORITY_NONE, to_bytes
from gearfleet.gearman.protocol import Command, check_function_name, encode

if TYPE_CHECKING:
    from gearfleet.gearman.jobs import GearmanJobRequest

# gearmand reads any number as seconds. Milliseconds would silently mean the year
# 58,000, and a delay such as 60 the year 1970, which is at once.
_EARLIEST = 10**9  # September 2001
_LATEST = 10**11  # the year 5138


class RunAt(NamedTuple):
    """SUBMIT_JOB_EPOCH: the job server holds the job until then, by its own clock."""

    epoch: int

    @classmethod
    def of(cls, when: datetime | float) -> RunAt:
        """Return the form for an aware datetime or seconds since the epoch, rounded up.

        Raises:
            LocalProtocolError: (a ValueError) a naive datetime, a delay, milliseconds.
            TypeError: neither a datetime nor a number.
        """
        seconds = _seconds(when)
        if not math.isfinite(seconds) or seconds >= _LATEST:
            raise LocalProtocolError(
                f"when_to_run is {when!r}, which is no time in seconds since the epoch; "
                "divide milliseconds by 1000"
            )
        if seconds < _EARLIEST:
            raise LocalProtocolError(
                f"when_to_run is {when!r}, long past; is it a delay? Use time.time() + seconds"
            )
        return cls(math.ceil(seconds))

    def encode(
        self, request: GearmanJobRequest, function: bytes, unique: bytes, data: bytes
    ) -> bytes:
        """Return the packet of the submit."""
        if not request.background or request.priority is not PRIORITY_NONE:
            raise LocalProtocolError(
                f"A job with when_to_run is a background job of normal priority, "
                f"{request.gearman_job.task} is not; use background=True and PRIORITY_NONE"
            )
        return encode(Command.SUBMIT_JOB_EPOCH, function, unique, b"%d" % self.epoch, data)


class Reduce(NamedTuple):
    """SUBMIT_REDUCE_JOB: workers that understand it give the results to the function `reducer`.

    The PROTOCOL document forgets the flag between the reducer and the data, and
    gearmand kills a connection that does so too (reference "gearmand", section 3).
    """

    reducer: str
    aggregate: bool = False

    @classmethod
    def of(cls, reducer: str, aggregate: bool) -> Reduce:
        """Return the form, or raise `LocalProtocolError` for a reducer that no function can be."""
        check_function_name(to_bytes(reducer))
        return cls(reducer, aggregate)

    def encode(
        self, request: GearmanJobRequest, function: bytes, unique: bytes, data: bytes
    ) -> bytes:
        """Return the packet of the submit."""
        if request.priority is not PRIORITY_NONE:
            raise LocalProtocolError(
                f"A reduce job has normal priority, {request.gearman_job.task} has "
                f"{request.priority!r}; use PRIORITY_NONE"
            )
        command = (
            Command.SUBMIT_REDUCE_JOB_BACKGROUND
            if request.background
            else Command.SUBMIT_REDUCE_JOB
        )
        flag = b"1" if self.aggregate else b"0"
        return encode(command, function, unique, to_bytes(self.reducer), flag, data)


#: What `GearmanJobRequest.form` may be.
Form = RunAt | Reduce


def _seconds(when: datetime | float) -> float:
    if isinstance(when, int | float) and not isinstance(when, bool):
        return when
    if not isinstance(when, datetime):
        raise TypeError(
            f"when_to_run is an aware datetime or seconds since the epoch, got {when!r}"
        )
    if when.utcoffset() is None:
        raise LocalProtocolError(
            f"when_to_run is {when!r}, which has no time zone; "
            "use datetime.now(timezone.utc) + timedelta(...)"
        )
    return when.timestamp()
