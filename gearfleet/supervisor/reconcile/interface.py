"""The methods that a client calls, as ``gearfleet.NAME``; each returns at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from supervisor.options import VERSION
from supervisor.states import getProcessStateDescription
from supervisor.xmlrpc import Faults, RPCError

from gearfleet._version import __version__
from gearfleet.errors import GearfleetError
from gearfleet.supervisor.reconcile import API, internals
from gearfleet.supervisor.reconcile.numbers import prepared
from gearfleet.supervisor.waves import MaxUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gearfleet.supervisor.reconcile.difference import Difference
    from gearfleet.supervisor.reconcile.engine import Engine

T = TypeVar("T")

#: The actions of a preview, by the attribute of `Difference` that has the names.
ACTIONS = ("add", "remove", "replace", "adjust")


class Interface:
    """What Supervisor shows of the extension on one of its sockets."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def version(self) -> dict[str, Any]:
        """Tell which extension this is, and whether it knows this Supervisor.

        @return struct result  `api`, `gearfleet`, `supervisor`, and `refusal`: empty if all is well
        """
        return {
            "api": API,
            "gearfleet": __version__,
            "supervisor": VERSION,
            "refusal": internals.unknown_version(),
        }

    def preview(self, text: str, names: list[str]) -> dict[str, Any]:
        """Tell what a configuration would change in groups; nothing is changed.

        @param string text  the whole configuration, in one text
        @param array names  of the groups
        @return struct result  `processes`: an array of structs; `kept`: how many stay as they are
        """
        self._refuse_if_needed()
        return self._told(_answered(lambda: self._engine.preview(text, names)))

    def reconcile(self, names: list[str], max_unavailable: str) -> int:
        """Read the configuration and begin to bring groups to it, also with nobody watching.

        @param array names  of the groups; one that is not in the configuration drains and goes
        @param string max_unavailable  how many of a group are replaced at a time: 2 or 25%
        @return int last  the number of the last event before this
        """
        self._refuse_if_needed()
        last = self._engine.last
        _answered(lambda: self._engine.begin(names, MaxUnavailable.parse(max_unavailable)))
        return last

    def preview_scale(self, targets: dict[str, int]) -> dict[str, Any]:
        """Tell what other numbers of processes would change; nothing is changed.

        @param struct targets  numbers, by the name of a group or program that gearfleet rendered
        @return struct result  `processes` and `kept` as of `preview`; `programs`: the new numbers; \
`named`: groups that were named; `directory`, `files`: what is changed there; `groups`: of all
        """
        self._refuse_if_needed()
        return _answered(lambda: self._preview_scale(targets))

    def scale(self, targets: dict[str, int], max_unavailable: str) -> int:
        """Put files with other numbers of processes in place, and begin to bring groups to them.

        @param struct targets  as of `preview_scale`
        @param string max_unavailable  as of `reconcile`
        @return int last  the number of the last event before this
        """
        self._refuse_if_needed()
        last = self._engine.last
        _answered(lambda: self._scale(targets, MaxUnavailable.parse(max_unavailable)))
        return last

    def progress(self, since: int) -> dict[str, Any]:
        """Tell what happened, and what is under way.

        @param int since  the number of the last event that is known already
        @return struct result  `active`: groups; `failed`: an array of structs; `events`: of structs
        """
        engine = self._engine
        return {
            "active": engine.active(),
            "failed": [
                {"group": name, "reason": job.failure, "untouched": list(job.untouched)}
                for name, job in engine.failed().items()
            ],
            "events": [
                {"number": number, "process": process, "what": what, "detail": detail}
                for number, process, what, detail in engine.events(since)
            ],
        }

    def _preview_scale(self, targets: dict[str, int]) -> dict[str, Any]:
        with prepared(self._engine.supervisord, targets) as made:
            found = self._engine.preview(made.text, made.ready.groups)
            return {
                **self._told(found),
                "programs": dict(made.scaled.programs),
                "named": sorted(made.scaled.groups),
                "directory": str(made.ready.target),
                "files": list(made.ready.changes.changed),
                "groups": list(made.ready.groups),
            }

    def _scale(self, targets: dict[str, int], share: MaxUnavailable) -> None:
        with prepared(self._engine.supervisord, targets) as made:
            self._engine.preview(made.text, made.ready.groups)
            made.ready.commit()
        try:
            self._engine.begin(made.ready.groups, share)
        except ValueError:
            made.ready.roll_back()
            raise

    def _told(self, found: Mapping[str, Difference]) -> dict[str, Any]:
        return {
            "processes": [row for name, each in found.items() for row in self._rows(name, each)],
            "kept": sum(len(each.keep) for each in found.values()),
        }

    def _rows(self, group: str, found: Difference) -> list[dict[str, Any]]:
        return [
            {"group": group, "name": name, "action": action, **self._now(group, name)}
            for action in ACTIONS
            for name in getattr(found, action)
        ]

    def _now(self, group: str, name: str) -> dict[str, Any]:
        live = self._engine.supervisord.process_groups.get(group)
        process = live.processes.get(name) if live is not None else None
        if process is None:
            return {"state": "", "pid": 0, "run_dir": ""}
        return {
            "state": getProcessStateDescription(process.get_state()),
            "pid": process.pid,
            "run_dir": (process.config.environment or {}).get("GEARFLEET_RUN_DIR", ""),
        }

    def _refuse_if_needed(self) -> None:
        if not internals.is_serving(self._engine.supervisord):
            raise RPCError(Faults.SHUTDOWN_STATE)
        if refusal := internals.unknown_version():
            raise RPCError(Faults.FAILED, refusal)


def _answered(act: Callable[[], T]) -> T:
    """Return what `act` returns; Supervisor would answer our errors with an HTTP 500."""
    try:
        return act()
    except ValueError as error:
        raise RPCError(Faults.CANT_REREAD, str(error)) from error
    except GearfleetError as error:
        raise RPCError(Faults.BAD_ARGUMENTS, str(error)) from error
    except Exception as error:
        raise RPCError(Faults.FAILED, f"{type(error).__name__}: {error}") from error
