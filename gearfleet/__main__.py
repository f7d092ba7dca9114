"""``python -m gearfleet`` is the command ``gearfleet``."""

from __future__ import annotations

import atexit
import os
import signal
import sys
from typing import Any

if sys.argv[1:2] == ["worker"]:
    # The imports take longer than all that was done before them, and who is told
    # to stop meanwhile has nothing to drain: it ends as one that has drained.
    _heard: dict[signal.Signals, Any] = dict.fromkeys(
        (signal.SIGTERM, signal.SIGINT), lambda *_: os._exit(0)
    )
    for _number in (signal.SIGHUP, signal.SIGTSTP, signal.SIGUSR1):
        if signal.getsignal(_number) != signal.SIG_IGN:
            _heard[_number] = lambda *_: None
    for _number, _handler in _heard.items():
        signal.signal(_number, _handler)

    @atexit.register  # before all others, so that it is called last
    def _end() -> None:
        """Let no signal change the exit code while Python clears up, without its handlers."""
        for number in _heard:
            signal.signal(number, signal.SIG_IGN)
        if ending := sys.modules.get("gearfleet.worker.ending"):
            ending.skip_clearing_up()


from gearfleet.cli import main

if __name__ == "__main__":
    sys.exit(main())
