"""The Gearman binary protocol without I/O: command table, packets, encoder, parser.

Rules of this module: it touches no socket, logs nothing, and every byte that
gearfleet sends is made by :func:`encode`, because one malformed packet hangs a
connection or ends gearmand (reference "gearmand", F12 and section 6). What a
peer sends is judged by :class:`PacketReader`, which raises `ProtocolError` and
nothing else.

The argument lists are those that gearmand 1.1.20 implements. They differ from
the PROTOCOL document for SUBMIT_REDUCE_JOB (four NULs before the data) and
STATUS_RES_UNIQUE (its first argument is the unique).
"""

from __future__ import annotations

import enum
import functools
import re
from operator import gt
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from gearfleet.errors import LocalProtocolError, ProtocolError, UnknownCommandError

if TYPE_CHECKING:
    from collections.abc import Iterator

REQUEST_MAGIC = b"\0REQ"
RESPONSE_MAGIC = b"\0RES"
HEADER_BYTES = 12
DEFAULT_PORT = 4730

#: gearmand takes 64 bytes and corrupts the payload of exactly 64 (F8).
MAX_UNIQUE_BYTES = 63
MAX_HANDLE_BYTES = 63
#: gearmand cuts a longer client id (command 22).
MAX_CLIENT_ID_BYTES = 127
#: libgearman refuses over 512, gearmand breaks above 8,100; 255 is the house limit.
MAX_FUNCTION_BYTES = 255
#: The size field is 32 bits wide. 512 MiB went through gearmand, at ten seconds.
MAX_BODY_BYTES = 512 * 1024 * 1024

_HEADER = Struct(">4sII")
_UNFIT_FOR_FUNCTION = re.compile(rb"[\x00-\x20\x7f]")


class Command(enum.IntEnum):
    """The command numbers; 5 is unused, 43 and above do not exist."""

    CAN_DO = 1
    CANT_DO = 2
    RESET_ABILITIES = 3
    PRE_SLEEP = 4
    NOOP = 6
    SUBMIT_JOB = 7
    JOB_CREATED = 8
    GRAB_JOB = 9
    NO_JOB = 10
    JOB_ASSIGN = 11
    WORK_STATUS = 12
    WORK_COMPLETE = 13
    WORK_FAIL = 14
    GET_STATUS = 15
    ECHO_REQ = 16
    ECHO_RES = 17
    SUBMIT_JOB_BG = 18
    ERROR = 19
    STATUS_RES = 20
    SUBMIT_JOB_HIGH = 21
    SET_CLIENT_ID = 22
    CAN_DO_TIMEOUT = 23
    ALL_YOURS = 24
    WORK_EXCEPTION = 25
    OPTION_REQ = 26
    OPTION_RES = 27
    WORK_DATA = 28
    WORK_WARNING = 29
    GRAB_JOB_UNIQ = 30
    JOB_ASSIGN_UNIQ = 31
    SUBMIT_JOB_HIGH_BG = 32
    SUBMIT_JOB_LOW = 33
    SUBMIT_JOB_LOW_BG = 34
    SUBMIT_JOB_SCHED = 35
    SUBMIT_JOB_EPOCH = 36
    SUBMIT_REDUCE_JOB = 37
    SUBMIT_REDUCE_JOB_BACKGROUND = 38
    GRAB_JOB_ALL = 39
    JOB_ASSIGN_ALL = 40
    GET_STATUS_UNIQUE = 41
    STATUS_RES_UNIQUE = 42


_C = Command
_SUBMIT = ("function", "unique", "data")
_REDUCE = ("function", "unique", "reducer", "aggregator", "data")
_WORK = ("handle", "data")

#: What each command carries, in order. An argument called "data" is last and
#: may hold NULs; every other one may not.
ARGUMENTS: dict[Command, tuple[str, ...]] = {
    _C.CAN_DO: ("function",),
    _C.CANT_DO: ("function",),
    _C.RESET_ABILITIES: (),
    _C.PRE_SLEEP: (),
    _C.NOOP: (),
    _C.SUBMIT_JOB: _SUBMIT,
    _C.JOB_CREATED: ("handle",),
    _C.GRAB_JOB: (),
    _C.NO_JOB: (),
    _C.JOB_ASSIGN: ("handle", "function", "data"),
    _C.WORK_STATUS: ("handle", "numerator", "denominator"),
    _C.WORK_COMPLETE: _WORK,
    _C.WORK_FAIL: ("handle",),
    _C.GET_STATUS: ("handle",),
    _C.ECHO_REQ: ("data",),
    _C.ECHO_RES: ("data",),
    _C.SUBMIT_JOB_BG: _SUBMIT,
    _C.ERROR: ("code", "data"),
    _C.STATUS_RES: ("handle", "known", "running", "numerator", "denominator"),
    _C.SUBMIT_JOB_HIGH: _SUBMIT,
    _C.SET_CLIENT_ID: ("client_id",),
    _C.CAN_DO_TIMEOUT: ("function", "timeout_ms"),
    _C.ALL_YOURS: (),
    _C.WORK_EXCEPTION: _WORK,
    _C.OPTION_REQ: ("option",),
    _C.OPTION_RES: ("option",),
    _C.WORK_DATA: _WORK,
    _C.WORK_WARNING: _WORK,
    _C.GRAB_JOB_UNIQ: (),
    _C.JOB_ASSIGN_UNIQ: ("handle", "function", "unique", "data"),
    _C.SUBMIT_JOB_HIGH_BG: _SUBMIT,
    _C.SUBMIT_JOB_LOW: _SUBMIT,
    _C.SUBMIT_JOB_LOW_BG: _SUBMIT,
    _C.SUBMIT_JOB_SCHED: (
        "function", "unique", "minute", "hour", "day", "month", "weekday", "data",
    ),
    _C.SUBMIT_JOB_EPOCH: ("function", "unique", "epoch", "data"),
    _C.SUBMIT_REDUCE_JOB: _REDUCE,
    _C.SUBMIT_REDUCE_JOB_BACKGROUND: _REDUCE,
    _C.GRAB_JOB_ALL: (),
    _C.JOB_ASSIGN_ALL: ("handle", "function", "unique", "reducer", "data"),
    _C.GET_STATUS_UNIQUE: ("unique",),
    _C.STATUS_RES_UNIQUE: ("unique", "known", "running", "numerator", "denominator", "waiting"),
}  # fmt: skip

#: What gearmand has removed, never had, or does in a way that harms jobs: why, and what to do instead.
NEVER_SENT: dict[Command, str] = {
    _C.CAN_DO_TIMEOUT: (
        "gearmand gives an overlong job to another worker instead of failing it, and its timer may "
        "hit an earlier job (F4); register the function without a limit and keep the limit in the worker"
    ),
    _C.ALL_YOURS: "gearmand refuses it; register the functions that the worker serves",
    _C.SUBMIT_JOB_SCHED: (
        "no gearmand has ever implemented it; submit with when_to_run, or from cron"
    ),
}

_COMMANDS: dict[int, tuple[Command, int]] = {
    int(command): (command, len(names)) for command, names in ARGUMENTS.items()
}

_LIMITS = {
    "function": MAX_FUNCTION_BYTES,
    "reducer": MAX_HANDLE_BYTES,
    "unique": MAX_UNIQUE_BYTES,
    "handle": MAX_HANDLE_BYTES,
    "client_id": MAX_CLIENT_ID_BYTES,
}


class Packet(NamedTuple):
    """One command with its arguments, in the order of `ARGUMENTS`."""

    command: Command
    args: tuple[bytes, ...] = ()

    def __repr__(self) -> str:
        """Name the command and show each argument, long ones cut."""
        shown = ", ".join(repr(arg if len(arg) <= 40 else arg[:40] + b"...") for arg in self.args)
        return f"<{self.command.name}({shown})>"


#: What `Packet(...)` does, without its call of a Python function for each packet.
_packet = tuple.__new__
_NO_LIMIT = MAX_BODY_BYTES


class _Shape(NamedTuple):
    """What `encode` checks of a command, computed once."""

    arity: int
    limits: tuple[int, ...]
    has_data: bool
    function_at: int | None


_SHAPES = {
    command: _Shape(
        len(names),
        tuple(_LIMITS.get(name, _NO_LIMIT) for name in names),
        "data" in names,
        names.index("function") if "function" in names else None,
    )
    for command, names in ARGUMENTS.items()
    if command not in NEVER_SENT
}
#: An enum's attribute costs a fifth of a microsecond in Python 3.11.
_SET_CLIENT_ID = Command.SET_CLIENT_ID
_WORK_COMPLETE = Command.WORK_COMPLETE
#: Names that are no longer than this together are within the limit of each.
_SHORT = min(_LIMITS.values())


def encode(command: Command, *args: bytes, response: bool = False) -> bytes:
    """Return the bytes of one packet, or raise `LocalProtocolError` if it would be malformed.

    Raises:
        LocalProtocolError: wrong number of arguments, a NUL where none may
            stand, a name that is too long or holds white space, a body over
            `MAX_BODY_BYTES`, or a command of `NEVER_SENT`.
    """
    shape = _SHAPES.get(command)
    if shape is None:
        raise _never_sent(command)
    count, limits, has_data, function_at = shape
    if len(args) != count:
        raise LocalProtocolError(f"{command.name} takes {count} arguments, got {len(args)}")
    body = b"\0".join(args)
    size = len(body)
    names_end = size - len(args[-1]) if has_data else size
    if names_end > _SHORT or size > MAX_BODY_BYTES:
        _check_lengths(command, args, limits, size)
    if function_at is not None:
        check_function_name(args[function_at])
    elif command is _SET_CLIENT_ID and len(args[0].split()) != 1:
        raise LocalProtocolError(f"A client id is one word without white space, got {args[0]!r}")
    # Each NUL before the data has to be one of our separators.
    if count and body.count(0, 0, names_end) != count - 1:
        raise _holds_nul(command, args)
    return _HEADER.pack(RESPONSE_MAGIC if response else REQUEST_MAGIC, command, size) + body


def encode_submit(command: Command, function: bytes, unique: bytes, data: bytes) -> bytes:
    """Return ``encode(command, function, unique, data)``, for the six commands of SUBMIT_JOB."""
    size = len(function) + len(unique) + len(data) + 2
    if size > MAX_BODY_BYTES or len(unique) > MAX_UNIQUE_BYTES or b"\0" in unique:
        return encode(command, function, unique, data)  # which says what is wrong
    check_function_name(function)
    head = _HEADER.pack(REQUEST_MAGIC, command, size)
    return b"%s%s\0%s\0%s" % (head, function, unique, data)


def encode_result(handle: bytes, data: bytes) -> bytes:
    """Return ``encode(WORK_COMPLETE, handle, data)``, for a handle that a `PacketReader` has read.

    Such a one holds no NUL, so only the size is to be looked at.
    """
    size = len(handle) + 1 + len(data)
    if len(handle) > MAX_HANDLE_BYTES or size > MAX_BODY_BYTES:
        raise _too_long(_WORK_COMPLETE, (handle, data))
    return b"%s%s\0%s" % (_HEADER.pack(REQUEST_MAGIC, _WORK_COMPLETE, size), handle, data)


def _check_lengths(
    command: Command, args: tuple[bytes, ...], limits: tuple[int, ...], size: int
) -> None:
    if size > MAX_BODY_BYTES or any(map(gt, map(len, args), limits)):
        raise _too_long(command, args)


def _never_sent(command: int) -> LocalProtocolError:
    for known, reason in NEVER_SENT.items():
        if command == known:
            return LocalProtocolError(f"gearfleet does not send {known.name}: {reason}")
    # One packet with such a number may end gearmand (F12).
    return LocalProtocolError(f"Command {command!r} does not exist")


def _too_long(command: Command, args: tuple[bytes, ...]) -> LocalProtocolError:
    for name, arg in zip(ARGUMENTS[command], args, strict=True):
        limit = _LIMITS.get(name, _NO_LIMIT)
        if name != "data" and len(arg) > limit:
            return LocalProtocolError(
                f"The {name} of {command.name} is {len(arg)} bytes long, {limit} are allowed: {arg!r}"
            )
    return LocalProtocolError(
        f"{command.name} of {sum(map(len, args))} bytes is over the limit of {MAX_BODY_BYTES}; "
        "store the data elsewhere and send a reference to it"
    )


def _holds_nul(command: Command, args: tuple[bytes, ...]) -> LocalProtocolError:
    named = zip(ARGUMENTS[command], args, strict=True)
    name, arg = next((name, arg) for name, arg in named if name != "data" and b"\0" in arg)
    return LocalProtocolError(f"The {name} of {command.name} contains a NUL byte: {arg!r}")


@functools.lru_cache(maxsize=1024)
def check_function_name(name: bytes) -> None:
    """Raise `LocalProtocolError` unless `name` is 1-255 bytes without white space or control bytes.

    gearmand takes nearly any bytes, but they break its text protocol or the
    connection of the worker (reference "gearmand", section 6).
    """
    if not 0 < len(name) <= MAX_FUNCTION_BYTES:
        raise LocalProtocolError(f"A function name has 1 to {MAX_FUNCTION_BYTES} bytes: {name!r}")
    if _UNFIT_FOR_FUNCTION.search(name):
        raise LocalProtocolError(f"White space or a control byte in a function name: {name!r}")


class PacketReader:
    """Turns received bytes into packets, whatever way they were split.

    Feed what a socket gave, then take packets until `None`. The cost is linear
    in the bytes received: chunks of a big packet are joined once, when all of
    them are there, and a chunk that holds whole packets is not copied at all.

        reader.feed(sock.recv(65536))
        while (packet := reader.next_packet()) is not None:
            ...
    """

    __slots__ = ("_chunks", "_data", "_later_bytes", "_magic", "_max_body", "_offset")

    def __init__(self, *, requests: bool = False, max_body_bytes: int = MAX_BODY_BYTES) -> None:
        """Read responses, or `requests` where the reader is a server's."""
        self._data = b""
        self._offset = 0
        self._chunks: list[bytes] = []  # what came after `_data`
        self._later_bytes = 0
        self._magic = REQUEST_MAGIC if requests else RESPONSE_MAGIC
        self._max_body = max_body_bytes

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Add received bytes."""
        if type(data) is not bytes:
            data = bytes(data)
        if self._offset == len(self._data) and not self._chunks:
            self._data = data
            self._offset = 0
        else:
            self._chunks.append(data)
            self._later_bytes += len(data)

    @property
    def buffered_bytes(self) -> int:
        """How many bytes wait to become packets."""
        return len(self._data) - self._offset + self._later_bytes

    def peek(self) -> int | None:
        """Return the next byte without taking it: 0 begins a packet, any other a text line."""
        return self._data[self._offset] if self._has(1) else None

    def next_packet(self) -> Packet | None:
        """Return the next whole packet, or None until more bytes are fed; raises as `packets`."""
        return next(self.packets(), None)

    def packets(self, data: bytes = b"") -> Iterator[Packet]:
        """Feed `data`, and yield every whole packet that is in the buffer.

        Raises:
            ProtocolError: wrong magic, wrong number of arguments, a body over
                the limit. The connection cannot be used any more.
            UnknownCommandError: a command number that does not exist.
        """
        if data:
            self.feed(data)
        while True:
            data, start = self._data, self._offset
            begin = start + HEADER_BYTES
            available = len(data)
            if available < begin:
                if start == available and not self._chunks:
                    return
                if self._has(HEADER_BYTES):
                    continue
                self._refuse_early()
                return
            magic, number, size = _HEADER.unpack_from(data, start)
            known = _COMMANDS.get(number)
            if known is None or magic != self._magic or size > self._max_body:
                raise self._refusal(magic, number, size)
            end = begin + size
            if available < end:
                if self._has(HEADER_BYTES + size):
                    continue
                return
            self._offset = end
            command, count = known
            if count == 1:
                args: tuple[bytes, ...] = (data[begin:end],)
            else:
                args = tuple(data[begin:end].split(b"\0", count - 1)) if count else ()
                if len(args) != count:
                    raise ProtocolError(
                        f"{command.name} has {count} arguments, got {len(args)}: {args!r:.80}"
                    )
            yield _packet(Packet, (command, args))

    def next_line(self, max_bytes: int = 8191) -> bytes | None:
        """Return the next text line without its line end, or None until there is one.

        Raises:
            ProtocolError: no line end within `max_bytes` (gearmand's limit).
        """
        self._join()
        end = self._data.find(b"\n", self._offset, self._offset + max_bytes + 1)
        if end < 0:
            if self.buffered_bytes > max_bytes:
                raise ProtocolError(f"A text line is longer than {max_bytes} bytes")
            return None
        line = self._data[self._offset : end]
        self._offset = end + 1
        return line.removesuffix(b"\r")

    def _has(self, count: int) -> bool:
        """Return whether `count` bytes are there, then in one piece."""
        available = len(self._data) - self._offset
        if available < count and available + self._later_bytes >= count:
            self._join()
            return True
        return available >= count

    def _join(self) -> None:
        if self._chunks:
            self._data = b"".join((self._data[self._offset :], *self._chunks))
            self._offset = self._later_bytes = 0
            self._chunks.clear()

    def _refuse_early(self) -> None:
        """Refuse bytes that cannot become a packet before a whole header is there."""
        self._join()
        begun = self._data[self._offset : self._offset + 4]
        if not self._magic.startswith(begun):
            raise ProtocolError(f"Expected {self._magic!r} at the start of a packet, got {begun!r}")

    def _refusal(self, magic: bytes, number: int, size: int) -> ProtocolError:
        """Return what is wrong with a header."""
        if magic != self._magic:
            return ProtocolError(
                f"Expected {self._magic!r} at the start of a packet, got {magic!r}"
            )
        if number not in _COMMANDS:
            return UnknownCommandError(f"Command {number} does not exist")
        name = _COMMANDS[number][0].name
        return ProtocolError(f"{name} of {size} bytes is over the limit of {self._max_body}")
