"""``python -m gearfleet`` is the command ``gearfleet``."""

from __future__ import annotations

import sys

from gearfleet.cli import main

if __name__ == "__main__":
    sys.exit(main())
