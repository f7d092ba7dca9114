"""Which job server a job with a name of its own belongs to.

Job servers know nothing of each other, so jobs of one function and one unique
are run once only if they meet at the same one. Every client that has the same
list, in any order, picks the same one: the highest of the hashes of server,
function and unique. When a job server is taken out of the list, only its own
jobs move.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")


def by_preference(
    servers: Sequence[T], function: bytes, unique: bytes, *, name: Callable[[T], str]
) -> list[T]:
    """Return the servers, the one that the job belongs to first."""
    job = b"\0%b\0%b" % (function, unique)

    def weight(server: T) -> bytes:
        return blake2b(name(server).encode() + job, digest_size=8).digest()

    return sorted(servers, key=weight, reverse=True)
