"""The one argparse builder, shared by ``gearfleet`` and ``manage.py gearfleet``."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from gearfleet._version import __version__
from gearfleet.errors import UnknownName, UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

#: The verbs in the order of the help, by the module that knows them. A module is
#: imported when one of its verbs is wanted: it has `add_verbs(verbs)`, which
#: calls ``verbs.add(name, run)`` for each of them. What a verb needs is imported
#: when it runs.
MODULES: Mapping[str, Mapping[str, str]] = {
    "init": {"init": "write a first settings file for the project in this directory"},
    "tasks": {"tasks": "list the tasks of the project"},
    "plan": {"plan": "show the fleet: groups, programs, processes, tasks"},
    "render": {
        "render": "write the Supervisor configuration of the fleet",
        "supervisor-conf": "print the sections to paste into the main supervisord.conf",
    },
    "check": {"check": "find mistakes in the fleet, and in what is on the disk"},
    "diff": {"diff": "show how the files in a directory differ from what would be rendered"},
    "doctor": {
        "doctor": "ask the code, the configuration, supervisord and the job servers what is wrong"
    },
    "config": {"config": "show the settings, and where each comes from; secrets are hidden"},
    "apply": {"apply": "put the files in place and bring the running fleet to them, undisturbed"},
    "templates": {"templates": "list the templates of the configuration, show or copy them"},
    "scale": {"scale": "give groups another number of processes, at once"},
    "worker": {"worker": "run one worker until it is told to stop"},
    "exec": {"exec": "run another command with the variables of the env_files"},
    "scheduler": {"scheduler": "submit the jobs of schedules at their times"},
    "schedule": {"schedule": "list the schedules; run, pause, resume or delete them"},
    "submit": {"submit": "submit a job, and print its result"},
    "failed": {"failed": "list the jobs that failed for good; show, retry or delete them"},
    "ps": {"ps": "show the workers of this host, and what each is doing"},
    "top": {"top": "watch job servers, queues, programs and processes"},
    "info": {"info": "show job servers and queues, and what ended in the last hour and day"},
    "control": {
        "restart": "restart groups in waves; jobs in hand are finished",
        "status": "show the processes of groups, or all",
        "stop": "stop all processes of groups; jobs in hand are finished",
        "start": "start all processes of groups and wait until they run",
        "tail": "show the logs of groups, each line with its process",
        "quiet": "have workers finish the job in hand and take no other",
        "resume": "have workers that are quiet take jobs again",
    },
    "server": {"server": "run the embedded job server (development, tests, demo)"},
    "demo": {"demo": "run an example fleet in a temporary directory and restart it under load"},
}

#: What each verb does, in a line.
SUMMARIES = {name: summary for verbs in MODULES.values() for name, summary in verbs.items()}

EPILOG = """\
examples:
  gearfleet tasks --app examples.plain
  gearfleet render -o /etc/supervisor/conf.d/
  gearfleet worker -a shop -n worker_foo -q bar
  gearfleet restart bar -c /etc/supervisor/supervisord.conf
"""


class Verbs:
    """Adds verbs to a parser, each with the options that are common to all."""

    def __init__(self, subparsers: Any, *, django: bool) -> None:
        self._subparsers = subparsers
        self._django = django

    def add(self, name: str, run: Any, **extra: Any) -> argparse.ArgumentParser:
        """Add the verb `name`, done by ``run(args, output)``, and return its parser."""
        summary = SUMMARIES[name]
        parser: argparse.ArgumentParser = self._subparsers.add_parser(
            name, **{"help": summary, "description": summary, "allow_abbrev": False, **extra}
        )
        add_common_options(parser, django=self._django)
        parser.set_defaults(run=run, verb=name)
        return parser

    def mention(self, name: str) -> None:
        """Add the verb `name` to the list that the help shows, and nothing else of it."""
        self._subparsers.add_parser(name, help=SUMMARIES[name], add_help=False)


def build_parser(words: Collection[str] | None = None) -> argparse.ArgumentParser:
    """Return the parser of the command ``gearfleet``.

    It knows the options of the verbs among `words`, or of all verbs, whose
    modules are imported for that.
    """
    parser = argparse.ArgumentParser(
        prog="gearfleet",
        description="Turn Gearman tasks into a supervised fleet of workers, and run it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        exit_on_error=False,
    )
    parser.add_argument("--version", action="version", version=f"gearfleet {__version__}")
    add_common_options(parser)
    add_verbs(parser, words)
    return parser


def add_verbs(
    parser: argparse.ArgumentParser,
    words: Collection[str] | None = None,
    *,
    django: bool = False,
) -> None:
    """Add every verb to `parser`; under `django` without the options that are Django's.

    Those that are not among `words`, if there are any, are only mentioned.
    """
    subparsers = parser.add_subparsers(title="verbs", metavar="VERB", dest="verb", required=True)
    verbs = Verbs(subparsers, django=django)
    for module, summaries in MODULES.items():
        if words is None or not summaries.keys().isdisjoint(words):
            import_module(f"gearfleet.cli.{module}").add_verbs(verbs)
        else:
            for name in summaries:
                verbs.mention(name)


def add_common_options(parser: argparse.ArgumentParser, *, django: bool = False) -> None:
    """Add the options of every verb; they may stand before or after it.

    Their default is not to be there at all: so that the value given before
    the verb is not overwritten by a default after it.
    """
    group = parser.add_argument_group("common options")

    def add(*flags: str, **kwargs: Any) -> None:
        group.add_argument(*flags, default=argparse.SUPPRESS, **kwargs)

    if not django:
        add("--config", type=Path, metavar="FILE", help="settings file [GEARFLEET_CONFIG]")
        add(
            "--settings",
            metavar="MODULE",
            help="Django settings module [DJANGO_SETTINGS_MODULE]",
        )
        add("--no-color", action="store_true", help="no colour [NO_COLOR]")
        add("-v", "--verbose", action="count", help="say more; twice for every frame")
    add(
        "--app",
        action="append",
        metavar="PACKAGE",
        help="package or module with tasks; may be repeated [GEARFLEET_APP]",
    )
    add("--servers", metavar="HOST:PORT,...", help="job servers [GEARFLEET_SERVERS]")
    add("--json", action="store_true", help="print data as JSON")


def parse(parser: argparse.ArgumentParser, words: Sequence[str]) -> argparse.Namespace:
    """Return what `words` mean; an unknown verb or option is named with the nearest one.

    Raises:
        UsageError: an unknown verb or option. Other mistakes end the process
            with the usage and exit code 2, as argparse does.
    """
    try:
        args, rest = parser.parse_known_args(words)
    except argparse.ArgumentError as error:
        _explain(parser, words, error)
    if rest:
        _refuse(verb_parsers(parser).get(getattr(args, "verb", ""), parser), rest[0])
    return args


def _explain(
    parser: argparse.ArgumentParser, words: Sequence[str], error: argparse.ArgumentError
) -> NoReturn:
    verbs = verb_parsers(parser)
    unknown = next((word for word in words if f"invalid choice: '{word}'" in str(error)), None)
    if unknown is None:
        raise UsageError(f"{error}; see {parser.prog} --help")
    raise UnknownName.of("verb", unknown, verbs)


def _refuse(parser: argparse.ArgumentParser, word: str) -> NoReturn:
    if not word.startswith("-"):
        raise UsageError(f"Unexpected argument '{word}'; see {parser.prog} --help")
    option = word.partition("=")[0]
    known = [flag for action in parser._actions for flag in action.option_strings]
    raise UsageError(f"Unknown option '{option}' of '{parser.prog}' {did_you_mean(option, known)}")


def verb_parsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each verb of `parser`."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}
