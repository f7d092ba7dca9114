"""Packers: nobody waits for them."""

import gzip
import hashlib
import logging
import os
from pathlib import Path

from gearfleet import hooks, task

logger = logging.getLogger("gearfleet.examples.plain")

#: Set in gearfleet.toml, in the environment of the program.
SUFFIX = os.environ.get("PACKED_SUFFIX", ".gz")


@task(queue="bar")
def pack(path: str) -> str:
    """Compress a file beside itself; return the name of the result."""
    packed = Path(path + SUFFIX)
    packed.write_bytes(gzip.compress(Path(path).read_bytes(), mtime=0))
    return str(packed)


@task(queue="bar")
def fingerprint(path: str) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


@hooks.on_shutdown
def say_goodbye() -> None:
    """Runs once, after the worker's last job."""
    logger.info("The packer goes home.", extra={"action": "packer_left"})
