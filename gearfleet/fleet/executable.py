"""What starts the gearfleet that is running now."""

from __future__ import annotations

import sys
from pathlib import Path


def default_executable() -> tuple[str, ...]:
    """Return the ``gearfleet`` beside this Python, or this Python with ``-m gearfleet``."""
    script = Path(sys.executable).parent / "gearfleet"
    return (str(script),) if script.is_file() else (sys.executable, "-m", "gearfleet")
