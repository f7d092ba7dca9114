"""``gearfleet apply``: files in place, and the running fleet as they say."""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from gearfleet.cli.hosts import DEFAULT_CONFIG, require_configuration
from gearfleet.errors import EXIT_FAILED, SupervisorError, SupervisorUnreachable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence

    from gearfleet.cli.builder import Verbs
    from gearfleet.cli.output import Output
    from gearfleet.fleet.install import Changes, Installation
    from gearfleet.supervisor.extension import Halt, Preview, ProcessChange, Step
    from gearfleet.worker.boards import JobInHand

#: What is said of each action, before it is done.
WORDS = {
    "add": "will be started",
    "remove": "will drain and go",
    "replace": "will be replaced",
    "restart": "will be restarted, and all of its group with it",
    "adjust": "is told as it runs",
}


def add_verbs(verbs: Verbs) -> None:
    """Add the verb ``apply``."""
    from gearfleet.cli.render import add_force, add_target, add_what_to_render

    parser = verbs.add("apply", apply)
    add_target(parser)
    parser.add_argument(
        "-c",
        "--configuration",
        type=Path,
        default=Path(DEFAULT_CONFIG),
        metavar="FILE",
        help="the main supervisord.conf (default: %(default)s)",
    )
    add_how(parser)
    add_force(parser)
    add_what_to_render(parser)


def add_how(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how carefully a fleet is changed."""
    from gearfleet.supervisor.waves import DEFAULT_MAX_UNAVAILABLE, MaxUnavailable

    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="only say what would become of each process, and which job it is running now",
    )
    parser.add_argument(
        "--yes",
        action="store_true",
        help="also restart whole groups, where supervisord has not loaded gearfleet's extension",
    )
    parser.add_argument(
        "--max-unavailable",
        type=MaxUnavailable.parse,
        default=DEFAULT_MAX_UNAVAILABLE,
        metavar="N|P%",
        help="how many processes of a group are replaced at the same time, or which share of "
        "them (default: %(default)s)",
    )


def apply(args: argparse.Namespace, output: Output) -> int:
    """Render the fleet, put the files in place, and bring supervisord to them."""
    from gearfleet.cli.render import files_of
    from gearfleet.fleet.install import installation

    require_configuration(args.configuration)
    with installation(files_of(args), args.output, force=args.force) as ready:
        try:
            change = prepare(ready, args.configuration, args, output)
        except SupervisorUnreachable as error:
            raise SupervisorUnreachable(
                f"{error} Nothing was changed. To write the files without it: "
                f"gearfleet render -o {args.output}"
            ) from error
    return change.carried_out()


def prepare(
    ready: Installation, configuration: Path, args: argparse.Namespace, output: Output
) -> Change:
    """Say what will be and put the files in place, as far as the options of `add_how` let us."""
    from gearfleet.fleet.checks.reading import read_main
    from gearfleet.fleet.staged import staged
    from gearfleet.supervisor.apply import jobs_in_hand, way_to
    from gearfleet.supervisor.control import Supervisor

    now = read_main(configuration, os.environ)
    way = way_to(
        Supervisor.from_config(configuration),
        now=now,
        then=staged(now, ready),
        max_unavailable=str(args.max_unavailable),
    )
    preview = way.preview(ready.groups)
    change = Change(ready, way, preview, jobs_in_hand(preview.changes), output)
    change.begin(args)
    return change


class Files(Protocol):
    """The files that a change is about: an `Installation`, or those of another host."""

    @property
    def target(self) -> Path: ...
    @property
    def changes(self) -> Changes: ...
    @property
    def groups(self) -> tuple[str, ...]: ...

    def commit(self) -> None: ...
    def roll_back(self) -> None: ...
    def settle(self) -> None: ...


class Way(Protocol):
    """How supervisord is brought to them, see `gearfleet.supervisor.apply`."""

    @property
    def lacking(self) -> str: ...

    def carry_out(
        self, groups: Sequence[str], report: Callable[[Step], None]
    ) -> tuple[Halt, ...]: ...


class Change:
    """One change of a running fleet, and what the user hears of it."""

    def __init__(
        self,
        ready: Files,
        way: Way,
        preview: Preview,
        jobs: Mapping[str, list[JobInHand]],
        output: Output,
    ) -> None:
        self._ready = ready
        self._way = way
        self._preview = preview
        self._jobs = jobs
        self._output = output
        self._say = output.talk if output.json else output.line
        self._is_refused = False
        self.is_committed = False
        self.steps: list[Step] = []
        self.halts: tuple[Halt, ...] = ()

    def begin(self, args: argparse.Namespace) -> None:
        """Say what will be and put the files in place, as far as the options of `add_how` do."""
        self.say_what_will_be()
        if not args.dry_run and self.is_allowed(restarts=args.yes):
            self.commit()

    @property
    def restarts(self) -> list[ProcessChange]:
        """The running processes that an `update` would restart."""
        return [each for each in self._preview.changes if each.action == "restart" and each.pid]

    def say_what_will_be(self) -> None:
        changes = self._ready.changes
        for word in ("added", "changed", "removed"):
            for name in getattr(changes, word):
                self._say(f"{word:8} {self._ready.target / name}")
        if self._way.lacking:
            self._output.talk(f"gearfleet: {self._way.lacking}.")
        for each in self._preview.changes:
            self._say(f"{each.namespec}: {WORDS[each.action]}{self._now(each)}")
        self._say(self._counts())

    def _now(self, change: ProcessChange) -> str:
        jobs = self._jobs.get(change.namespec, [])
        if not jobs:
            return f" ({change.state})" if change.state not in ("", "RUNNING") else ""
        return "; now: " + ", ".join(_job_words(job) for job in jobs)

    def _counts(self) -> str:
        counts = Counter(each.action for each in self._preview.changes)
        said = [f"{count} to {action}" for action, count in sorted(counts.items())]
        return f"{', '.join([*said, f'{self._preview.kept} stay as they are'])}"

    def step(self, step: Step) -> None:
        """Say what has happened."""
        self.steps.append(step)
        self._say(str(step))

    def is_allowed(self, *, restarts: bool) -> bool:
        """Return whether it may be done; if not, say why."""
        if restarts or not self.restarts:
            return True
        names = ", ".join(each.namespec for each in self.restarts)
        self._output.talk(
            "gearfleet: nothing was changed: without the extension these running processes have "
            f"to be restarted, all of a group at the same time: {names}. Jobs in hand are "
            "finished. To do so, say --yes"
        )
        self._is_refused = True
        return False

    def commit(self) -> None:
        """Put the files in place."""
        self._ready.commit()
        self.is_committed = True

    def carried_out(self) -> int:
        """Carry it out, print what happened as JSON if so wanted, and return the exit code."""
        code = self.carry_out()
        if self._output.json:
            self._output.data(self.data())
        return code

    def carry_out(self) -> int:
        """Bring supervisord to the files that were committed, and return the exit code."""
        if self.is_committed:
            self.halts = self._halts()
            if not self.halts:
                self._ready.settle()
        return self._end()

    def _halts(self) -> tuple[Halt, ...]:
        from gearfleet.supervisor.extension import is_refusal_to_read

        try:
            return self._way.carry_out(self._ready.groups, self.step)
        except SupervisorError as error:
            if is_refusal_to_read(error):
                # It would refuse everybody's changes for as long as these files are there.
                self._ready.roll_back()
                self._output.talk("gearfleet: the files are as they were before")
            raise
        except KeyboardInterrupt:
            if not self._way.lacking:
                self._output.talk("gearfleet: supervisord goes on; apply again to see the rest")
            raise

    def _end(self) -> int:
        for halt in self.halts:
            self._output.talk(f"gearfleet: {halt.group}: halted: {halt.reason}")
            if halt.untouched:
                self._output.talk(f"gearfleet: not replaced: {', '.join(halt.untouched)}")
        if self.halts:
            self._output.talk("gearfleet: mend it and apply again: what is done is not done twice")
        killed = [step.process for step in self.steps if step.what == "killed"]
        if killed:
            self._output.talk(
                f"gearfleet: killed after stopwaitsecs, with the job in hand: {', '.join(killed)}"
            )
        return EXIT_FAILED if self.halts or killed or self._is_refused else 0

    def summary(self) -> str:
        """Return what came of it, or would, in a few words."""
        if not self.is_committed:
            return self._counts()
        if self.halts:
            return "; ".join(f"{halt.group}: {halt.reason}" for halt in self.halts)
        counts = Counter(step.what for step in self.steps)
        return ", ".join(f"{count} {what}" for what, count in counts.items()) or "nothing to do"

    def data(self) -> dict[str, Any]:
        """Return all of it, for ``--json``."""
        now = time.time()
        changes = asdict(self._ready.changes)
        return {
            "directory": str(self._ready.target),
            "files": {word: list(names) for word, names in changes.items()},
            "extension": not self._way.lacking,
            "lacking": self._way.lacking,
            "processes": [self._row(each, now) for each in self._preview.changes],
            "kept": self._preview.kept,
            "steps": [asdict(step) for step in self.steps],
            "halted": [asdict(halt) for halt in self.halts],
        }

    def _row(self, change: ProcessChange, now: float) -> dict[str, Any]:
        return {
            "group": change.group,
            "process": change.name,
            "action": change.action,
            "state": change.state,
            "pid": change.pid,
            "jobs": [
                {"task": job.task, "handle": job.handle, "seconds": round(now - job.started, 3)}
                for job in self._jobs.get(change.namespec, [])
            ],
        }


def _job_words(job: JobInHand) -> str:
    return f"{job.task} {job.handle} for {time.time() - job.started:.0f} s"
