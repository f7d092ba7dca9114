"""``gearfleet restart|status|stop|start GROUP``: what supervisorctl's plugin does, without it."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from gearfleet.cli.project import load_project
from gearfleet.errors import EXIT_FAILED, UsageError

if TYPE_CHECKING:
    import argparse

    from gearfleet.cli.builder import Verbs
    from gearfleet.cli.output import Output
    from gearfleet.supervisor.control import Supervisor
    from gearfleet.supervisor.door import Surroundings, Voice
    from gearfleet.supervisor.events import SwitchResult

DEFAULT_CONFIG = "/etc/supervisor/supervisord.conf"


def add_verbs(verbs: Verbs) -> None:
    """Add the verbs that talk to a running supervisord."""
    from gearfleet.supervisor.door import DESCRIPTIONS

    for name, run in (("restart", restart), ("status", status), ("stop", stop), ("start", start)):
        parser = verbs.add(name, run)
        parser.description = DESCRIPTIONS[name].text
        DESCRIPTIONS[name].add_arguments(parser)
        _add_address(parser)


def _add_address(parser: argparse.ArgumentParser) -> None:
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "-c",
        "--configuration",
        type=Path,
        metavar="FILE",
        help=f"the main supervisord.conf (default {DEFAULT_CONFIG})",
    )
    where.add_argument("--url", help="unix:///path/to.sock or http://user:password@host:port")


def restart(args: argparse.Namespace, output: Output) -> int:
    """Restart the processes of groups in waves."""
    from gearfleet.supervisor import door

    results = door.restart(_control(args), args, _voice(output), around=_surroundings(args))
    if output.json:
        output.data([asdict(result) for result in results])
    return _code(all(result.ok for result in results))


def stop(args: argparse.Namespace, output: Output) -> int:
    """Stop all processes of groups at the same time, and wait until their jobs are done."""
    from gearfleet.supervisor import door

    return _switched(door.stop(_control(args), args, _voice(output)), output)


def start(args: argparse.Namespace, output: Output) -> int:
    """Start all processes of groups at the same time, and wait until they run."""
    from gearfleet.supervisor import door

    return _switched(door.start(_control(args), args, _voice(output)), output)


def status(args: argparse.Namespace, output: Output) -> int:
    """Show processes; fail if one is not healthy."""
    from gearfleet.supervisor import door, verbs

    if output.json:
        processes = verbs.status(_control(args), args.groups)
        output.data([{**asdict(each), "healthy": each.is_healthy} for each in processes])
    else:
        processes = door.status(_control(args), args, _voice(output))
    return _code(all(each.is_healthy for each in processes))


def _switched(result: SwitchResult, output: Output) -> int:
    if output.json:
        output.data(asdict(result))
    return _code(result.ok)


def _code(is_ok: bool) -> int:
    return 0 if is_ok else EXIT_FAILED


def _voice(output: Output) -> Voice:
    """Return how lines are said: with ``--json`` they are talk, the result is the data."""
    from gearfleet.supervisor.door import Voice

    say = output.talk if output.json else output.line
    return Voice(say=say, complain=lambda line: output.talk(f"gearfleet: {line}"))


def _control(args: argparse.Namespace) -> Supervisor:
    from gearfleet.supervisor.control import Supervisor

    if args.url:
        return Supervisor.from_url(args.url)
    return Supervisor.from_config(_configuration(args))


def _configuration(args: argparse.Namespace) -> Path:
    path = args.configuration or Path(DEFAULT_CONFIG)
    if not os.path.isfile(path):  # noqa: PTH113 - Path.is_file raises in a folder that is closed
        raise UsageError(f"No supervisord configuration at {path}; name it with -c FILE or --url")
    return Path(path)


def _surroundings(args: argparse.Namespace) -> Surroundings:
    from gearfleet.config import release_of
    from gearfleet.supervisor.door import Surroundings

    return Surroundings(
        servers=_servers(args),
        run_dir=_run_dir(args),
        release=lambda: release_of(load_project(args).settings),
    )


def _run_dir(args: argparse.Namespace) -> Path:
    """Return the run directory of the plugin's section, else that of the project found here."""
    from gearfleet.supervisor.paste import run_dir_in

    pasted = None if args.url else run_dir_in(_configuration(args))
    return pasted or load_project(args).settings.run_dir


def _servers(args: argparse.Namespace) -> tuple[str, ...]:
    """Return the job servers at which a restarted worker has to show up again.

    They are those of the command line or environment, then those that the
    plugin's section names, then those of a project found here. None are
    guessed: where nobody names one, RUNNING must do.
    """
    from gearfleet import config
    from gearfleet.supervisor.paste import servers_in

    if named := getattr(args, "servers", None):
        return config.check_servers(config.split_list(named), "--servers")
    if named := os.environ.get("GEARFLEET_SERVERS"):
        return config.check_servers(config.split_list(named), "GEARFLEET_SERVERS")
    if not args.url and (pasted := servers_in(_configuration(args))):
        return pasted
    settings = load_project(args).settings
    return settings.servers_of_workers if settings.has_origin else ()
