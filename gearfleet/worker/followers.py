"""`Followers`: how a worker submits the jobs that follow others."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gearfleet.gearman.addresses import Address

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gearfleet.client import Client
    from gearfleet.config import Settings
    from gearfleet.tasks import JobHandle, SubmitOptions


class Followers:
    """Submits the jobs that follow others, to the job servers that gave those out.

    A job that runs again is given out by the same one, and what follows it is
    pending there under the same unique. So no chain forks.
    """

    def __init__(self, settings: Settings) -> None:
        """Make no client before the first of them."""
        self._settings = settings
        self._clients: dict[str, Client] = {}

    def __call__(
        self,
        name: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        options: SubmitOptions,
        /,
        *,
        server: str,
    ) -> JobHandle:
        """Submit a job to `server`, to any of the settings if that is empty."""
        if server not in self._clients:
            from gearfleet.client import Client

            servers = (self._as_set(server),) if server else self._settings.servers
            self._clients[server] = Client(replace(self._settings, servers=servers))
        return self._clients[server].enqueue(name, args, kwargs, options)

    def _as_set(self, server: str) -> str:
        """Return the address of `server` as the settings have it, with the files for TLS."""
        known = (*self._settings.servers_of_workers, *self._settings.servers)
        return next((each for each in known if str(Address.parse(each)) == server), server)

    def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            client.close()
        self._clients.clear()
