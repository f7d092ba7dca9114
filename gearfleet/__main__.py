"""``python -m gearfleet`` is the command ``gearfleet``."""

from __future__ import annotations

import os
import signal
import sys

if sys.argv[1:2] == ["worker"]:
    # The imports take longer than all that was done before them, and who is told
    # to stop meanwhile has nothing to drain: it ends as one that has drained.
    for _number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(_number, lambda *_: os._exit(0))

from gearfleet.cli import main

if __name__ == "__main__":
    sys.exit(main())
