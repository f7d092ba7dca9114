"""``--host NAME|all``: a verb on one host after the other, and one table at the end.

A verb that talks to a running supervisord says with `add_address` that it does,
and gives `on_each` what it does at one of them. Without ``--host`` there is one,
and nothing is said about hosts.
"""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gearfleet.cli.project import load_project
from gearfleet.errors import EXIT_FAILED, GearfleetError, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Mapping

    from gearfleet.cli.output import Output
    from gearfleet.config import Host
    from gearfleet.supervisor.control import Supervisor
    from gearfleet.supervisor.door import Surroundings

DEFAULT_CONFIG = "/etc/supervisor/supervisord.conf"

#: Seconds that supervisord may take to answer.
TIMEOUT = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a verb at one supervisord.

    Attributes:
        is_ok: whether all went well, so that the next host may follow.
        summary: in a few words, for the table.
        data: for ``--json``.
    """

    is_ok: bool
    summary: str
    data: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One supervisord; `host` is its name in the settings, or empty without ``--host``."""

    control: Supervisor
    args: argparse.Namespace
    host: str = ""

    def around(self) -> Surroundings:
        """Return what is known of the workers there; not every verb needs a project for that."""
        from gearfleet.config import release_of
        from gearfleet.supervisor.door import Surroundings

        return Surroundings(
            servers=_servers(self.args),
            run_dir=_run_dir(self.args),
            host=self.host,
            release=lambda: release_of(load_project(self.args).settings),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    host: str
    outcome: Outcome | None = None
    error: GearfleetError | None = None

    @property
    def code(self) -> int:
        if self.error:
            return self.error.exit_code
        return 0 if self.outcome and self.outcome.is_ok else EXIT_FAILED

    def cells(self) -> tuple[str, str, str]:
        if self.error:
            return self.host, "failed", str(self.error)
        if self.outcome is None:
            return self.host, "not begun", ""
        return self.host, "ok" if self.outcome.is_ok else "failed", self.outcome.summary

    def data(self) -> dict[str, Any]:
        _, state, summary = self.cells()
        result = self.outcome.data if self.outcome else None
        return {"host": self.host, "state": state, "summary": summary, "result": result}


def add_address(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which supervisord is meant, or which ones."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "-c",
        "--configuration",
        type=Path,
        metavar="FILE",
        help=f"the main supervisord.conf (default {DEFAULT_CONFIG})",
    )
    where.add_argument("--url", help="unix:///path/to.sock or http://user:password@host:port")
    where.add_argument(
        "--host",
        metavar="NAME",
        help="a host of the settings, all that have a role, or 'all': one after the other",
    )


def on_each(
    args: argparse.Namespace,
    output: Output,
    do: Callable[[Place], Outcome],
    *,
    goes_on: bool = False,
) -> int:
    """Do something at each supervisord that `args` name, and return the exit code.

    The first host where it fails is the last one, unless it `goes_on`, as a verb
    may that changes nothing.

    Raises:
        UsageError: there is no such host, or it has no url.
        SupervisorError: the only supervisord cannot be asked.
    """
    if args.host is None:
        outcome = do(place_of(args))
        if output.json:
            output.data(outcome.data)
        return 0 if outcome.is_ok else EXIT_FAILED
    rows: list[_Row] = []
    for name, host in hosts_named(args).items():
        is_over = not goes_on and any(row.code for row in rows)
        rows.append(_Row(host=name) if is_over else _at(args, output, do, name, host))
    return _close(rows, output, goes_on=goes_on)


def place_of(args: argparse.Namespace, *, timeout: float = TIMEOUT) -> Place:
    """Return the only supervisord that `args` name."""
    from gearfleet.supervisor.control import Supervisor

    control = (
        Supervisor.from_url(args.url, timeout=timeout)
        if args.url
        else Supervisor.from_config(configuration_of(args), timeout=timeout)
    )
    return Place(control=control, args=args)


def hosts_named(args: argparse.Namespace) -> Mapping[str, Host]:
    """Return the hosts that ``--host`` means.

    Raises:
        UnknownName: none has this name or role.
        UsageError: none of them has a url.
    """
    from gearfleet.config.settings import ALL_HOSTS

    settings = load_project(args).settings
    if names := settings.hosts_named(args.host):
        return {name: settings.hosts[name] for name in names}
    raise UsageError(
        f"--host {args.host}: the settings ({settings.origin}) name no supervisord there; "
        f'say url = "..." in [hosts.{"NAME" if args.host == ALL_HOSTS else args.host}]'
    )


def _at(
    args: argparse.Namespace,
    output: Output,
    do: Callable[[Place], Outcome],
    name: str,
    host: Host,
) -> _Row:
    say = output.talk if output.json else output.line
    say(f"== {name} ({host.url})")
    try:
        return _Row(host=name, outcome=do(place_at(args, name, host)))
    except GearfleetError as error:
        output.talk(f"gearfleet: {name}: {error}")
        return _Row(host=name, error=error)


def place_at(args: argparse.Namespace, name: str, host: Host, *, timeout: float = TIMEOUT) -> Place:
    """Return the supervisord of a host of the settings."""
    from gearfleet.config.credentials import credentials_of
    from gearfleet.supervisor.address import Address
    from gearfleet.supervisor.control import Supervisor

    username, password = credentials_of(host) or (None, None)
    address = Address.from_url(host.url or "", username=username, password=password)
    return Place(control=Supervisor(address, timeout=timeout), args=args, host=name)


def _close(rows: list[_Row], output: Output, *, goes_on: bool) -> int:
    if output.json:
        output.data([row.data() for row in rows])
    else:
        output.table("", ("host", "", "what came of it"), [row.cells() for row in rows])
    left = [row.host for row in rows if row.outcome is None]
    if left and not goes_on:
        output.talk(f"gearfleet: halted; when that is mended, go on with: {_again(left)}")
    return next((row.code for row in rows if row.code), 0)


def _again(hosts: list[str]) -> str:
    """Return the commands that do the rest, as they were given."""
    words = sys.argv[1:]
    at = next((n for n, word in enumerate(words) if word == "--host" and n + 1 < len(words)), None)
    if at is None:
        return ", ".join(f"--host {host}" for host in hosts)
    return ", ".join(
        f"`gearfleet {shlex.join([*words[: at + 1], host, *words[at + 2 :]])}`" for host in hosts
    )


def configuration_of(args: argparse.Namespace) -> Path:
    """Return the main configuration of supervisord.

    Raises:
        UsageError: there is no such file.
    """
    path: Path = args.configuration or Path(DEFAULT_CONFIG)
    require_configuration(path, "-c FILE, --url or --host")
    return path


def require_configuration(path: Path, way: str = "-c FILE") -> None:
    """Raise unless there is a file at `path`; `way` is how another one is named."""
    if not is_configuration(path):
        raise UsageError(f"No supervisord configuration at {path}; name it with {way}")


def is_configuration(path: Path | str = DEFAULT_CONFIG) -> bool:
    """Return whether there is a file at `path`."""
    return os.path.isfile(path)  # noqa: PTH113 - Path.is_file raises in a folder that is closed


def _configurations(args: argparse.Namespace) -> Iterator[Path]:
    """Yield the file in which the plugin's section may stand."""
    if args.url is None and args.host is None:
        yield configuration_of(args)


def _run_dir(args: argparse.Namespace) -> Path:
    """Return the run directory of the plugin's section, else that of the project found here."""
    from gearfleet.supervisor.paste import run_dir_in

    for path in _configurations(args):
        if pasted := run_dir_in(path):
            return pasted
    return load_project(args).settings.run_dir


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
    for path in _configurations(args):
        if pasted := servers_in(path):
            return pasted
    settings = load_project(args).settings
    return settings.servers_of_workers if settings.has_origin else ()
