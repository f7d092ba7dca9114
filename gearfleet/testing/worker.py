"""A worker in a thread of the tests' process."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Self

from gearfleet.results import open_store
from gearfleet.tasks import apps_of, declarations, discover
from gearfleet.tasks.naming import function_name
from gearfleet.worker import hooks
from gearfleet.worker.aftermath import Aftermath
from gearfleet.worker.executor import Executor
from gearfleet.worker.followers import Followers
from gearfleet.worker.process import _TaskWorker, with_later
from gearfleet.worker.soft_limit import SoftLimit
from gearfleet.worker.updates import Updates

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from gearfleet.config import Settings
    from gearfleet.tasks import Task

#: Seconds that a test waits for the last job of its worker.
PATIENCE = 30.0


class ThreadWorker:
    """Serves every task of the process in a thread: those imported, and those of the apps.

    Nobody interrupts its jobs; time limits need a worker process.

    Attributes:
        tasks: by their functions.
    """

    def __init__(self, settings: Settings) -> None:
        """Serve jobs of the job servers of `settings`."""
        self.tasks = _tasks(settings)
        served = with_later(self.tasks)
        self._followers = Followers(settings)
        self._aftermath = Aftermath(open_store(settings), submit=self._followers)
        self._worker = _TaskWorker(settings, "gearfleet-test")
        self._updates = Updates(self._worker)
        self._executor = Executor(
            served,
            hooks=hooks.select("", settings.hooks),
            ladder=_NoLadder(),
            aftermath=self._aftermath,
            updates=self._updates,
        )
        self._worker.answer_with(self._executor.execute, served)
        self._thread = threading.Thread(target=self._serve, name="gearfleet-worker", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exc_info: object) -> None:
        self._worker.shutdown()
        self._thread.join(PATIENCE)
        if self._thread.is_alive():
            raise AssertionError(
                f"A job of the fixture `worker` is not done {PATIENCE:g} s after its test"
            )

    def _serve(self) -> None:
        try:
            self._worker.work()
        finally:
            self._executor.close()
            self._aftermath.close()
            self._updates.close()
            self._followers.close()


class _NoLadder:
    """What stops a worker process, but not this one."""

    is_interrupted = False

    def job(self) -> AbstractContextManager[None]:
        return nullcontext()

    def limit(self, seconds: float) -> SoftLimit:
        return SoftLimit(seconds, lambda _limit: None)


def _tasks(settings: Settings) -> dict[str, Task[Any, Any]]:
    if settings.apps:
        discover(apps_of(settings.apps))
    return {
        function_name(task.name, settings.prefix): task for task in declarations.declared_anywhere()
    }
