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
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from xmlrpc.client import ProtocolError

from supervisor.supervisorctl import (
    ControllerPluginBase,
    LSBInitExitStatuses,
    LSBStatusExitStatuses,
)

from gearfleet.errors import GearfleetError, UnknownName, UsageError
from gearfleet.supervisor import door
from gearfleet.supervisor.address import Address
from gearfleet.supervisor.control import UNAUTHORIZED, Supervisor
from gearfleet.supervisor.door import DESCRIPTIONS, Surroundings, Voice, release_of_programs
from gearfleet.supervisor.paste import split_servers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gearfleet.supervisor.events import QuietResult, SwitchResult

USAGE = """\
gearfleet restart GROUP...   restart a few processes at a time; jobs in hand are finished
gearfleet status [GROUP...]  show states; exit status 3 if a process is not healthy
gearfleet stop GROUP...      stop all at once; jobs in hand are finished
gearfleet start GROUP...     start all at once, and wait until they run
gearfleet tail GROUP...      show the last lines of the logs; -f follows them
gearfleet quiet GROUP...     have workers take no job any more; they stay
gearfleet resume GROUP...    have them take jobs again
gearfleet help [VERB]        show this, or the options of VERB

GROUP is a group (bar, bar:, bar:*), one process of it (bar:worker_bar_00), or all."""

SUCCESS: int = LSBInitExitStatuses.SUCCESS
FAILED: int = LSBInitExitStatuses.GENERIC
READER_GONE = 141  #: what a shell says of a command that SIGPIPE ended
UNHEALTHY: int = LSBStatusExitStatuses.NOT_RUNNING


def make_controllerplugin(controller: Any, **config: str) -> GearfleetPlugin:
    """Return the plugin for supervisorctl; `config` is the rest of its section.

    `servers` are job servers, separated by commas or spaces; `run_dir` is where the
    workers of this host keep their boards. Other keys are
    accepted, so that a newer section does not break every supervisorctl command.
    """
    plugin = GearfleetPlugin(
        controller,
        servers=split_servers(config.get("servers", "")),
        run_dir=Path(config["run_dir"]) if config.get("run_dir") else None,
    )
    controller.complete = Completer(plugin, controller.complete)
    controller.do_help = Helper(plugin, controller.do_help)
    return plugin


class Helper:
    """Answers `help gearfleet`; supervisorctl would first say that there is no help on it."""

    def __init__(self, plugin: GearfleetPlugin, stock: Callable[[str], None]) -> None:
        self._plugin = plugin
        self._stock = stock

    def __call__(self, arg: str) -> None:
        """Print the help that `arg` asks for."""
        name, *rest = arg.split() or [""]
        if name == GearfleetPlugin.name:
            self._plugin.do_gearfleet(" ".join(("help", *rest)))
        else:
            self._stock(arg)


class GearfleetPlugin(ControllerPluginBase):  # type: ignore[misc]
    """The verbs of gearfleet inside supervisorctl."""

    name = "gearfleet"

    def __init__(self, controller: Any, *, servers: Sequence[str], run_dir: Path | None) -> None:
        super().__init__(controller)
        self._servers = servers
        self._run_dir = run_dir

    def do_gearfleet(self, arg: str) -> None:
        self.ctl.exitstatus = self._status_of(arg.split())

    do_gearfleet.__doc__ = USAGE

    def do_help(self, arg: str) -> None:
        """List our command; about others nothing is known here, and `Helper` tells of ours."""
        if not arg.strip():
            super().do_help("")

    def _status_of(self, words: Sequence[str]) -> int:
        """Run the verb; whatever goes wrong ends in one line and a status."""
        try:
            return self._run(words)
        except GearfleetError as error:
            self._let_supervisorctl_ask_for_a_password(error)
            _complain(str(error))
            return error.exit_code
        except KeyboardInterrupt:
            _complain("interrupted")
        except BrokenPipeError:
            return _let_go_of_stdout()
        except Exception as error:
            _complain(f"{type(error).__name__}: {error}")
        return FAILED

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
        return VERBS[name](self, _parser(name).parse_args(rest))

    def _help(self, names: Sequence[str]) -> int:
        for name in names:
            if name not in VERBS:
                raise UnknownName.of("verb", name, VERBS)
            self._say(_parser(name).format_help().rstrip())
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
        control, voice = self.control(), self._voice(options)
        results = door.restart(control, options, voice, around=self._around(control, options))
        self._show(options, [asdict(result) for result in results])
        return SUCCESS if all(result.ok for result in results) else FAILED

    def stop(self, options: argparse.Namespace) -> int:
        return self._end(options, door.stop(self.control(), options, self._voice(options)))

    def start(self, options: argparse.Namespace) -> int:
        return self._end(options, door.start(self.control(), options, self._voice(options)))

    def quiet(self, options: argparse.Namespace) -> int:
        control, voice = self.control(), self._voice(options)
        around = self._around(control, options)
        return self._end(options, door.quiet(control, options, voice, around=around))

    def resume(self, options: argparse.Namespace) -> int:
        control, voice = self.control(), self._voice(options)
        around = self._around(control, options)
        return self._end(options, door.resume(control, options, voice, around=around))

    def status(self, options: argparse.Namespace) -> int:
        processes = door.status(self.control(), options, self._voice(options))
        self._show(options, [{**asdict(each), "healthy": each.is_healthy} for each in processes])
        return SUCCESS if all(process.is_healthy for process in processes) else UNHEALTHY

    def tail(self, options: argparse.Namespace) -> int:
        try:
            if not options.json:
                is_ok = door.print_tail(self.control(), options, self._voice(options))
                return SUCCESS if is_ok else FAILED
            for line in door.follow(self.control(), options, self._voice(options)):
                self._say(json.dumps(asdict(line)))
        except KeyboardInterrupt:
            pass  # it is how one stops to follow
        return SUCCESS

    def _around(self, control: Supervisor, options: argparse.Namespace) -> Surroundings:
        return Surroundings(
            servers=self._servers,
            run_dir=self._run_dir,
            release=lambda: release_of_programs(control, options.groups),
        )

    def _end(self, options: argparse.Namespace, result: SwitchResult | QuietResult) -> int:
        self._show(options, asdict(result))
        return SUCCESS if result.ok else FAILED

    def _show(self, options: argparse.Namespace, data: Any) -> None:
        if options.json:
            self._say(json.dumps(data, indent=2))

    def _voice(self, options: argparse.Namespace) -> Voice:
        if options.json:
            return Voice(say=_talk, complain=_complain, terminal=sys.stderr)
        return Voice(say=self._say, complain=_complain, terminal=self.ctl.stdout)

    def _say(self, text: str) -> None:
        self.ctl.output(text)
        self.ctl.stdout.flush()  # a rollout is watched, also through a pipe


def _talk(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _complain(text: str) -> None:
    print(f"gearfleet: {text}", file=sys.stderr, flush=True)


def _let_go_of_stdout() -> int:
    """Say nothing more to a reader that is gone, as Python would try to at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return READER_GONE


class _Parser(argparse.ArgumentParser):
    """A parser that never ends supervisorctl, which may be a shell with other work to do."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see `{self.prog.replace(' ', ' help ', 1)}`)")


def _parser(name: str) -> _Parser:
    description = DESCRIPTIONS[name]
    parser = _Parser(
        prog=f"gearfleet {name}",
        description=description.text,
        add_help=False,
        allow_abbrev=False,
    )
    description.add_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print what came of it as JSON")
    return parser


HELP = {"help", "--help", "-h"}

VERBS: dict[str, Callable[[GearfleetPlugin, argparse.Namespace], int]] = {
    "restart": GearfleetPlugin.restart,
    "status": GearfleetPlugin.status,
    "stop": GearfleetPlugin.stop,
    "start": GearfleetPlugin.start,
    "tail": GearfleetPlugin.tail,
    "quiet": GearfleetPlugin.quiet,
    "resume": GearfleetPlugin.resume,
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
        return [*self._names(), *DESCRIPTIONS[before[0]].options, "--json"]

    def _names(self) -> list[str]:
        try:
            processes = self._plugin.control().processes()
        except GearfleetError:
            return []  # there is nothing to complete, and no place to say why
        groups = dict.fromkeys(process.group for process in processes)
        return [*groups, "all", *(f"{process.group}:{process.name}" for process in processes)]
