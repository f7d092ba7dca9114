"""The run directory: where the workers of one host say what they are doing."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def default_run_dir() -> Path:
    """Return the run directory of this user; it is made by whoever first writes to it.

    ``$GEARFLEET_RUN_DIR`` decides; then ``$XDG_RUNTIME_DIR/gearfleet``; then a
    folder of this user under the system's temporary directory.
    """
    if chosen := os.environ.get("GEARFLEET_RUN_DIR"):
        return Path(chosen)
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(runtime) / "gearfleet"
    return Path(tempfile.gettempdir()) / f"gearfleet-{os.getuid()}"
