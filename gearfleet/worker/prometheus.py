"""Tells prometheus_client that a process has ended, where it counts for several.

With the variable `VARIABLE`, each process that uses prometheus_client keeps its figures in files
there. Those of gauges of living processes have to go when one ends, or they are shown for ever:
see "Multiprocess Mode" in the documentation of prometheus_client. The parent of a pool, which
outlives its workers, does that for each of them, however it has ended; a single worker does
it for itself, as the last thing. One that was killed could not: then the next worker of this
host does, which sees that from the board that it has left.
"""

from __future__ import annotations

import atexit
import logging
import os
from importlib import import_module

from gearfleet.worker import procfs

logger = logging.getLogger(__name__)

#: Where prometheus_client has its files.
VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def mark_dead(pid: int) -> None:
    """Remove what shows the process as a living one; nothing without files, or the package."""
    if not os.environ.get(VARIABLE):
        return
    try:
        import_module("prometheus_client.multiprocess").mark_process_dead(pid)
    except ImportError:
        pass  # whose the variable is, we do not know
    except Exception as error:  # it is no reason to end, or to leave a slot empty
        logger.warning(
            "Process %d cannot be marked dead in %s: %s",
            pid,
            VARIABLE,
            error,
            extra={"action": "prometheus_failed", "pid": pid},
        )


def mark_gone(pid: int) -> None:
    """Do this for a process that was seen to be gone, unless another one has its number now."""
    if not procfs.is_running(pid, 0):
        mark_dead(pid)


def mark_dead_at_exit() -> None:
    """Do this for the present process, after whatever has been registered later than this."""
    if os.environ.get(VARIABLE):
        atexit.register(mark_dead, os.getpid())
