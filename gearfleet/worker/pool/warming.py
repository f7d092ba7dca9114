"""What the nursery does before it forks, so that the workers need not each do it for themselves.

A worker gets its own copy of every page of memory that it writes to, and Python
writes where one would not think it reads: it counts references, and since 3.11
notes in the code itself what it has seen there. So what every worker would
import or run at once is imported and run here: our part of some jobs of a task
that does nothing, without the user's hooks, a connection or a file.
"""

from __future__ import annotations

import codecs
import gc
import sys
import threading
from contextlib import nullcontext, suppress
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from gearfleet.results import open_store
from gearfleet.tasks import Task
from gearfleet.tasks.meta import Meta
from gearfleet.tasks.packing import Packing
from gearfleet.tasks.payload import Call
from gearfleet.worker import procfs
from gearfleet.worker.executor import Executor
from gearfleet.worker.hooks import Hooks
from gearfleet.worker.pool.holes import fill_holes
from gearfleet.worker.soft_limit import SoftLimit

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from gearfleet.config import Settings

#: Imported by every worker, where it is installed.
_EXTRA = ("setproctitle",)
#: How often the interpreter wants to see code before it specialises it, and some more.
_TIMES = 20


def warm(settings: Settings) -> None:
    """Import and run what every worker would, then keep the collector from all of it.

    Raises:
        ConfigError: the result store of the settings cannot be used.
    """
    open_store(settings)
    for lasting in (procfs.boot_number, procfs.pid_space):
        lasting()
    codecs.lookup("idna")  # of which the names of job servers are
    for extra in _EXTRA:
        with suppress(ImportError):
            import_module(extra)
    _forget_lookups()
    thread = threading.Thread(target=_rehearse, args=(Packing.of(settings),))
    thread.start()
    thread.join()
    # The collector's marks would give each worker a copy of its own. To search once before
    # that (35 ms of 60,000 objects) would make holes, which are filled in the next line.
    gc.freeze()
    fill_holes()


def _forget_lookups() -> None:
    """Empty Python's cache of attributes, which keeps their names.

    Each look-up of a worker would put one out, and so write to where a name of
    the import lies. Since Python 3.12 nobody counts references to names.
    """
    if sys.version_info < (3, 12):
        sys._clear_type_cache()


class _Ladder:
    is_interrupted = False

    def job(self) -> AbstractContextManager[None]:
        return nullcontext()

    def limit(self, seconds: float) -> SoftLimit:
        return SoftLimit(seconds, lambda limit: None)  # which nobody watches


class _Assignment(NamedTuple):
    task: str
    handle: str | None
    unique: str
    data: bytes


def _rehearse(packing: Packing) -> None:
    task = Task(_nothing, name="gearfleet.nothing", queue="nothing", priority="normal")
    executor = Executor({task.name: task}, hooks=Hooks(), ladder=_Ladder(), packing=packing)
    terms = task.terms(task.name)
    for number in range(_TIMES):
        meta = Meta(id=f"{number:032x}", enqueued_at=1.0)
        data = packing.pack(Call((number,), {"text": "text"}, meta), terms)
        executor.execute(_Assignment(task.name, f"H:{number}", f"{number}", data))
    executor.close()


def _nothing(number: int, text: str) -> None:
    pass
