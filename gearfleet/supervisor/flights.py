"""One process that a rolling restart has taken, until it serves again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gearfleet.supervisor.pools import Members
    from gearfleet.supervisor.processes import Limits, Process


@dataclass(slots=True, eq=False)
class Flight:
    """A process that is away, or a pool that replaces its workers.

    Attributes:
        before: the process as it was when it was taken.
        since: when that was.
        started: when it was told to start, or to replace its workers.
        pool: its workers at that time; None for a process that is no pool.
        latest: the workers that it had last, and `changed` when they became so.
    """

    before: Process
    since: float
    started: float | None = None
    pool: Members | None = None
    latest: Members | None = None
    changed: float = 0.0

    @classmethod
    def of_pool(cls, process: Process, members: Members, now: float) -> Flight:
        """Return the flight of a pool that is told to replace its workers now."""
        return cls(process, now, started=now, pool=members, latest=members, changed=now)

    @property
    def name(self) -> str:
        return self.before.namespec

    def land_elsewhere(self, now: float) -> None:
        """Note that this pool has ended, so that it comes back like any other process."""
        self.pool = None
        self.started = now

    def note(self, members: Members, now: float) -> None:
        """Note the workers that the pool has now."""
        if members != self.latest:
            self.latest, self.changed = members, now

    def lateness_of_pool(self, now: float, *, timeout: float, limits: Limits) -> str:
        """Say why the pool will not get on, or nothing while it still may.

        Each worker may finish its job, so it is late when for so long none was replaced.
        """
        assert self.pool is not None
        assert self.latest is not None
        idle = now - self.changed
        if self.latest.pids <= self.pool.pids:
            if idle <= timeout + limits.startsecs:
                return ""
            return (
                f"no worker of the pool was replaced for {idle:.0f} s; it keeps the code that it "
                "has when the new one does not import, and its log says why"
            )
        if idle <= timeout + limits.stopwaitsecs:
            return ""
        return f"the pool replaces its workers, but none for {idle:.0f} s"
