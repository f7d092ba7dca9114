"""What is under way in a supervisord, stepped by its own loop.

A deferred answer would be polled only while its client is connected, and a
client that died would leave processes stopped. So a call just begins the change;
supervisord's `tick`, which is called on every pass of its loop, carries it on.
"""

from __future__ import annotations

import time
import traceback
from collections import deque
from typing import TYPE_CHECKING, Any

from gearfleet.supervisor.reconcile import internals
from gearfleet.supervisor.reconcile.difference import Difference, difference
from gearfleet.supervisor.reconcile.job import Job

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gearfleet.supervisor.waves import MaxUnavailable

_ATTRIBUTE = "gearfleet_engine"

#: How many events are remembered for clients that ask late.
EVENTS_KEPT = 20_000


class Engine:
    """The changes of one supervisord; there is one for all its sockets.

    Attributes:
        supervisord: the daemon's own object.
        last: number of the last event.
    """

    def __init__(self, supervisord: Any) -> None:
        self.supervisord = supervisord
        self.last = 0
        self._events: deque[tuple[int, str, str, str]] = deque(maxlen=EVENTS_KEPT)
        self._jobs: dict[str, Job] = {}

    @classmethod
    def of(cls, supervisord: Any) -> Engine:
        """Return the engine of `supervisord`, which drives it from now on.

        Supervisor makes an extension for each of its sockets.
        """
        engine: Engine | None = getattr(supervisord, _ATTRIBUTE, None)
        if engine is None:
            engine = cls(supervisord)
            setattr(supervisord, _ATTRIBUTE, engine)
            supervisord.tick = _stepping(engine, supervisord.tick)
        return engine

    def preview(self, text: str, names: Iterable[str]) -> dict[str, Difference]:
        """Return what the configuration `text` would change in these groups.

        Raises:
            ValueError: supervisord would refuse it, or a group cannot be changed.
        """
        targets = self._checked(internals.read_text(self.supervisord, text), names)
        groups = self.supervisord.process_groups
        return {name: difference(groups.get(name), target) for name, target in targets.items()}

    def begin(self, names: Iterable[str], share: MaxUnavailable) -> None:
        """Read the configuration and bring these groups to it; one under way changes its aim.

        Raises:
            ValueError: supervisord refuses it, or a group cannot be changed; nothing was.
        """
        targets = self._checked(internals.reread(self.supervisord), names)
        self._jobs = {name: job for name, job in self._jobs.items() if not job.is_done}
        for name, target in targets.items():
            job = self._jobs.get(name) or self._new(name, share)
            self._jobs[name] = job
            self._guarded(job, lambda job=job, target=target: job.aim(target, share=share))

    def _new(self, name: str, share: MaxUnavailable) -> Job:
        return Job(self.supervisord, name, share=share, report=self._note, clock=time.monotonic)

    def _checked(self, parsed: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
        targets = {name: parsed.get(name) for name in names}
        for name, target in targets.items():
            live = self.supervisord.process_groups.get(name)
            configs = [target, live.config if live is not None else None]
            if not all(internals.is_plain(config) for config in configs if config is not None):
                raise ValueError(f"'{name}' is not a group of programs: it is not gearfleet's")
        return targets

    def step(self) -> None:
        """Carry on what is under way; called on every pass of supervisord's loop."""
        if not self._jobs or not internals.is_serving(self.supervisord):
            return
        for job in list(self._jobs.values()):
            self._guarded(job, job.step)

    def _guarded(self, job: Job, act: Any) -> None:
        """Let no mistake of ours end supervisord."""
        try:
            act()
        except Exception as error:
            words = f"gearfleet: the change of group {job.name} failed:\n{traceback.format_exc()}"
            self.supervisord.options.logger.critical(words)
            job.give_up(f"{type(error).__name__}: {error}")

    def _note(self, process: str, what: str, detail: str) -> None:
        self.last += 1
        self._events.append((self.last, process, what, detail))
        words = f"gearfleet: {process} {what}{f' ({detail})' if detail else ''}"
        self.supervisord.options.logger.info(words)

    # What a client is told

    def active(self) -> list[str]:
        """Return the groups that are being changed."""
        return [name for name, job in self._jobs.items() if not job.is_done]

    def failed(self) -> dict[str, Job]:
        """Return the groups whose last change was halted."""
        return {name: job for name, job in self._jobs.items() if job.is_done and job.failure}

    def events(self, since: int) -> list[tuple[int, str, str, str]]:
        """Return what happened after event number `since`: number, process, what, detail."""
        return [event for event in self._events if event[0] > since]


def _stepping(engine: Engine, tick: Any) -> Any:
    def tick_and_step(*args: Any, **kwargs: Any) -> Any:
        engine.step()
        return tick(*args, **kwargs)

    return tick_and_step
