"""The client of the extension that runs inside supervisord, see `gearfleet.supervisor.reconcile`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xmlrpc.client import Fault

from gearfleet.errors import SupervisorError
from gearfleet.supervisor.control import UNKNOWN_METHOD
from gearfleet.supervisor.processes import namespec
from gearfleet.supervisor.reconcile import API

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from gearfleet.supervisor.control import Supervisor

POLL_SECONDS = 0.1

#: Of supervisor.xmlrpc.Faults.
CANT_REREAD = 92


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessChange:
    """What becomes of one process.

    Attributes:
        group: of it.
        name: within the group.
        action: `add`, `remove`, `replace`, `adjust` (as it runs), or `restart` (with all others
            of its group).
        state: that it is in now; empty where it does not exist yet.
        pid: 0 while nothing runs.
        run_dir: where its board is, if it is a worker.
    """

    group: str
    name: str
    action: str
    state: str = ""
    pid: int = 0
    run_dir: str = ""

    @property
    def namespec(self) -> str:
        return namespec(self.group, self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something that happened to a process."""

    process: str
    what: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.process}: {self.what}{f' ({self.detail})' if self.detail else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    """Why a group was not brought to the configuration."""

    group: str
    reason: str
    untouched: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What would become of processes, and how many stay as they are."""

    changes: tuple[ProcessChange, ...]
    kept: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalePreview(Preview):
    """What another number of processes would change.

    Attributes:
        programs: the new numbers, by program.
        named: those of the given names that are of groups.
        directory: of the rendered files, on the host of supervisord.
        files: that would be changed there.
        groups: that would be brought to them.
    """

    programs: Mapping[str, int]
    named: frozenset[str]
    directory: str
    files: tuple[str, ...]
    groups: tuple[str, ...]


class Extension:
    """The extension of the supervisord that `control` talks to.

    Every method raises `SupervisorError`, as those of `Supervisor` do.
    """

    def __init__(self, control: Supervisor) -> None:
        self._control = control

    def missing(self) -> str:
        """Return why it cannot be used; empty where it can."""
        try:
            told = self._control.call("gearfleet.version")
        except SupervisorError as error:
            if not _is_unknown_method(error):
                raise
            return (
                "supervisord has not loaded gearfleet's extension: paste the lines of `gearfleet "
                "supervisor-conf` into its configuration and restart it once"
            )
        if told["api"] != API:
            return (
                f"supervisord runs the extension of gearfleet {told['gearfleet']}, which speaks "
                "another version; restart supervisord once, and this one is loaded"
            )
        return str(told["refusal"])

    def preview(self, text: str, groups: Sequence[str]) -> Preview:
        """Return what the configuration `text` would change in `groups`."""
        told = self._control.call("gearfleet.preview", text, list(groups))
        return Preview(changes=_changes(told), kept=told["kept"])

    def reconcile(
        self,
        groups: Sequence[str],
        *,
        max_unavailable: str,
        report: Callable[[Step], None],
        sleep: Callable[[float], None] = time.sleep,
    ) -> tuple[Halt, ...]:
        """Bring `groups` to the configuration on disk; return those that were halted.

        supervisord does it; should we end before it is done, it goes on.
        """
        since = self._control.call("gearfleet.reconcile", list(groups), max_unavailable)
        return self._follow(since, groups, report, sleep)

    def preview_scale(self, targets: Mapping[str, int]) -> ScalePreview:
        """Return what other numbers of processes would change in the files over there."""
        told = self._control.call("gearfleet.preview_scale", dict(targets))
        return ScalePreview(
            changes=_changes(told),
            kept=told["kept"],
            programs=told["programs"],
            named=frozenset(told["named"]),
            directory=told["directory"],
            files=tuple(told["files"]),
            groups=tuple(told["groups"]),
        )

    def scale(
        self,
        targets: Mapping[str, int],
        groups: Sequence[str],
        *,
        max_unavailable: str,
        report: Callable[[Step], None],
        sleep: Callable[[float], None] = time.sleep,
    ) -> tuple[Halt, ...]:
        """Change the files over there, and bring `groups` to them as `reconcile` does."""
        since = self._control.call("gearfleet.scale", dict(targets), max_unavailable)
        return self._follow(since, groups, report, sleep)

    def _follow(
        self,
        since: int,
        groups: Sequence[str],
        report: Callable[[Step], None],
        sleep: Callable[[float], None],
    ) -> tuple[Halt, ...]:
        while True:
            told = self._control.call("gearfleet.progress", since)
            for event in told["events"]:
                since = event["number"]
                report(Step(process=event["process"], what=event["what"], detail=event["detail"]))
            if not set(groups).intersection(told["active"]):
                return tuple(_halts(told["failed"], groups))
            sleep(POLL_SECONDS)


def _changes(told: Mapping[str, Any]) -> tuple[ProcessChange, ...]:
    return tuple(ProcessChange(**row) for row in told["processes"])


def _halts(failed: Iterable[dict[str, Any]], groups: Sequence[str]) -> Iterable[Halt]:
    for each in failed:
        if each["group"] in groups:
            yield Halt(
                group=each["group"], reason=each["reason"], untouched=tuple(each["untouched"])
            )


def _is_unknown_method(error: SupervisorError) -> bool:
    return _is_fault(error, UNKNOWN_METHOD)


def is_refusal_to_read(error: SupervisorError) -> bool:
    """Tell whether supervisord could not read its configuration, and so changed nothing."""
    return _is_fault(error, CANT_REREAD)


def _is_fault(error: SupervisorError, code: int) -> bool:
    cause = error.__cause__
    return isinstance(cause, Fault) and cause.faultCode == code
