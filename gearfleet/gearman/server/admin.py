"""The text door to the queues: gearmand's administrative commands, reply for reply."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from gearfleet._version import __version__
from gearfleet.errors import ProtocolError
from gearfleet.gearman.server.queues import JobQueues, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gearfleet.gearman.server.jobs import Function, Job, Peer

#: gearmand closes the connection at six.
MAX_WORDS = 5
_MAX_DIGITS = 9

_OK = b"OK\r\n"
_STILL_IN_USE = b"ERR there are still connected workers or executing clients\r\n"


def reply_to(queues: JobQueues, line: bytes) -> bytes:
    """Return the answer to one text command, its line end included.

    Raises:
        ProtocolError: more than five words; the connection is to be closed.
    """
    words = line.split()
    if len(words) > MAX_WORDS:
        raise ProtocolError(f"A text command has at most {MAX_WORDS} words: {line[:80]!r}")
    name = words[0] if words else b""
    command = _COMMANDS.get(name.lower())
    return command(queues, words[1:]) if command else _unknown(name)


def _unknown(name: bytes) -> bytes:
    return b"ERR UNKNOWN_COMMAND Unknown+server+command%b\r\n" % name


def _incomplete(name: bytes) -> bytes:
    return (
        b"ERR INVALID_ARGUMENTS An+incomplete+set+of+arguments+was+sent+to+this+command+%b\r\n"
        % name
    )


def _table(lines: Iterable[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines) + b".\n"


def _version(_queues: JobQueues, _words: list[bytes]) -> bytes:
    return b"OK gearfleet-%b\n" % __version__.encode()


def _getpid(_queues: JobQueues, _words: list[bytes]) -> bytes:
    return b"OK %d\n" % os.getpid()


def _verbose(_queues: JobQueues, _words: list[bytes]) -> bytes:
    return b"OK ERROR\n"


def _status(queues: JobQueues, _words: list[bytes]) -> bytes:
    return _table(
        b"%b\t%d\t%d\t%d" % (each.name, each.total, len(each.running), each.registrations)
        for each in queues.functions.values()
    )


def _prioritystatus(queues: JobQueues, _words: list[bytes]) -> bytes:
    return _table(_priorities(function) for function in queues.functions.values())


def _priorities(function: Function) -> bytes:
    high, normal, low = map(len, function.queued)
    counts = (high, normal + len(function.delayed), low, function.registrations)
    return b"%b\t%d\t%d\t%d\t%d" % (function.name, *counts)


def _workers(queues: JobQueues, _words: list[bytes]) -> bytes:
    return _table(_worker(peer) for peer in queues.peers)


def _worker(peer: Peer) -> bytes:
    names = b"".join(b" " + function.name for function in peer.abilities)
    return b"%d %b %b :%b" % (peer.fd, peer.host.encode(), peer.client_id, names)


def _show(queues: JobQueues, words: list[bytes]) -> bytes:
    match [word.lower() for word in words]:
        case []:
            return _unknown(b"show")
        case [b"jobs"]:
            return _table(_job(job) for job in queues.jobs.values())
        case [b"unique", b"jobs"]:
            return _table(job.unique for job in queues.jobs.values())
    return b"ERR UNKNOWN_SHOW_ARGUMENTS\r\n"


def _job(job: Job) -> bytes:
    return b"%b\t%d\t%d\t%d" % (job.handle, job.retries, job.is_abandoned, job.background)


def _cancel(queues: JobQueues, words: list[bytes]) -> bytes:
    if len(words) < 2:
        return _unknown(b"cancel")
    what, handle, *_ = words
    if what.lower() != b"job":
        return b"ERR UNKNOWN_ERROR\r\n"
    job = queues.jobs.get(handle)
    if job is None:
        return b"ERR UNKNOWN_JOB\r\n"
    queues.cancel(job)
    return _OK


def _create(queues: JobQueues, words: list[bytes]) -> bytes:
    match words:
        case [what, name, *_] if what.lower() == b"function":
            return _create_function(queues, name)
    return _incomplete(b"create")


def _create_function(queues: JobQueues, name: bytes) -> bytes:
    try:
        queues.function(name)
    except Refused as refused:
        return b"ERR %b %b\r\n" % (refused.code, refused.text.replace(" ", "+").encode())
    return _OK


def _drop(queues: JobQueues, words: list[bytes]) -> bytes:
    match words:
        case [what, name, *_] if what.lower() == b"function":
            return _drop_function(queues, name)
    return _incomplete(b"drop")


def _drop_function(queues: JobQueues, name: bytes) -> bytes:
    function = queues.functions.get(name)
    if function is None:
        return b"ERR function not found\r\n"
    return _OK if queues.drop_function(function) else _STILL_IN_USE


def _maxqueue(queues: JobQueues, words: list[bytes]) -> bytes:
    """Set the limits of a function that exists; of any other nothing is remembered."""
    if not words:
        return _incomplete(b"maxqueue")
    function = queues.functions.get(words[0])
    if function is not None:
        function.limits = _limits([_limit(word) for word in words[1:]])
    return _OK


def _limit(word: bytes) -> int:
    return int(word) if word.isdigit() and len(word) <= _MAX_DIGITS else 0


def _limits(numbers: list[int]) -> tuple[int, int, int]:
    """Read one limit for all priorities, or one for each; what is missing is no limit."""
    if len(numbers) == 1:
        return numbers[0], numbers[0], numbers[0]
    high, normal, low, *_ = [*numbers, 0, 0, 0]
    return high, normal, low


_COMMANDS: dict[bytes, Callable[[JobQueues, list[bytes]], bytes]] = {
    b"version": _version,
    b"getpid": _getpid,
    b"verbose": _verbose,
    b"status": _status,
    b"prioritystatus": _prioritystatus,
    b"workers": _workers,
    b"show": _show,
    b"cancel": _cancel,
    b"create": _create,
    b"drop": _drop,
    b"maxqueue": _maxqueue,
}
