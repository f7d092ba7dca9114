"""The command that this process was started with, as the beginning of another one."""

from __future__ import annotations

import sys


def manage(name: str, *words: str) -> list[str]:
    """Return the command line of another management command, for a process of its own.

    Args:
        name: of the command that this process runs, in its own command line.
        words: the other command, and its words.
    """
    ours = sys.orig_argv[1:]
    return [sys.executable, *ours[: ours.index(name)], *words]
