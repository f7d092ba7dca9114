"""``gearfleet restart|status|stop|start|... GROUP``: what supervisorctl's plugin does."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from gearfleet.cli.hosts import Outcome, add_address, hosts_named, on_each
from gearfleet.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from gearfleet.cli.builder import Verbs
    from gearfleet.cli.hosts import Place
    from gearfleet.cli.output import Output
    from gearfleet.supervisor.door import Voice
    from gearfleet.supervisor.events import QuietResult, SwitchResult


def add_verbs(verbs: Verbs) -> None:
    """Add the verbs that talk to a running supervisord."""
    from gearfleet.supervisor.door import DESCRIPTIONS

    for run in (restart, status, stop, start, tail, quiet, resume):
        name = run.__name__
        parser = verbs.add(name, run)
        parser.description = DESCRIPTIONS[name].text
        DESCRIPTIONS[name].add_arguments(parser)
        add_address(parser)


def restart(args: argparse.Namespace, output: Output) -> int:
    """Restart the processes of groups in waves."""
    from gearfleet.supervisor import door, report

    def at(place: Place) -> Outcome:
        results = door.restart(place.control, args, voice_of(output), around=place.around())
        return Outcome(
            is_ok=all(result.ok for result in results),
            summary="\n".join(report.summary(result) for result in results),
            data=[asdict(result) for result in results],
        )

    return on_each(args, output, at)


def stop(args: argparse.Namespace, output: Output) -> int:
    """Stop all processes of groups at the same time, and wait until their jobs are done."""
    from gearfleet.supervisor import door

    return on_each(
        args, output, lambda place: _switched(door.stop(place.control, args, voice_of(output)))
    )


def start(args: argparse.Namespace, output: Output) -> int:
    """Start all processes of groups at the same time, and wait until they run."""
    from gearfleet.supervisor import door

    return on_each(
        args, output, lambda place: _switched(door.start(place.control, args, voice_of(output)))
    )


def _switched(result: SwitchResult) -> Outcome:
    from gearfleet.supervisor import report

    return Outcome(is_ok=result.ok, summary=report.switch_summary(result), data=asdict(result))


def status(args: argparse.Namespace, output: Output) -> int:
    """Show processes; fail if one is not healthy."""
    from gearfleet.supervisor import door, report, verbs

    def at(place: Place) -> Outcome:
        if output.json:
            processes = verbs.status(place.control, args.groups)
        else:
            processes = door.status(place.control, args, voice_of(output))
        return Outcome(
            is_ok=all(process.is_healthy for process in processes),
            summary=report.status_summary(processes),
            data=[{**asdict(each), "healthy": each.is_healthy} for each in processes],
        )

    return on_each(args, output, at, goes_on=True)


def quiet(args: argparse.Namespace, output: Output) -> int:
    """Have workers take no job any more."""
    from gearfleet.supervisor import door

    return _tell(args, output, door.quiet)


def resume(args: argparse.Namespace, output: Output) -> int:
    """Have workers take jobs again."""
    from gearfleet.supervisor import door

    return _tell(args, output, door.resume)


def _tell(args: argparse.Namespace, output: Output, tell: Callable[..., QuietResult]) -> int:
    from gearfleet.supervisor import report

    def at(place: Place) -> Outcome:
        result = tell(place.control, args, voice_of(output), around=place.around())
        summary = report.quiet_summary(result)
        return Outcome(is_ok=result.ok, summary=summary, data=asdict(result))

    return on_each(args, output, at)


def tail(args: argparse.Namespace, output: Output) -> int:
    """Show the logs of processes; with ``--json`` as one object for each line."""
    from gearfleet.supervisor import door

    if args.follow and args.host and len(hosts_named(args)) > 1:
        raise UsageError("--follow is for one host at a time: give its name with --host")

    def at(place: Place) -> Outcome:
        lines: list[dict[str, str]] = []
        if not output.json:
            is_ok = door.print_tail(place.control, args, voice_of(output))
            return Outcome(is_ok=is_ok, summary="", data=lines)
        for line in door.follow(place.control, args, voice_of(output)):
            if args.follow:
                output.line(json.dumps(asdict(line), ensure_ascii=False))
            else:
                lines.append(asdict(line))
        return Outcome(is_ok=True, summary="", data=lines)

    try:
        return on_each(args, output, at, goes_on=True)
    except KeyboardInterrupt:
        return 0  # it is how one stops to follow


def voice_of(output: Output) -> Voice:
    """Return how lines are said: with ``--json`` they are talk, the result is the data."""
    from gearfleet.supervisor.door import Voice

    say = output.talk if output.json else output.line
    return Voice(
        say=say,
        complain=lambda line: output.talk(f"gearfleet: {line}"),
        terminal=output.stderr if output.json else output.stdout,
    )
