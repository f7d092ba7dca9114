"""What `ps`, `top` and `pgrep` show of a worker, with the package setproctitle.

    gearfleet: worker_bar [bar] shop.thumbnails.resize 12s
    gearfleet: worker_bar [bar] idle

A thread reads the board of its own process once a second, so no job ever waits for its title.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gearfleet.worker.boards import BoardEntry, JobInHand

#: Seconds between two looks at the board.
_INTERVAL = 1.0


def entitle(text: str) -> None:
    """Let `ps` show ``gearfleet: text`` for this process, if setproctitle is installed."""
    if set_title := _setter():
        set_title(f"gearfleet: {text}")


@contextmanager
def titled(board: Path | None) -> Iterator[None]:
    """Show what the `board` of this process says, inside the block.

    Nothing happens without setproctitle, or without a board.
    """
    set_title = _setter()
    if set_title is None or board is None:
        yield
        return
    ended = threading.Event()
    arguments = (board, set_title, ended)
    threading.Thread(target=_follow, args=arguments, name="title", daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def _setter() -> Callable[[str], None] | None:
    try:
        import setproctitle
    except ImportError:
        return None
    return setproctitle.setproctitle


def _follow(board: Path, set_title: Callable[[str], None], ended: threading.Event) -> None:
    from gearfleet.worker.boards import maybe_read  # which the parent of a pool does without

    shown = ""
    while not ended.wait(_INTERVAL):  # first of all: a worker that begins has other things to do
        entry = maybe_read(board)
        if entry is not None and (title := title_of(entry, time.time())) != shown:
            shown = title
            set_title(title)


def title_of(entry: BoardEntry, now: float) -> str:
    """Return the title of the worker whose board says `entry`."""
    from gearfleet.worker.boards import BUSY

    jobs = sorted(entry.jobs, key=lambda job: job.started)
    what = entry.state
    if jobs:
        others = f" and {len(jobs) - 1} more" if len(jobs) > 1 else ""
        state = "" if entry.state == BUSY else f" ({entry.state})"
        what = f"{_shown(jobs[0], now)}{others}{state}"
    return f"gearfleet: {entry.about.program} [{','.join(entry.about.queues)}] {what}"


def _shown(job: JobInHand, now: float) -> str:
    return f"{job.task or job.function} {max(0, int(now - job.started))}s"
