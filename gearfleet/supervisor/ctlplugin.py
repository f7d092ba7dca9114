"""The command `gearfleet` in supervisorctl.

    [ctlplugin:gearfleet]
    supervisor.ctl_factory = gearfleet.supervisor.ctlplugin:make_controllerplugin
    servers = 127.0.0.1:4730
    run_dir = /run/gearfleet

It needs the standard library and supervisor, and no settings of a project.
supervisorctl splits the line at white space, looks its own commands up first and
ends with `ctl.exitstatus`, which is sticky and therefore set on every path.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn
from xmlrpc.client import ProtocolError

from supervisor.supervisorctl import (
    ControllerPluginBase,
    LSBInitExitStatuses,
    LSBStatusExitStatuses,
)

from gearfleet.errors import GearfleetError, UnknownName, UsageError
from gearfleet.supervisor import report, verbs
from gearfleet.supervisor.address import Address
from gearfleet.supervisor.control import UNAUTHORIZED, Supervisor
from gearfleet.supervisor.machine import START_TIMEOUT, parse_timeout
from gearfleet.supervisor.paste import split_servers
from gearfleet.supervisor.registrations import ask
from gearfleet.supervisor.waves import DEFAULT_MAX_UNAVAILABLE, MaxUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gearfleet.supervisor.events import Event, SwitchResult

USAGE = """\
gearfleet restart GROUP...   restart a few processes at a time; jobs in hand are finished
gearfleet status [GROUP...]  show states; exit status 3 if a process is not healthy
gearfleet stop GROUP...      stop all at once; jobs in hand are finished
gearfleet start GROUP...     start all at once, and wait until they run
gearfleet help [VERB]        show this, or the options of VERB

GROUP is a group (bar, bar:, bar:*), one process of it (bar:worker_bar_00), or all."""

SUCCESS: int = LSBInitExitStatuses.SUCCESS
FAILED: int = LSBInitExitStatuses.GENERIC
UNHEALTHY: int = LSBStatusExitStatuses.NOT_RUNNING


def make_controllerplugin(controller: Any, **config: str) -> GearfleetPlugin:
    """Return the plugin for supervisorctl; `config` is the rest of its section.

    `servers` are job servers, separated by commas or spaces. Other keys are
    accepted, so that a newer section does not break every supervisorctl command.
    """
    plugin = GearfleetPlugin(controller, servers=split_servers(config.get("servers", "")))
    controller.complete = Completer(plugin, controller.complete)
    return plugin


class GearfleetPlugin(ControllerPluginBase):  # type: ignore[misc]
    """The verbs of gearfleet inside supervisorctl."""

    name = "gearfleet"

    def __init__(self, controller: Any, *, servers: Sequence[str]) -> None:
        super().__init__(controller)
        self._servers = servers

    def do_gearfleet(self, arg: str) -> None:
        self.ctl.exitstatus = self._status_of(arg.split())

    do_gearfleet.__doc__ = USAGE

    def help_gearfleet(self) -> None:
        self._say(USAGE)

    def do_help(self, arg: str) -> None:
        """Answer for our own command only; other plugins answer for theirs."""
        words = arg.split()
        if not words:
            super().do_help("")
        elif words[0] == "gearfleet":
            self.do_gearfleet(" ".join(("help", *words[1:])))

    def _status_of(self, words: Sequence[str]) -> int:
        """Run the verb; whatever goes wrong ends in one line and a status."""
        try:
            return self._run(words)
        except GearfleetError as error:
            self._let_supervisorctl_ask_for_a_password(error)
            return self._complain(str(error), error.exit_code)
        except KeyboardInterrupt:
            return self._complain("interrupted", FAILED)
        except Exception as error:
            return self._complain(f"{type(error).__name__}: {error}", FAILED)

    def _let_supervisorctl_ask_for_a_password(self, error: GearfleetError) -> None:
        cause = error.__cause__
        wants_password = isinstance(cause, ProtocolError) and cause.errcode == UNAUTHORIZED
        if cause and wants_password and self.ctl.options.interactive:
            raise cause

    def _run(self, words: Sequence[str]) -> int:
        name, *rest = words or ["help"]
        if name not in VERBS and name not in HELP:
            raise UnknownName.of("verb", name, [*VERBS, "help"])
        if name in HELP or {"-h", "--help"} & set(rest):
            return self._help(rest if name in HELP else [name])
        verb = VERBS[name]
        return verb.run(self, verb.parser(name).parse_args(rest))

    def _help(self, names: Sequence[str]) -> int:
        for name in names:
            if name not in VERBS:
                raise UnknownName.of("verb", name, VERBS)
            self._say(VERBS[name].parser(name).format_help().rstrip())
        if not names:
            self._say(USAGE)
        return SUCCESS

    def control(self) -> Supervisor:
        """Return the supervisord that this supervisorctl talks to, with our deadlines."""
        options = self.ctl.options
        address = Address.from_url(
            options.serverurl, username=options.username, password=options.password
        )
        return Supervisor(address)

    def restart(self, options: argparse.Namespace) -> int:
        results = verbs.restart(
            self.control(),
            options.groups,
            max_unavailable=options.max_unavailable,
            timeout=options.timeout,
            registrations=ask(self._servers, self._report),
            report=self._report,
        )
        for result in results:
            self._say(report.summary(result))
        for advice in (advice for result in results for advice in report.advice(result)):
            self._complain(advice, FAILED)
        return SUCCESS if all(result.ok for result in results) else FAILED

    def stop(self, options: argparse.Namespace) -> int:
        return self._switched(verbs.stop(self.control(), options.groups, report=self._report))

    def start(self, options: argparse.Namespace) -> int:
        timeout = options.timeout
        return self._switched(
            verbs.start(self.control(), options.groups, timeout=timeout, report=self._report)
        )

    def _switched(self, result: SwitchResult) -> int:
        self._say(report.switch_summary(result))
        for advice in report.switch_advice(result):
            self._complain(advice, FAILED)
        return SUCCESS if result.ok else FAILED

    def status(self, options: argparse.Namespace) -> int:
        processes = verbs.status(self.control(), options.groups)
        for line in report.status_lines(processes):
            self._say(line)
        return SUCCESS if all(process.is_healthy for process in processes) else UNHEALTHY

    def _report(self, event: Event) -> None:
        if said := report.text(event):
            self._say(said)

    def _say(self, text: str) -> None:
        self.ctl.output(text)
        self.ctl.stdout.flush()  # a rollout is watched, also through a pipe

    def _complain(self, text: str, status: int) -> int:
        print(f"gearfleet: {text}", file=sys.stderr, flush=True)
        return status


class _Parser(argparse.ArgumentParser):
    """A parser that never ends supervisorctl, which may be a shell with other work to do."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see `{self.prog.replace(' ', ' help ', 1)}`)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """What one verb does, and the options that it takes."""

    run: Callable[[GearfleetPlugin, argparse.Namespace], int]
    description: str
    groups: str = "+"
    options: tuple[str, ...] = ()

    def parser(self, name: str) -> argparse.ArgumentParser:
        parser = _Parser(
            prog=f"gearfleet {name}",
            description=self.description,
            add_help=False,
            allow_abbrev=False,
        )
        for option in self.options:
            parser.add_argument(option, **OPTIONS[option])
        parser.add_argument("groups", nargs=self.groups, metavar="GROUP", help=GROUP_HELP)
        return parser


GROUP_HELP = "a group (bar), one process of it (bar:worker_bar_00), or all"

OPTIONS: dict[str, dict[str, Any]] = {
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

HELP = {"help", "--help", "-h"}

VERBS = {
    "restart": Verb(
        run=GearfleetPlugin.restart,
        description="Restart the processes of groups in waves, and never the last running one "
        "of a program that has several. A worker finishes the job in hand. The next process is "
        "taken when the one before serves again; a failure halts the restart.",
        options=("--max-unavailable", "--timeout"),
    ),
    "status": Verb(
        run=GearfleetPlugin.status,
        description="Show the states of processes. The exit status is 3 if one is STOPPED, "
        "EXITED, BACKOFF, FATAL or UNKNOWN.",
        groups="*",
    ),
    "stop": Verb(
        run=GearfleetPlugin.stop,
        description="Stop all processes of groups at the same time, and wait until the jobs in "
        "hand are finished.",
    ),
    "start": Verb(
        run=GearfleetPlugin.start,
        description="Start all processes of groups at the same time, and wait until they run.",
        options=("--timeout",),
    ),
}


class Completer:
    """Completes what follows `gearfleet` when the tab key is pressed, and leaves the rest alone.

    supervisorctl knows its own commands only, and never calls complete_<command>.
    """

    def __init__(self, plugin: GearfleetPlugin, stock: Callable[..., str | None]) -> None:
        self._plugin = plugin
        self._stock = stock
        self._matches: list[str] = []

    def __call__(self, text: str, state: int, line: str | None = None) -> str | None:
        """Return the match number `state`, or None after the last one, as readline wants it."""
        if line is None:
            import readline

            line = readline.get_line_buffer()
        before = line[: len(line) - len(text)].split()
        if before[:1] != ["gearfleet"]:
            return self._stock(text, state, line)
        if state == 0:
            words = self._words(before[1:])
            self._matches = [f"{word} " for word in words if word.startswith(text)]
        return self._matches[state] if state < len(self._matches) else None

    def _words(self, before: Sequence[str]) -> list[str]:
        if not before:
            return [*VERBS, "help"]
        if before[0] not in VERBS:
            return list(VERBS) if before[0] in HELP else []
        return [*self._names(), *VERBS[before[0]].options]

    def _names(self) -> list[str]:
        try:
            processes = self._plugin.control().processes()
        except GearfleetError:
            return []  # there is nothing to complete, and no place to say why
        groups = dict.fromkeys(process.group for process in processes)
        return [*groups, "all", *(f"{process.group}:{process.name}" for process in processes)]
