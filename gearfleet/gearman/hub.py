"""The connections of one worker: a link to each job server, one selector, and a bell.

A hub lives as long as one call of `work`. It decides at which job server the
worker asks for its next job, and nobody but the loop of the worker touches it,
except for `wake`.
"""

from __future__ import annotations

import os
import selectors
import socket
import time
import weakref
from collections import deque
from typing import TYPE_CHECKING

from gearfleet import errors
from gearfleet.gearman.link import Link
from gearfleet.gearman.machine import NEVER
from gearfleet.gearman.selector import Selector

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gearfleet.gearman.addresses import Address
    from gearfleet.gearman.jobs import GearmanJob
    from gearfleet.gearman.link import Registration
    from gearfleet.gearman.machine import Timing

#: A job begins while an earlier result cannot be sent, if not one byte of that moved for so long.
STALL = 0.25


_hubs: weakref.WeakSet[Hub] = weakref.WeakSet()


class Hub:
    """All links of a worker, and the jobs that came over them."""

    def __init__(
        self,
        registration: Registration,
        addresses: Iterable[Address],
        *,
        prefetch: int,
        timing: Timing,
        connect_timeout: float,
        selector_class: type[selectors.BaseSelector] = Selector,
    ) -> None:
        #: Jobs that have not begun, the oldest first.
        self.hand: deque[GearmanJob] = deque()
        self._registration = registration
        self._prefetch = prefetch
        self._timing = timing
        self._connect_timeout = connect_timeout
        self._selector = selector_class()
        self._ear, self._bell = socket.socketpair()
        self._ear.setblocking(False)
        self._bell.setblocking(False)
        self._selector.register(self._ear, selectors.EVENT_READ, self._heard_bell)
        self.links = [self._new_link(address) for address in addresses]
        _hubs.add(self)

    @property
    def deadline(self) -> float:
        """When one of the links has something to do."""
        links = self.links
        return links[0].deadline if len(links) == 1 else min([link.deadline for link in links])

    def renew(self, addresses: Iterable[Address], now: float) -> bool:
        """Tell what has changed in the registration; return whether everybody knows all of it."""
        known = {link.address for link in self.links}
        self.links += [self._new_link(address) for address in addresses if address not in known]
        told = [link.renew(now) for link in self.links]
        return all(told)

    def check_available(self) -> None:
        """Raise ServerUnavailable if every job server has failed and none is back."""
        if all(link.failure is not None for link in self.links):
            reasons = "; ".join(f"{link.address}: {link.failure}" for link in self.links)
            raise errors.ServerUnavailable(f"No job server can be reached: {reasons}")

    def poll(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds, read and write; return whether something happened."""
        if self.hand:
            timeout = min(timeout, STALL)
        until = self.deadline - time.monotonic()
        ready = self._selector.select(max(0.0, min(timeout, until)))
        now = time.monotonic()
        for key, mask in ready:
            key.data(mask, now)
        # Only after reading: while a job ran, answers may have come in time and
        # waited in the kernel.
        for link in self.links:
            if now >= link.deadline:
                link.tick(now)
        return bool(ready)

    def hand_out_grabs(self, now: float) -> None:
        """Give the free slots to the job servers that may have jobs, in turn."""
        links = self.links
        if len(links) == 1:
            link = links[0]
            if (machine := link.machine) is not None:
                free = self._prefetch - len(link.jobs) - machine.grabs
                if free > 0 and (count := min(free, machine.wanted_grabs)) > 0:
                    machine.grab(count, now)
            return
        free = self._prefetch
        for link in links:
            if (machine := link.machine) is not None:
                free -= len(link.jobs) + machine.grabs
        if free <= 0:
            return
        for link in tuple(links):
            machine = link.machine
            if machine is not None and (count := min(free, machine.wanted_grabs)) > 0:
                machine.grab(count, now)
                free -= count
                links.append(links.pop(links.index(link)))

    def flush(self, now: float) -> None:
        """Send what waits, but for what the selector will say that there is room for."""
        for link in self.links:
            if link.machine is not None and link.machine.outgoing and link.blocked_at is None:
                link.flush(now)

    def is_flushing(self, now: float) -> bool:
        """Whether a result is on its way out, which a long job would hold up."""
        for link in self.links:
            if link.blocked_at is not None and now - link.blocked_at < STALL:
                return True
        return False

    def leave(self) -> None:
        """Close connections so that nothing is lost with them.

        A GRAB may be on its way, and its job on the way back. A job that has not
        begun is given back by closing the connection: the job server then hands
        it to another worker at once. The results of the jobs that did run must
        have been read before that, so an ECHO goes first, and the end of the
        connection waits for its answer.
        """
        self.hand.clear()
        now = time.monotonic()
        for link in self.links:
            link.leave(now)
        while True:
            for link in self.links:
                link.flush(now)
            # Only now: to flush to a job server that is gone closes its link, and then there
            # may be nothing left to wait for.
            if not any(link.is_open for link in self.links):
                return
            self.poll(NEVER)
            now = time.monotonic()

    def close(self) -> None:
        """Close everything at once."""
        for link in self.links:
            link.close()
        self._selector.close()
        self._bell.close()
        self._ear.close()

    def abandon(self) -> None:
        """Close what a forked child has of this, without a word to the job servers.

        They give the jobs of a dead worker to another one when its connection
        ends, and it would last as long as the child.
        """
        # First of all: the parent uses the same epoll, and would hear of nothing any more.
        self._selector.close()
        self.close()

    def wake(self) -> None:
        """End the wait of `poll`; safe in a signal handler and from any thread."""
        try:
            self._bell.send(b"\0")
        except OSError:  # full, so the loop wakes up anyway; or closed, so it has ended
            pass

    def _new_link(self, address: Address) -> Link:
        link = Link(
            address,
            self._selector,
            self._registration,
            prefetch=self._prefetch,
            timing=self._timing,
            connect_timeout=self._connect_timeout,
        )
        link.assigned = self.hand.append
        return link

    def _heard_bell(self, mask: int, now: float) -> None:
        try:
            self._ear.recv(4096)
        except BlockingIOError:
            pass


def _abandon_all() -> None:
    for hub in list(_hubs):
        hub.abandon()


os.register_at_fork(after_in_child=_abandon_all)
