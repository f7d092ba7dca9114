"""Logs of a long-running command, for the file that supervisord keeps."""

from __future__ import annotations

import logging

FORMAT = "%(asctime)s %(levelname)-7s [%(process)d] %(message)s"


def log_to_stderr(verbosity: int = 0) -> None:
    """Log an operator's day to stderr; with ``-v`` also each job, with ``-vv`` each frame."""
    level = logging.DEBUG if verbosity else logging.INFO
    logging.basicConfig(format=FORMAT, level=logging.WARNING)
    logging.getLogger("gearfleet").setLevel(level)
    if verbosity < 2:
        logging.getLogger("gearfleet.gearman").setLevel(logging.INFO)
