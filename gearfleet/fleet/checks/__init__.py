"""What can be told of a fleet without a running service: `check_fleet`, `check_configuration`.

    ini         a configuration file with the line of everything
    known       the sections and keys that Supervisor knows
    texts       rules over the text of files
    parsed      rules over what Supervisor's own parser makes of them
    host        rules that ask this host: programs, directories, accounts
    disk        rules over a directory with rendered files
    reading     the files, from the disk

Only `host` and `reading` look at the disk, and nothing is written.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gearfleet.errors import InvalidFleet
from gearfleet.fleet.checks.host import Host, ThisHost, review_host, review_sections
from gearfleet.fleet.checks.ini import read
from gearfleet.fleet.checks.known import KEYS
from gearfleet.fleet.findings import Finding, Severity, finding
from gearfleet.fleet.lint import lint
from gearfleet.fleet.review import review_limits, review_serving

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gearfleet.fleet.checks.texts import Configuration
    from gearfleet.fleet.model import Fleet
    from gearfleet.tasks import Registry

__all__ = ["Host", "ThisHost", "check_configuration", "check_fleet", "check_tasks"]

#: Of what Supervisor's parser would refuse, and not as well as these findings say it.
_REFUSED = frozenset({"GF104", "GF105", "GF201", "GF211", "GF212", "GF303", "GF304"})

_KEY = re.compile(r"^([a-z_]+)[=:]", re.MULTILINE)
_KNOWN = frozenset().union(*KEYS.values())


def check_tasks(registry: Registry, fleet: Fleet, others: Mapping[str, Fleet]) -> Iterator[Finding]:
    """Yield what is wrong between tasks and plan; `others` are the fleets of the other hosts."""
    yield from review_serving(registry, fleet, others)
    yield from review_limits(registry, fleet)


def check_fleet(fleet: Fleet, files: Mapping[str, str], host: Host) -> Iterator[Finding]:
    """Yield what is wrong with `fleet`, and with the `files` that were rendered of it."""
    from gearfleet.fleet.validate import compare

    found = [*lint(fleet), *review_host(fleet, host)]
    yield from found
    if not _is_explained(found):
        try:
            compare(fleet, files)
        except InvalidFleet as error:
            yield finding("GF220", str(error))
    # The renderer writes no unknown keys; looking once for what a template may add is cheap.
    if any(set(_KEY.findall(text)) - _KNOWN for text in files.values()):
        yield from _unknown_keys(files)


def check_configuration(configuration: Configuration, host: Host) -> Iterator[Finding]:
    """Yield what is wrong with files as supervisord would read them."""
    from gearfleet.fleet.checks.parsed import parse, review_parsed, runnable
    from gearfleet.fleet.checks.texts import review_texts

    found = [
        *review_texts(configuration),
        *review_sections(runnable(configuration), host),
    ]
    yield from found
    is_explained = _is_explained(found)
    yield from review_parsed(configuration, parse(configuration), host, is_explained=is_explained)


def _is_explained(findings: list[Finding]) -> bool:
    return any(each.code in _REFUSED and each.severity is Severity.ERROR for each in findings)


def _unknown_keys(files: Mapping[str, str]) -> Iterator[Finding]:
    from gearfleet.fleet.checks.texts import Configuration, review_texts

    rendered = Configuration(files=tuple(read(text, name) for name, text in files.items()))
    yield from (each for each in review_texts(rendered) if each.code == "GF202")
