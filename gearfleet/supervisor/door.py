"""What supervisorctl's plugin and the command line have in common: the verbs, said aloud.

Each function does one of `verbs`, says what happens meanwhile and what came of
it, and returns the result. How a line reaches the user is the door's business.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from gearfleet.errors import UsageError
from gearfleet.supervisor import report, verbs
from gearfleet.supervisor.machine import START_TIMEOUT, parse_pause, parse_timeout
from gearfleet.supervisor.progress import shown
from gearfleet.supervisor.quiet import QUIET, RESUME, tell
from gearfleet.supervisor.registrations import ask
from gearfleet.supervisor.tail import DEFAULT_LINES, parse_lines, tail
from gearfleet.supervisor.waves import DEFAULT_MAX_UNAVAILABLE, MaxUnavailable
from gearfleet.supervisor.workers import look_into, nothing
from gearfleet.worker.client_ids import shown_host

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from gearfleet.supervisor.control import Supervisor
    from gearfleet.supervisor.events import Event, QuietResult, RolloutResult, SwitchResult
    from gearfleet.supervisor.processes import Process
    from gearfleet.supervisor.quiet import Change
    from gearfleet.supervisor.tail import Line
    from gearfleet.supervisor.workers import Look

GROUP_HELP = "a group (bar), one process of it (bar:worker_bar_00), or all"

#: The options of the verbs, as argparse takes them.
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "--max-unavailable": {
        "type": MaxUnavailable.parse,
        "default": DEFAULT_MAX_UNAVAILABLE,
        "metavar": "N|P%",
        "help": "how many processes of a group may be away at the same time, or which share of "
        "them, rounded down but at least 1 (default: %(default)s)",
    },
    "--pause": {
        "type": parse_pause,
        "default": 0.0,
        "metavar": "SECONDS",
        "help": "how long nothing is taken after a process has come back (default: %(default)g)",
    },
    "--only-changed": {
        "action": "store_true",
        "help": "leave those processes alone that run the release of the new code already",
    },
    "--release": {
        "metavar": "NAME",
        "help": "the release of the new code, for --only-changed (default: that of the project)",
    },
    "--lines": {
        "type": parse_lines,
        "default": DEFAULT_LINES,
        "metavar": "N",
        "help": "how many lines of each process come first (default: %(default)d)",
    },
    "--follow": {"action": "store_true", "help": "go on with what is written, until Ctrl-C"},
    "--timeout": {
        "type": parse_timeout,
        "default": START_TIMEOUT,
        "metavar": "SECONDS",
        "help": "how long a started process may take, beyond its startsecs, until it serves "
        "(default: %(default)g)",
    },
}


#: Their short forms.
SHORT: Mapping[str, str] = {"--lines": "-n", "--follow": "-f"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """One verb, as `help` tells it.

    Attributes:
        text: what it does.
        groups: how many groups it takes, in argparse's words.
        options: that it takes, keys of `OPTIONS`.
    """

    text: str
    groups: str = "+"
    options: tuple[str, ...] = ()

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the groups and the options of the verb to its parser."""
        for option in self.options:
            flags = [SHORT[option], option] if option in SHORT else [option]
            parser.add_argument(*flags, **OPTIONS[option])
        parser.add_argument("groups", nargs=self.groups, metavar="GROUP", help=GROUP_HELP)


DESCRIPTIONS: Mapping[str, Description] = {
    "restart": Description(
        text="Restart the processes of groups in waves, and never the last running one "
        "of a program that has several. A worker finishes the job in hand. The next process is "
        "taken when the one before serves again; a failure halts the restart. Pools stay, and "
        "replace their workers.",
        options=("--max-unavailable", "--pause", "--timeout", "--only-changed", "--release"),
    ),
    "status": Description(
        text="Show the states of processes. The command fails if one is STOPPED, EXITED, "
        "BACKOFF, FATAL or UNKNOWN.",
        groups="*",
    ),
    "stop": Description(
        text="Stop all processes of groups at the same time, and wait until the jobs in "
        "hand are finished.",
    ),
    "start": Description(
        text="Start all processes of groups at the same time, and wait until they run.",
        options=("--timeout",),
    ),
    "tail": Description(
        text="Show the last lines of the logs of all processes of groups, each with the name of "
        "its process.",
        options=("--lines", "--follow"),
    ),
    "quiet": Description(
        text="Have the workers of groups finish the job in hand and take no other; they stay. "
        "One that is restarted is not quiet any more.",
    ),
    "resume": Description(text="Have the workers of groups take jobs again."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """How a door says a line, and how it complains.

    Attributes:
        terminal: where a bar may be drawn below the lines, if it is a terminal.
    """

    say: Callable[[str], None]
    complain: Callable[[str], None]
    terminal: TextIO | None = None

    def tell(self, event: Event) -> None:
        """Say what happens."""
        if said := report.text(event):
            self.say(said)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What is known of the workers of a supervisord, besides what it says itself.

    Attributes:
        servers: job servers, "host:port", that say who is registered.
        run_dir: of the workers, where they are on this host; None where nobody knows.
        host: on which they run, by its own name; empty for this one, or where nobody knows.
        release: finds out which release new code has; it may raise.
    """

    servers: Sequence[str] = ()
    run_dir: Path | None = None
    host: str = ""
    release: Callable[[], str] = str

    def look(self, control: Supervisor) -> Look:
        """Return how the boards of the workers are looked at."""
        return look_into(self.run_dir) if self.run_dir and control.is_here else nothing

    def host_of(self, control: Supervisor) -> str:
        """Return the name of the host, as the job servers show it, if it is known."""
        if control.is_here:
            return shown_host()
        return shown_host(self.host) if self.host else ""


def restart(
    control: Supervisor,
    options: argparse.Namespace,
    voice: Voice,
    *,
    around: Surroundings | None = None,
) -> tuple[RolloutResult, ...]:
    """Restart groups in waves.

    Raises:
        UsageError: only what has changed is to be restarted, and nobody knows the new release;
            or a release is named for nothing.
    """
    if options.release and not options.only_changed:
        raise UsageError("--release is the one that --only-changed compares with; give both")
    around = around or Surroundings()
    release = _new_release(options, around) if options.only_changed else ""
    with shown(report.text, voice.tell, voice.terminal) as tell_it:
        results = verbs.restart(
            control,
            options.groups,
            max_unavailable=options.max_unavailable,
            pause=options.pause,
            timeout=options.timeout,
            registrations=ask(around.servers, tell_it),
            boards=around.look(control),
            host=around.host_of(control),
            release=release,
            report=tell_it,
        )
    for result in results:
        voice.say(report.summary(result))
    for result in results:
        _complain(voice, report.advice(result))
    return results


def _new_release(options: argparse.Namespace, around: Surroundings) -> str:
    if release := options.release or around.release():
        return release
    raise UsageError(
        "--only-changed: nobody knows the release of the new code. Name it with --release, or in "
        "the settings as 'release', or keep the project in a git work tree"
    )


def stop(control: Supervisor, options: argparse.Namespace, voice: Voice) -> SwitchResult:
    """Stop groups and wait until their jobs are done."""
    return _switched(verbs.stop(control, options.groups, report=voice.tell), voice)


def start(control: Supervisor, options: argparse.Namespace, voice: Voice) -> SwitchResult:
    """Start groups and wait until they run."""
    result = verbs.start(control, options.groups, timeout=options.timeout, report=voice.tell)
    return _switched(result, voice)


def status(control: Supervisor, options: argparse.Namespace, voice: Voice) -> tuple[Process, ...]:
    """Show the processes of groups, or all."""
    processes = verbs.status(control, options.groups)
    for line in report.status_lines(processes):
        voice.say(line)
    return processes


def quiet(
    control: Supervisor, options: argparse.Namespace, voice: Voice, *, around: Surroundings
) -> QuietResult:
    """Have the workers of groups take no job any more."""
    return _told(control, options, voice, around, QUIET)


def resume(
    control: Supervisor, options: argparse.Namespace, voice: Voice, *, around: Surroundings
) -> QuietResult:
    """Have the workers of groups take jobs again."""
    return _told(control, options, voice, around, RESUME)


def _told(
    control: Supervisor,
    options: argparse.Namespace,
    voice: Voice,
    around: Surroundings,
    change: Change,
) -> QuietResult:
    result = tell(
        control,
        options.groups,
        change,
        report=voice.tell,
        boards=around.look(control),
        registrations=ask(around.servers, voice.tell),
        host=around.host_of(control),
    )
    voice.say(report.quiet_summary(result))
    return result


def follow(control: Supervisor, options: argparse.Namespace, voice: Voice) -> Iterator[Line]:
    """Yield the last lines of the logs of groups, and, if so wanted, what follows."""
    names = [process.namespec for process in verbs.status(control, options.groups)]
    return tail(control, names, lines=options.lines, follow=options.follow, complain=voice.complain)


def print_tail(control: Supervisor, options: argparse.Namespace, voice: Voice) -> bool:
    """Say the lines of the logs of groups, each with its process; return whether there is a log."""
    names = [process.namespec for process in verbs.status(control, options.groups)]
    width = max((len(name) for name in names), default=0)
    complaints = 0

    def complain(text: str) -> None:
        nonlocal complaints
        complaints += 1
        voice.complain(text)

    heard = Voice(say=voice.say, complain=complain)
    for line in follow(control, options, heard):
        voice.say(f"{line.process:<{width}} | {line.text}")
    return complaints < len(names)


def _switched(result: SwitchResult, voice: Voice) -> SwitchResult:
    voice.say(report.switch_summary(result))
    _complain(voice, report.switch_advice(result))
    return result


def _complain(voice: Voice, lines: Sequence[str]) -> None:
    for line in lines:
        voice.complain(line)


def release_of_programs(control: Supervisor, groups: Sequence[str]) -> str:
    """Return the release of the code in the directory where the processes of groups run.

    It is read from the settings there, else it is the commit of the git work
    tree; empty where they run in several directories, or elsewhere.
    """
    from gearfleet.config import load, release_of

    limits = control.limits()
    names = (process.namespec for process in verbs.status(control, groups))
    directories = {limits[name].directory for name in names if name in limits}
    if len(directories) != 1 or not control.is_here:
        return ""
    (directory,) = directories
    return release_of(load(directory=Path(directory), environ={})) if directory else ""
