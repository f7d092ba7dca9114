"""Files go in place, and supervisord is brought to them: by the extension, or without it.

way = way_to(control, now=..., then=...)
preview = way.preview(groups)
...                                     # the files are put in place
halts = way.carry_out(groups, report)
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gearfleet.errors import ConfigError
from gearfleet.fleet.checks.parsed import as_one, parse
from gearfleet.supervisor import stock
from gearfleet.supervisor.extension import Extension
from gearfleet.worker.boards import read_boards

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from gearfleet.fleet.checks.texts import Configuration
    from gearfleet.supervisor.control import Supervisor
    from gearfleet.supervisor.extension import Halt, Preview, ProcessChange, Step
    from gearfleet.worker.boards import JobInHand


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How supervisord is brought to new files.

    Attributes:
        control: the supervisord.
        now: the configuration as it is.
        then: the configuration with the new files in place.
        lacking: why the extension cannot be used; empty where it can.
        max_unavailable: how many processes of a group are replaced at a time.
    """

    control: Supervisor
    now: Configuration
    then: Configuration
    lacking: str
    max_unavailable: str

    def preview(self, groups: Sequence[str]) -> Preview:
        """Return what becomes of each process.

        Raises:
            ConfigError: supervisord would refuse the configuration.
            SupervisorError: supervisord cannot be asked.
        """
        if self.lacking:
            before, after = _groups(self.now), _groups(self.then)
            return stock.preview(self.control, before, after, groups)
        return Extension(self.control).preview(as_one(self.then), groups)

    def carry_out(self, groups: Sequence[str], report: Callable[[Step], None]) -> tuple[Halt, ...]:
        """Bring `groups` to the files on disk; return those that were halted."""
        if self.lacking:
            return stock.update(self.control, groups, report=report)
        extension = Extension(self.control)
        return extension.reconcile(groups, max_unavailable=self.max_unavailable, report=report)


def way_to(
    control: Supervisor, *, now: Configuration, then: Configuration, max_unavailable: str
) -> Way:
    """Return the way to `then`, which does not disturb anybody if the extension is there."""
    return Way(
        control=control,
        now=now,
        then=then,
        lacking=Extension(control).missing(),
        max_unavailable=max_unavailable,
    )


def _groups(configuration: Configuration) -> dict[str, list[Any]]:
    parsed = parse(configuration)
    if parsed.refusal:
        raise ConfigError(f"Supervisor would refuse the configuration: {parsed.refusal}")
    groups: dict[str, list[Any]] = {}
    for process in parsed.processes:
        groups.setdefault(process.group, []).append(process.config)
    return groups


def jobs_in_hand(changes: Iterable[ProcessChange]) -> dict[str, list[JobInHand]]:
    """Return the jobs that these processes run now, by namespec."""
    by_place = {(each.run_dir, each.name): each for each in changes if each.pid and each.run_dir}
    jobs: dict[str, list[JobInHand]] = {}
    for folder in sorted({run_dir for run_dir, _ in by_place}):
        for entry in read_boards(Path(folder)):
            # The workers of a pool have its name, and a number after it.
            change = by_place.get((folder, entry.about.slot.partition("/")[0]))
            if change is not None and entry.is_alive:
                jobs.setdefault(change.namespec, []).extend(entry.jobs)
    return jobs
