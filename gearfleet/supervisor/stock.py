"""What can be done where supervisord has not loaded the extension: Supervisor's own `update`.

It stops the whole of a changed group before it starts any of it again. Here all
changed groups stop at the same time; what is new is just added.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from gearfleet.errors import SupervisorError
from gearfleet.supervisor.extension import Halt, Preview, ProcessChange, Step
from gearfleet.supervisor.processes import STOPPED_STATES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from gearfleet.supervisor.control import Supervisor
    from gearfleet.supervisor.processes import Process

    #: The configurations of the processes of each group, in Supervisor's order.
    Groups = Mapping[str, Sequence[Any]]

POLL_SECONDS = 0.1


def preview(control: Supervisor, before: Groups, after: Groups, groups: Iterable[str]) -> Preview:
    """Return what an `update` to `after` would do to `groups`."""
    live = _by_group(control.processes())
    pending = _pending(control)
    changes: list[ProcessChange] = []
    kept = 0
    for group in groups:
        processes, wanted = live.get(group, ()), after.get(group, ())
        if processes and wanted and before.get(group) == wanted and group not in pending:
            kept += len(processes)
        else:
            changes += _changes(group, processes, wanted)
    return Preview(changes=tuple(changes), kept=kept)


def _changes(
    group: str, processes: Sequence[Process], wanted: Sequence[Any]
) -> Iterator[ProcessChange]:
    configs = {config.name: config for config in wanted}
    for process in processes:
        yield ProcessChange(
            group=group,
            name=process.name,
            action="restart" if process.name in configs else "remove",
            state=process.state,
            pid=process.pid,
            run_dir=_run_dir(configs.get(process.name)),
        )
    for name in configs.keys() - {process.name for process in processes}:
        yield ProcessChange(group=group, name=name, action="add")


def _run_dir(config: Any) -> str:
    environment = (config.environment if config is not None else None) or {}
    return str(environment.get("GEARFLEET_RUN_DIR", ""))


def _pending(control: Supervisor) -> set[str]:
    """Return the groups that differ from the files that are there now."""
    try:
        _, changed, _ = control.call("supervisor.reloadConfig")[0]
    except SupervisorError:
        return set()  # a broken file, perhaps one that is about to be replaced
    return set(changed)


def update(
    control: Supervisor,
    groups: Sequence[str],
    *,
    report: Callable[[Step], None],
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[Halt, ...]:
    """Bring `groups` to the files on disk; return none, or raise `SupervisorError`.

    Whatever ends it early, the next call does what is left.
    """
    added, changed, removed = control.call("supervisor.reloadConfig")[0]
    mine = set(groups)
    for group in sorted(mine.intersection(added)):
        _add(control, group, report, "added")
    waiting = sorted(mine.intersection([*changed, *removed]))
    for group in waiting:
        control.call("supervisor.stopProcessGroup", group, False)
    while waiting:
        live = _by_group(control.processes())
        ended = [group for group in waiting if _has_ended(live.get(group, ()))]
        for group in ended:
            waiting.remove(group)
            control.call("supervisor.removeProcessGroup", group)
            if group in changed:
                _add(control, group, report, "restarted")
            else:
                report(Step(process=group, what="removed"))
        if waiting:
            sleep(POLL_SECONDS)
    return ()


def _add(control: Supervisor, group: str, report: Callable[[Step], None], what: str) -> None:
    control.call("supervisor.addProcessGroup", group)
    report(Step(process=group, what=what))


def _has_ended(processes: Sequence[Process]) -> bool:
    return all(process.state in STOPPED_STATES for process in processes)


def _by_group(processes: Iterable[Process]) -> dict[str, list[Process]]:
    groups: dict[str, list[Process]] = {}
    for process in processes:
        groups.setdefault(process.group, []).append(process)
    return groups
