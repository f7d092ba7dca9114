"""``gearfleet worker --reload``: a worker that is replaced when its source changes.

The command starts itself once more, as a child that is the worker. The child tells
through a pipe which files it is made of (`child`); the parent, which imports nothing of the
project, watches them (`sources`), and replaces the child (`parent`) after the job in hand.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gearfleet.cli.project import Project
    from gearfleet.worker.logs import LogOptions

#: How the child knows that it is one: the descriptor of the pipe to its parent.
VARIABLE = "GEARFLEET_RELOAD_FD"


def is_child() -> bool:
    """Return whether this process was started by the parent of ``--reload``."""
    return VARIABLE in os.environ


@contextmanager
def reported() -> Iterator[Callable[[Project], None]]:
    """Tell the parent, if there is one, which files this worker is made of.

    Call what is yielded when the project is loaded: for its settings and templates.
    """
    fd = os.environ.pop(VARIABLE, None)  # tasks may start commands of ours, too
    if fd is None:
        yield lambda _project: None
        return
    from gearfleet.cli.reload.child import Reporter, imported, sources_of

    reporter = Reporter(int(fd))
    reporter.start()
    try:
        yield reporter.tell_project
    except BaseException as error:
        reporter.tell("file", sources_of(error))
        raise
    finally:
        reporter.tell("file", imported())


def reload(options: LogOptions) -> int:
    """Run this process's own command as a worker, again and again; return the exit code."""
    from gearfleet.cli.reload import parent  # which no worker needs

    return parent.reload(options)
