"""``gearfleet restart|status|stop|start GROUP``: what supervisorctl's plugin does, without it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from gearfleet.cli.hosts import Outcome, add_address, on_each

if TYPE_CHECKING:
    import argparse

    from gearfleet.cli.builder import Verbs
    from gearfleet.cli.hosts import Place
    from gearfleet.cli.output import Output
    from gearfleet.supervisor.door import Voice
    from gearfleet.supervisor.events import SwitchResult


def add_verbs(verbs: Verbs) -> None:
    """Add the verbs that talk to a running supervisord."""
    from gearfleet.supervisor.door import DESCRIPTIONS

    for name, run in (("restart", restart), ("status", status), ("stop", stop), ("start", start)):
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


def voice_of(output: Output) -> Voice:
    """Return how lines are said: with ``--json`` they are talk, the result is the data."""
    from gearfleet.supervisor.door import Voice

    say = output.talk if output.json else output.line
    return Voice(say=say, complain=lambda line: output.talk(f"gearfleet: {line}"))
