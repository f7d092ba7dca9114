"""What supervisorctl's plugin and the command line have in common: the verbs, said aloud.

Each function does one of `verbs`, says what happens meanwhile and what came of
it, and returns the result. How a line reaches the user is the door's business.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gearfleet.supervisor import report, verbs
from gearfleet.supervisor.machine import START_TIMEOUT, parse_timeout
from gearfleet.supervisor.registrations import ask
from gearfleet.supervisor.waves import DEFAULT_MAX_UNAVAILABLE, MaxUnavailable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence

    from gearfleet.supervisor.control import Supervisor
    from gearfleet.supervisor.events import Event, RolloutResult, SwitchResult
    from gearfleet.supervisor.processes import Process

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
    "--timeout": {
        "type": parse_timeout,
        "default": START_TIMEOUT,
        "metavar": "SECONDS",
        "help": "how long a started process may take, beyond its startsecs, until it serves "
        "(default: %(default)g)",
    },
}


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
            parser.add_argument(option, **OPTIONS[option])
        parser.add_argument("groups", nargs=self.groups, metavar="GROUP", help=GROUP_HELP)


DESCRIPTIONS: Mapping[str, Description] = {
    "restart": Description(
        text="Restart the processes of groups in waves, and never the last running one "
        "of a program that has several. A worker finishes the job in hand. The next process is "
        "taken when the one before serves again; a failure halts the restart.",
        options=("--max-unavailable", "--timeout"),
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
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """How a door says a line, and how it complains."""

    say: Callable[[str], None]
    complain: Callable[[str], None]

    def tell(self, event: Event) -> None:
        """Say what happens."""
        if said := report.text(event):
            self.say(said)


def restart(
    control: Supervisor, options: argparse.Namespace, voice: Voice, *, servers: Sequence[str]
) -> tuple[RolloutResult, ...]:
    """Restart groups in waves; `servers` are asked who serves again."""
    results = verbs.restart(
        control,
        options.groups,
        max_unavailable=options.max_unavailable,
        timeout=options.timeout,
        registrations=ask(servers, voice.tell),
        report=voice.tell,
    )
    for result in results:
        voice.say(report.summary(result))
    for result in results:
        _complain(voice, report.advice(result))
    return results


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


def _switched(result: SwitchResult, voice: Voice) -> SwitchResult:
    voice.say(report.switch_summary(result))
    _complain(voice, report.switch_advice(result))
    return result


def _complain(voice: Voice, lines: Sequence[str]) -> None:
    for line in lines:
        voice.complain(line)
