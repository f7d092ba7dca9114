"""Many submits at once: which job server gets which of them, while job servers come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from gearfleet.gearman.submits import unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from gearfleet import errors
    from gearfleet.gearman.channel import Channel
    from gearfleet.gearman.jobs import GearmanJobRequest

S = TypeVar("S")


class Batch:
    """Requests to submit, and their packets."""

    def __init__(self, requests: list[GearmanJobRequest], packets: list[bytes]) -> None:
        self.requests = requests
        self.packets = packets

    def written(self, count: int) -> None:
        """Take out the first `count`."""
        self.requests, self.packets = self.requests[count:], self.packets[count:]

    def writer(self, deadline: float | None) -> Callable[[Channel], None]:
        """Return what writes all of it to a connection; what was written is taken out."""

        def write(channel: Channel) -> None:
            self.written(channel.submit_many(self.requests, self.packets, deadline=deadline))

        return write


class Distribution(Generic[S]):
    """The shares of the job servers in a batch.

    Write the shares of one round after the other until there are none, and note
    in `failures` which job server did not take its own: the next round gives
    what is left to the others.
    """

    def __init__(
        self,
        batch: Batch,
        servers: Sequence[S],
        in_order: Callable[[Sequence[S], GearmanJobRequest], Sequence[S]],
    ) -> None:
        self.failures: dict[S, errors.ConnectionError] = {}
        self._count = len(batch.requests)
        self._given = [batch]
        self._servers = servers
        self._in_order = in_order

    def next_round(self) -> list[tuple[S, Batch]]:
        """Return what to write to which job server.

        Raises:
            ServerUnavailable: none takes anything. If some took a part, the rest is
                marked as lost instead.
        """
        left = [batch for batch in self._given if batch.requests]
        servers = [server for server in self._servers if server not in self.failures]
        if left and not servers:
            self._give_up(left)
            left = []
        shares = [share for batch in left for share in self._divide(batch, servers)]
        self._given = [share for _, share in shares]
        return shares

    def _divide(self, batch: Batch, servers: list[S]) -> Iterable[tuple[S, Batch]]:
        if len(servers) == 1:
            return [(servers[0], batch)]
        shares: dict[S, Batch] = {}
        for request, packet in zip(batch.requests, batch.packets, strict=True):
            server = self._in_order(servers, request)[0]
            share = shares.setdefault(server, Batch([], []))
            share.requests.append(request)
            share.packets.append(packet)
        return shares.items()

    def _give_up(self, left: list[Batch]) -> None:
        error = unavailable(list(self.failures.values()))
        unsubmitted = [request for batch in left for request in batch.requests]
        if len(unsubmitted) == self._count:
            raise error
        for request in unsubmitted:
            request.mark_lost(error)
