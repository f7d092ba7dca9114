"""The binary door to the queues: what each command of a client or worker does.

Each handler takes the queues, the peer that sent the packet, and the packet's
arguments. A handler that cannot do what is asked raises `Refused`, and the
peer is answered with ERROR; the connection goes on.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from gearfleet.gearman.protocol import (
    ARGUMENTS,
    MAX_CLIENT_ID_BYTES,
    MAX_HANDLE_BYTES,
    MAX_UNIQUE_BYTES,
    Command,
    Packet,
)
from gearfleet.gearman.server.jobs import Priority
from gearfleet.gearman.server.queues import JobQueues, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from gearfleet.gearman.server.jobs import Job, Peer


#: Takes the queues, the peer, and the arguments of the packet.
Handler: TypeAlias = "Callable[..., None]"


def answer(queues: JobQueues, peer: Peer, packet: Packet) -> None:
    """Do what the packet asks; whoever is to hear of it is sent a packet."""
    command, args = packet
    try:
        if command in _ENDS_IN_NAME:
            args = _without_nul(command, args)
        _HANDLERS.get(command, _refuse)(queues, peer, *args)
    except Refused as refused:
        peer.send(Command.ERROR, refused.code, refused.text.encode())


def _refuse(_queues: JobQueues, _peer: Peer, *_args: bytes) -> None:
    # gearmand, too, takes neither ALL_YOURS nor SUBMIT_JOB_SCHED.
    raise Refused(b"INVALID_COMMAND", "Command not expected")


def _without_nul(command: Command, args: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Drop one NUL at the end, which some libraries send, and refuse any other."""
    last = args[-1].removesuffix(b"\0")
    if b"\0" in last:
        raise Refused(b"INVALID_ARGUMENT", f"{command.name} has a NUL in its last argument")
    return (*args[:-1], last)


def _check_length(name: str, value: bytes, limit: int) -> None:
    if len(value) > limit:
        raise Refused(b"ARGUMENT_TOO_LARGE", f"A {name} has at most {limit} bytes")


# Clients


def _submit(
    queues: JobQueues,
    peer: Peer,
    function: bytes,
    unique: bytes,
    data: bytes,
    *,
    priority: Priority,
    background: bool,
) -> None:
    client = None if background else peer
    job = queues.submit(function, unique, data, priority=priority, client=client)
    peer.send(Command.JOB_CREATED, job.handle)


def _submit_epoch(queues: JobQueues, peer: Peer, *args: bytes) -> None:
    function, unique, epoch, data = args
    job = queues.submit(function, unique, data, due=_epoch(epoch))
    peer.send(Command.JOB_CREATED, job.handle)


def _submit_reduce(queues: JobQueues, peer: Peer, *args: bytes, background: bool) -> None:
    function, unique, reducer, _aggregator, data = args
    _check_length("reducer", reducer, MAX_HANDLE_BYTES)
    client = None if background else peer
    job = queues.submit(function, unique, data, client=client, reducer=reducer)
    peer.send(Command.JOB_CREATED, job.handle)


def _get_status(queues: JobQueues, peer: Peer, handle: bytes) -> None:
    _check_length("handle", handle, MAX_HANDLE_BYTES)
    peer.send(Command.STATUS_RES, handle, *_status(queues.jobs.get(handle)))


def _get_status_unique(queues: JobQueues, peer: Peer, unique: bytes) -> None:
    _check_length("unique", unique, MAX_UNIQUE_BYTES)
    job = queues.find_unique(unique)
    waiting = len(job.clients) if job else 0
    peer.send(Command.STATUS_RES_UNIQUE, unique, *_status(job), b"%d" % waiting)


def _status(job: Job | None) -> tuple[bytes, bytes, bytes, bytes]:
    if job is None:
        return b"0", b"0", b"0", b"0"
    return b"1", b"%d" % job.is_running, b"%d" % job.numerator, b"%d" % job.denominator


def _option(_queues: JobQueues, peer: Peer, option: bytes) -> None:
    if option != b"exceptions":
        raise Refused(b"UNKNOWN_OPTION", "Server does not recognize given option")
    peer.wants_exceptions = True
    peer.send(Command.OPTION_RES, option)


def _echo(_queues: JobQueues, peer: Peer, data: bytes) -> None:
    peer.send(Command.ECHO_RES, data)


# Workers


def _set_client_id(_queues: JobQueues, peer: Peer, client_id: bytes) -> None:
    # White space would make a line of the text command "workers" unreadable.
    words = re.sub(rb"[\x00-\x20\x7f]", b"_", client_id[:MAX_CLIENT_ID_BYTES])
    peer.client_id = words or b"-"


def _can_do_timeout(queues: JobQueues, peer: Peer, function: bytes, timeout_ms: bytes) -> None:
    queues.can_do(peer, function, time_limit=max(0, _leading_integer(timeout_ms)) / 1000)


def _grab(queues: JobQueues, peer: Peer) -> None:
    if job := queues.grab(peer):
        peer.send(Command.JOB_ASSIGN, job.handle, job.function.name, job.data)
    else:
        peer.send(Command.NO_JOB)


def _grab_unique(queues: JobQueues, peer: Peer) -> None:
    if job := queues.grab(peer):
        _assign_unique(peer, job)
    else:
        peer.send(Command.NO_JOB)


def _grab_all(queues: JobQueues, peer: Peer) -> None:
    """Answer with JOB_ASSIGN_ALL for a reduce job only, as libgearman's workers expect."""
    job = queues.grab(peer)
    if job is None:
        peer.send(Command.NO_JOB)
    elif job.reducer is None:
        _assign_unique(peer, job)
    else:
        name = job.function.name
        peer.send(Command.JOB_ASSIGN_ALL, job.handle, name, job.unique, job.reducer, job.data)


def _assign_unique(peer: Peer, job: Job) -> None:
    peer.send(Command.JOB_ASSIGN_UNIQ, job.handle, job.function.name, job.unique, job.data)


def _work_data(
    queues: JobQueues, peer: Peer, handle: bytes, data: bytes, *, command: Command
) -> None:
    for client in queues.held_by(peer, handle).clients:
        client.send(command, handle, data)


def _work_status(
    queues: JobQueues, peer: Peer, handle: bytes, numerator: bytes, denominator: bytes
) -> None:
    job = queues.held_by(peer, handle)
    job.numerator = _leading_integer(numerator)
    job.denominator = _leading_integer(denominator)
    for client in job.clients:
        client.send(Command.WORK_STATUS, handle, numerator, denominator)


def _work_complete(queues: JobQueues, peer: Peer, handle: bytes, data: bytes) -> None:
    queues.finish(queues.held_by(peer, handle), Command.WORK_COMPLETE, handle, data)


def _work_fail(queues: JobQueues, peer: Peer, handle: bytes) -> None:
    queues.fail(queues.held_by(peer, handle))


def _work_exception(queues: JobQueues, peer: Peer, handle: bytes, data: bytes) -> None:
    queues.raise_in(queues.held_by(peer, handle), data)


# Numbers

# Longer numbers are cut, and still do not fit 64 bits.
_INTEGER = re.compile(rb"\s*([+-]?[0-9]{1,25})")
_MAX_INT64 = 2**63 - 1


def _leading_integer(text: bytes) -> int:
    """Read a number as C's atoi does: what follows the digits is ignored, no digits are 0."""
    match = _INTEGER.match(text)
    return int(match[1]) if match else 0


def _epoch(text: bytes) -> int:
    """Read seconds since the epoch; what is no number means now, as in gearmand."""
    epoch = _leading_integer(text)
    if abs(epoch) > _MAX_INT64:
        # gearmand does not answer at all.
        raise Refused(b"INVALID_ARGUMENT", "The epoch does not fit 64 bits")
    return epoch


_C = Command

_HANDLERS: dict[Command, Handler] = {
    _C.SUBMIT_JOB: partial(_submit, priority=Priority.NORMAL, background=False),
    _C.SUBMIT_JOB_HIGH: partial(_submit, priority=Priority.HIGH, background=False),
    _C.SUBMIT_JOB_LOW: partial(_submit, priority=Priority.LOW, background=False),
    _C.SUBMIT_JOB_BG: partial(_submit, priority=Priority.NORMAL, background=True),
    _C.SUBMIT_JOB_HIGH_BG: partial(_submit, priority=Priority.HIGH, background=True),
    _C.SUBMIT_JOB_LOW_BG: partial(_submit, priority=Priority.LOW, background=True),
    _C.SUBMIT_JOB_EPOCH: _submit_epoch,
    _C.SUBMIT_REDUCE_JOB: partial(_submit_reduce, background=False),
    _C.SUBMIT_REDUCE_JOB_BACKGROUND: partial(_submit_reduce, background=True),
    _C.GET_STATUS: _get_status,
    _C.GET_STATUS_UNIQUE: _get_status_unique,
    _C.OPTION_REQ: _option,
    _C.ECHO_REQ: _echo,
    _C.SET_CLIENT_ID: _set_client_id,
    _C.CAN_DO: JobQueues.can_do,
    _C.CAN_DO_TIMEOUT: _can_do_timeout,
    _C.CANT_DO: JobQueues.cant_do,
    _C.RESET_ABILITIES: JobQueues.reset_abilities,
    _C.PRE_SLEEP: JobQueues.pre_sleep,
    _C.GRAB_JOB: _grab,
    _C.GRAB_JOB_UNIQ: _grab_unique,
    _C.GRAB_JOB_ALL: _grab_all,
    _C.WORK_DATA: partial(_work_data, command=_C.WORK_DATA),
    _C.WORK_WARNING: partial(_work_data, command=_C.WORK_WARNING),
    _C.WORK_STATUS: _work_status,
    _C.WORK_COMPLETE: _work_complete,
    _C.WORK_FAIL: _work_fail,
    _C.WORK_EXCEPTION: _work_exception,
}

_ENDS_IN_NAME = frozenset(
    command for command in _HANDLERS if ARGUMENTS[command] and ARGUMENTS[command][-1] != "data"
)
