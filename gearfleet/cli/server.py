"""``gearfleet server``: the embedded job server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gearfleet.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from gearfleet.cli.builder import Verbs
    from gearfleet.cli.output import Output


def add_verbs(verbs: Verbs) -> None:
    """Add the verb ``server``."""
    parser = verbs.add("server", serve)
    parser.add_argument(
        "--listen",
        default="127.0.0.1:4730",
        metavar="HOST:PORT",
        help="address to listen on; port 0 takes a free one (default %(default)s)",
    )
    parser.add_argument(
        "-j",
        "--job-retries",
        type=int,
        default=0,
        metavar="N",
        help="fail a job when N workers were lost with it; 0 is no limit (default %(default)s)",
    )


def serve(args: argparse.Namespace, output: Output) -> int:
    """Serve until SIGTERM or SIGINT; after SIGUSR1 until every job is done."""
    from gearfleet.gearman.addresses import Address
    from gearfleet.gearman.server import run

    host, port = listening_address(args.listen)
    if args.job_retries < 0:
        raise UsageError(f"--job-retries {args.job_retries}: give a number of workers, 0 for any")
    run(
        host,
        port,
        ready=lambda host, port: output.talk(f"Listening on {Address(host, port)}"),
        job_retries=args.job_retries,
    )
    return 0


def listening_address(text: str) -> tuple[str, int]:
    """Return host and port of ``HOST:PORT``; unlike a client's address the port may be 0."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise UsageError(f"--listen {text}: give HOST:PORT, such as 127.0.0.1:4730")
    return host.strip("[]"), int(port)
