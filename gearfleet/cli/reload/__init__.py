"""``gearfleet worker --reload``: a worker that is replaced when its source changes.

The command starts itself once more, as a child that is the worker. The child tells
through a pipe which files it is made of (`child`); the parent, which imports nothing of the
project, watches them (`sources`), and replaces the child (`parent`) after the job in hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gearfleet.cli.reload.child import is_child, reported

if TYPE_CHECKING:
    from gearfleet.worker.logs import LogOptions

__all__ = ["is_child", "reload", "reported"]


def reload(options: LogOptions) -> int:
    """Run this process's own command as a worker, again and again; return the exit code."""
    from gearfleet.cli.reload import parent  # which no worker needs

    return parent.reload(options)
