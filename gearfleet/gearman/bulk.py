"""Many submits at once: what is left of them while job servers come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from gearfleet import errors
    from gearfleet.gearman.channel import Channel
    from gearfleet.gearman.jobs import GearmanJobRequest


class Batch:
    """Requests to submit, and their packets."""

    def __init__(self, requests: list[GearmanJobRequest], packets: list[bytes]) -> None:
        self.requests = requests
        self.packets = packets

    def writer(self, deadline: float | None) -> Callable[[Channel], None]:
        """Return what writes all of it to a connection; what was written is taken out."""

        def write(channel: Channel) -> None:
            count = channel.submit_many(self.requests, self.packets, deadline=deadline)
            self.requests, self.packets = self.requests[count:], self.packets[count:]

        return write


def give_up(
    requests: list[GearmanJobRequest], left: list[Batch], error: errors.ServerUnavailable
) -> None:
    """Say that no job server takes what is left; raise if nothing was submitted at all."""
    unsubmitted = [request for batch in left for request in batch.requests]
    if len(unsubmitted) == len(requests):
        raise error
    for request in unsubmitted:
        request.mark_lost(error)
