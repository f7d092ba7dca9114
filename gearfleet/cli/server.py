"""``gearfleet server``: the embedded job server."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from gearfleet.cli.builder import Verbs
    from gearfleet.cli.output import Output


def add_verbs(verbs: Verbs) -> None:
    """Add the verb ``server``."""
    parser = verbs.add("server", serve, "run the embedded job server (development, tests, demo)")
    parser.add_argument(
        "--listen",
        default="127.0.0.1:4730",
        metavar="HOST:PORT",
        help="address to listen on; port 0 takes a free one (default %(default)s)",
    )


def serve(args: argparse.Namespace, output: Output) -> int:
    """Serve until SIGTERM or SIGINT."""
    from gearfleet.gearman.address import parse_address
    from gearfleet.gearman.server import run

    address = parse_address(args.listen)
    run(
        address.host,
        address.port,
        ready=lambda host, port: output.talk(f"Listening on {host}:{port}"),
    )
    return 0
