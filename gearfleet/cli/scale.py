"""``gearfleet scale bar=8``: another number of processes, at once.

On this host the files are changed here. On others supervisord changes its own:
the extension in it does what is done here.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from gearfleet.cli.hosts import Outcome, add_address, configuration_of, hosts_named, on_each
from gearfleet.cli.saving import Wanted, saving_of
from gearfleet.errors import SupervisorError, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence

    from gearfleet.cli.builder import Verbs
    from gearfleet.cli.hosts import Place
    from gearfleet.cli.output import Output
    from gearfleet.supervisor.extension import Extension, Halt, ScalePreview, Step


def add_verbs(verbs: Verbs) -> None:
    """Add the verb ``scale``."""
    from gearfleet.cli.apply import add_how
    from gearfleet.fleet.scaling import parse_target

    parser = verbs.add("scale", scale)
    parser.add_argument(
        "targets",
        nargs="+",
        type=parse_target,
        metavar="GROUP=N",
        help="how many processes each program of a group has; or one program: PROGRAM=N",
    )
    parser.add_argument("--save", action="store_true", help="also write it into the settings file")
    add_how(parser)
    add_address(parser)


def scale(args: argparse.Namespace, output: Output) -> int:
    """Change the rendered files, and bring supervisord to them, as ``apply`` does."""
    return _here(args, output) if args.host is None and args.url is None else _there(args, output)


def _here(args: argparse.Namespace, output: Output) -> int:
    from gearfleet.cli.apply import prepare
    from gearfleet.fleet import scaling
    from gearfleet.fleet.checks.reading import read_main

    configuration = configuration_of(args)
    now = read_main(configuration, os.environ)
    with scaling.prepared(now, dict(args.targets)) as (found, ready):
        wanted = Wanted(found.programs, found.groups)
        saving = saving_of(args, {socket.gethostname(): wanted}) if args.save else None
        change = prepare(ready, configuration, args, output)
    if change.is_committed and saving is not None:
        saving.save(output)
    return change.carried_out()


def _there(args: argparse.Namespace, output: Output) -> int:
    """Have the extensions of other supervisords do it, one host after the other."""
    from gearfleet.cli.apply import Change
    from gearfleet.supervisor.apply import jobs_in_hand

    saving = saving_of(args, _wanted_there(args)) if args.save else None

    def at(place: Place) -> Outcome:
        extension = _extension(place)
        preview = extension.preview_scale(dict(args.targets))
        way = _Elsewhere(extension, dict(args.targets), preview, str(args.max_unavailable))
        jobs = jobs_in_hand(preview.changes) if place.control.is_here else {}
        change = Change(way, way, preview, jobs, output)
        change.begin(args)
        code = change.carry_out()
        return Outcome(is_ok=not code, summary=change.summary(), data=change.data())

    code = on_each(args, output, at)
    if saving is not None and not (code or args.dry_run):
        saving.save(output)
    return code


def _extension(place: Place) -> Extension:
    from gearfleet.supervisor.extension import Extension

    extension = Extension(place.control)
    if lacking := extension.missing():
        raise SupervisorError(f"{lacking}; or scale on that host, with -c FILE")
    return extension


class _Elsewhere:
    """The files of another host, and the way to bring its supervisord to them."""

    lacking = ""

    def __init__(
        self,
        extension: Extension,
        targets: Mapping[str, int],
        preview: ScalePreview,
        max_unavailable: str,
    ) -> None:
        from gearfleet.fleet.install import Changes

        self.target = Path(preview.directory)
        self.changes = Changes(changed=preview.files)
        self.groups = preview.groups
        self._extension = extension
        self._targets = targets
        self._max_unavailable = max_unavailable

    def commit(self) -> None:
        """Leave it to `carry_out`: there it is one step."""

    def roll_back(self) -> None:
        """Leave it to supervisord, which has done so."""

    def settle(self) -> None:
        """Forget nothing: no group comes or goes."""

    def carry_out(self, groups: Sequence[str], report: Callable[[Step], None]) -> tuple[Halt, ...]:
        return self._extension.scale(
            self._targets, groups, max_unavailable=self._max_unavailable, report=report
        )


def _wanted_there(args: argparse.Namespace) -> dict[str, Wanted]:
    """Ask each host what the targets mean there, so that all is known before anything is done."""
    from gearfleet.cli.hosts import place_at

    if args.host is None:
        raise UsageError("--save does not know which host --url is; name it with --host")
    found: dict[str, Wanted] = {}
    for name, host in hosts_named(args).items():
        preview = _extension(place_at(args, name, host)).preview_scale(dict(args.targets))
        found[name] = Wanted(preview.programs, preview.named)
    return found
