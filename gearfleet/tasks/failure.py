"""What the caller of a failed job is told: type, message and traceback of the exception.

On the wire it is one JSON object of three texts, in WORK_EXCEPTION, so that a
client in any language can show it. What arrives may come from any worker;
whatever it is, it becomes a `Failure` that can be shown.
"""

from __future__ import annotations

import json
from traceback import TracebackException, format_tb
from typing import NamedTuple

from gearfleet.errors import JobInterrupted

# A caller reads these; nobody reads more. A message may hold a whole document,
# and a traceback through a template engine has hundreds of frames.
MAX_MESSAGE_CHARACTERS = 4_000
MAX_TRACEBACK_CHARACTERS = 16_000


class Failure(NamedTuple):
    """Why a job failed.

    Attributes:
        type: of the exception, such as ``ValueError`` or ``shop.errors.OutOfStock``;
            empty where the worker did not say.
        message: what the exception says.
        traceback: as Python prints it; empty where there is none.
    """

    type: str
    message: str
    traceback: str = ""

    def __str__(self) -> str:
        return f"{self.type}: {self.message}" if self.type and self.message else self._one_of_both

    @property
    def _one_of_both(self) -> str:
        return self.type or self.message or "no reason given"


def describe(error: BaseException) -> Failure:
    """Return the `Failure` that tells of `error`.

    Nothing that an exception does (a `__str__` or notes that raise, text that is
    no valid Unicode) makes this fail.
    """
    try:
        told = TracebackException.from_exception(error, compact=True)
        message, trace = str(told), "".join(told.format())
    except JobInterrupted:
        raise
    except BaseException as untold:  # of its notes, for instance, when they are read
        message = f"what it says cannot be read: {type(untold).__name__}"
        trace = "".join(format_tb(error.__traceback__))
    return Failure(
        type=_type_name(type(error)),
        message=_cut(message, MAX_MESSAGE_CHARACTERS),
        traceback=_cut(trace, MAX_TRACEBACK_CHARACTERS),
    )


def encode_failure(failure: Failure) -> bytes:
    """Return the JSON text of `failure`, in ASCII."""
    return json.dumps(failure._asdict()).encode("ascii")


def decode_failure(data: bytes) -> Failure:
    """Return the `Failure` that `data` tells of; what is not our JSON becomes its message."""
    try:
        table = json.loads(data)
    except (ValueError, RecursionError):
        table = None
    if isinstance(table, dict) and isinstance(table.get("type"), str):
        return Failure(
            type=table["type"],
            message=str(table.get("message", "")),
            traceback=str(table.get("traceback", "")),
        )
    return Failure(type="", message=data.decode("utf-8", "backslashreplace"))


def _type_name(kind: type) -> str:
    # Not `kind.__qualname__`: a metaclass may answer that with anything.
    module, name = (type.__getattribute__(kind, each) for each in ("__module__", "__qualname__"))
    return str(name) if module == "builtins" else f"{module}.{name}"


def _cut(text: str, limit: int) -> str:
    """Return `text`, long ones without their middle: the ends say what and where."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[-half:]}"
