"""`InHand`: the jobs that the workers of this host have in hand, in one file that all of them map.

Strategy. A job whose worker died is given to the next one within a millisecond,
long before anybody has looked at the board of the dead. So each worker writes
the end of its job's unique into an entry of its own here, and looks for that of
the next job before it runs it: one search through a few hundred bytes. What is
found says only that somebody should look more closely (see `quarantine`): the
job may be in the hands of a dead worker, or of one that lost its connection; it
may have killed workers before, which is also marked here; or it may just end
like another one.

Entries are claimed and set free under the lock of the quarantine. Layout: the
number of blocks in use, the keys in blocks of 64 bytes, and the owners.
"""

from __future__ import annotations

import mmap
import os
import struct
from typing import TYPE_CHECKING

from gearfleet.worker import procfs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

#: Another name with another layout.
FILE = "in-hand.1"

_KEY_BYTES = 8
_KEYS_AT = 64
_BLOCK_BYTES = 64
_BLOCKS = 255
_ENTRIES = _BLOCKS * _BLOCK_BYTES // _KEY_BYTES
#: What an entry is for, and the pid and start of the worker that has it.
_OWNER = struct.Struct("<IIQ")
_FREE, _WORKER, _MARK = range(3)
_OWNERS_AT = _KEYS_AT + _BLOCKS * _BLOCK_BYTES
_SIZE = _OWNERS_AT + _ENTRIES * _OWNER.size
_NOTHING = bytes(_KEY_BYTES)
#: Half the time of an assignment to a slice.
_put = struct.Struct(f"{_KEY_BYTES}s").pack_into


class InHand:
    """The file, as one process sees it."""

    def __init__(self, mapped: mmap.mmap) -> None:
        """Use `mapped`; see `open`."""
        self._map = mapped
        self._places: list[int] = []
        self._find: Callable[[bytes, int, int], int] = mapped.find

    @classmethod
    def open(cls, folder: Path) -> InHand:
        """Map the file in `folder`, and make it if it is not there; call it under the lock.

        Raises:
            OSError: it cannot be written.
        """
        file = os.open(folder / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # A file with holes would end the process when the disk is full.
            os.posix_fallocate(file, 0, _SIZE)
            return cls(mmap.mmap(file, _SIZE))
        finally:
            os.close(file)

    # On the path of every job

    def hold(self, number: int, key: bytes) -> bool:
        """Say that the job `key` is in our hand `number`; return whether it was in the file."""
        mapped = self._map
        is_known = self._find(key, _KEYS_AT, _KEYS_AT + _BLOCK_BYTES * mapped[0]) >= 0
        _put(mapped, self._places[number], key)
        return is_known

    def knows(self, key: bytes) -> bool:
        """Return whether the job `key` is in the file."""
        return self._find(key, _KEYS_AT, _KEYS_AT + _BLOCK_BYTES * self._map[0]) >= 0

    def drop(self, number: int) -> None:
        """Say that nothing is in our hand `number`."""
        _put(self._map, self._places[number], _NOTHING)

    # Under the lock

    def claim(self, hands: int, pid: int, ticks: int) -> None:
        """Take entries for so many hands of this process.

        Raises:
            OSError: there are no more.
        """
        self._places = [self._place(self._take(_WORKER, pid, ticks)) for _ in range(hands)]

    def release(self, pid: int, ticks: int) -> None:
        """Set the entries of a worker free."""
        for entry, owner in self._entries():
            if owner == (_WORKER, pid, ticks):
                self._free(entry)

    def dead_owners(self) -> list[tuple[int, int]]:
        """Return pid and start of each worker that has entries and is not there any more."""
        owners = {(pid, ticks) for _, (kind, pid, ticks) in self._entries() if kind == _WORKER}
        return [owner for owner in owners if not procfs.is_running(*owner)]

    def mark(self, key: bytes) -> None:
        """Let everybody look closely at the job `key`."""
        if not list(self._marks(key)):
            _put(self._map, self._place(self._take(_MARK, 0, 0)), key)

    def unmark(self, key: bytes) -> None:
        """Let nobody do so any more."""
        for entry in list(self._marks(key)):
            self._free(entry)

    def _take(self, *owner: int) -> int:
        entry = next((entry for entry, (kind, *_) in self._entries() if kind == _FREE), self._used)
        if entry == _ENTRIES:
            raise OSError(0, f"all {_ENTRIES} entries are in use")
        _OWNER.pack_into(self._map, _OWNERS_AT + entry * _OWNER.size, *owner)
        if entry == self._used:
            self._map[0] += 1
        return entry

    def _free(self, entry: int) -> None:
        _put(self._map, self._place(entry), _NOTHING)
        _OWNER.pack_into(self._map, _OWNERS_AT + entry * _OWNER.size, _FREE, 0, 0)

    def _marks(self, key: bytes) -> Iterator[int]:
        for entry, owner in self._entries():
            first = self._place(entry)
            if owner[0] == _MARK and self._map[first : first + _KEY_BYTES] == key:
                yield entry

    def _entries(self) -> Iterator[tuple[int, tuple[int, ...]]]:
        for entry in range(self._used):
            yield entry, _OWNER.unpack_from(self._map, _OWNERS_AT + entry * _OWNER.size)

    @property
    def _used(self) -> int:
        """How many entries the blocks in use have."""
        return self._map[0] * _BLOCK_BYTES // _KEY_BYTES

    @staticmethod
    def _place(entry: int) -> int:
        return _KEYS_AT + entry * _KEY_BYTES


def key_of(unique: bytes) -> bytes:
    """Return what is looked for: the end of a unique, where ids and hashes differ most."""
    return unique[-_KEY_BYTES:] if len(unique) >= _KEY_BYTES else unique.rjust(_KEY_BYTES, b"\n")
