"""The one argparse builder, shared by ``gearfleet`` and ``manage.py gearfleet``."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from gearfleet._version import __version__
from gearfleet.errors import UnknownName, UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

#: The verbs in the order of the help, each with the module that knows it. A
#: module has `add_verbs(verbs)`; it imports what it needs when its verb runs.
MODULES = (
    "tasks",
    "plan",
    "render",
    "worker",
    "submit",
    "failed",
    "ps",
    "control",
    "server",
    "demo",
)

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

    def add(self, name: str, run: Any, help: str, **extra: Any) -> argparse.ArgumentParser:
        """Add the verb `name`, done by ``run(args, output)``, and return its parser."""
        parser: argparse.ArgumentParser = self._subparsers.add_parser(
            name, help=help, description=help, allow_abbrev=False, **extra
        )
        add_common_options(parser, django=self._django)
        parser.set_defaults(run=run, verb=name)
        return parser


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command ``gearfleet``."""
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
    add_verbs(parser)
    return parser


def add_verbs(parser: argparse.ArgumentParser, *, django: bool = False) -> None:
    """Add every verb to `parser`; under `django` without the options that are Django's."""
    subparsers = parser.add_subparsers(title="verbs", metavar="VERB", dest="verb", required=True)
    verbs = Verbs(subparsers, django=django)
    for name in MODULES:
        import_module(f"gearfleet.cli.{name}").add_verbs(verbs)


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
