"""A selector with as little as possible between the kernel and the caller.

`selectors.EpollSelector` costs a worker as much for each job as a system call
does. This one asks Linux the same questions; other systems, and workers with a
`selector_class` of their own, use the standard library's.
"""

from __future__ import annotations

import select
import selectors
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from _typeshed import FileDescriptorLike

_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
_MAX_EVENTS = 64
_NOT_IN, _NOT_OUT = ~getattr(select, "EPOLLIN", 0), ~getattr(select, "EPOLLOUT", 0)


class EpollSelector(selectors.BaseSelector):
    """`selectors.EpollSelector`, but for `InterruptedError`, which `epoll` does not raise any more."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._keys: dict[int, selectors.SelectorKey] = {}

    def register(
        self, fileobj: FileDescriptorLike, events: int, data: Any = None
    ) -> selectors.SelectorKey:
        descriptor = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        if descriptor in self._keys:
            raise KeyError(f"{fileobj!r} is registered already")
        self._epoll.register(descriptor, _mask(events))
        key = selectors.SelectorKey(fileobj, descriptor, events, data)
        self._keys[descriptor] = key
        return key

    def unregister(self, fileobj: FileDescriptorLike) -> selectors.SelectorKey:
        key = self._key(fileobj)
        del self._keys[key.fd]
        try:
            self._epoll.unregister(key.fd)
        except OSError:  # closed meanwhile, which unregisters it
            pass
        return key

    def modify(
        self, fileobj: FileDescriptorLike, events: int, data: Any = None
    ) -> selectors.SelectorKey:
        key = self._key(fileobj)._replace(events=events, data=data)
        self._epoll.modify(key.fd, _mask(events))
        self._keys[key.fd] = key
        return key

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        keys = self._keys
        found = []
        for descriptor, mask in self._epoll.poll(timeout, _MAX_EVENTS):
            key = keys.get(descriptor)
            if key is not None:
                # An error or the end of the connection is everybody's news.
                events = (_READ if mask & _NOT_OUT else 0) | (_WRITE if mask & _NOT_IN else 0)
                found.append((key, events & key.events))
        return found

    def close(self) -> None:
        self._epoll.close()
        self._keys.clear()

    def get_map(self) -> Mapping[FileDescriptorLike, selectors.SelectorKey]:
        return {key.fileobj: key for key in self._keys.values()}

    def _key(self, fileobj: FileDescriptorLike) -> selectors.SelectorKey:
        """Return the key of `fileobj`, also if it is closed by now; raise KeyError if there is none."""
        for key in self._keys.values():
            if key.fileobj == fileobj:
                return key
        raise KeyError(f"{fileobj!r} is not registered")


def _mask(events: int) -> int:
    return (select.EPOLLIN if events & _READ else 0) | (select.EPOLLOUT if events & _WRITE else 0)


#: The fastest one of this system.
Selector: type[selectors.BaseSelector] = (
    EpollSelector if hasattr(select, "epoll") else selectors.DefaultSelector
)
