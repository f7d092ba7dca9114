"""What starts the gearfleet that is running now."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def default_executable() -> tuple[str, ...]:
    """Return the ``gearfleet`` beside this Python, or this Python with ``-m gearfleet``."""
    # Not Path.resolve: a virtual environment's Python is a link, and must stay one.
    python = os.path.abspath(sys.executable)  # noqa: PTH100
    script = Path(python).with_name("gearfleet")
    return (str(script),) if script.is_file() else (python, "-m", "gearfleet")
