"""What tells a running group from a configured one, process by process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gearfleet.supervisor.reconcile import internals


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Names of processes.

    Attributes:
        add: that are configured and not there.
        remove: that are there and no longer configured.
        replace: that have to be started anew to be as they are configured.
        adjust: that become so as they run.
        keep: that are as they are configured.
    """

    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    replace: tuple[str, ...] = ()
    adjust: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.add or self.remove or self.replace or self.adjust)


def difference(group: Any | None, target: Any | None) -> Difference:
    """Compare a group of supervisord with its configuration; either may be missing."""
    live = group.processes if group is not None else {}
    want = {config.name: config for config in target.process_configs} if target is not None else {}
    found: dict[str, list[str]] = {"replace": [], "adjust": [], "keep": []}
    for name in want.keys() & live.keys():
        found[_what(live[name].config, want[name])].append(name)
    return Difference(
        add=tuple(name for name in want if name not in live),
        remove=tuple(name for name in live if name not in want),
        **{what: tuple(sorted(names)) for what, names in found.items()},
    )


def _what(old: Any, new: Any) -> str:
    if old is new or old == new:
        return "keep"
    return "replace" if internals.is_restart_needed(old, new) else "adjust"
