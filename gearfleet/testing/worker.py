"""A worker in a thread of the tests' process."""

from __future__ import annotations

import threading
from contextlib import ExitStack, nullcontext
from typing import TYPE_CHECKING, Any, Self

from gearfleet.tasks import apps_of, declarations, discover
from gearfleet.tasks.naming import function_name
from gearfleet.worker import hooks
from gearfleet.worker.equipment import TaskWorker, equipped
from gearfleet.worker.soft_limit import SoftLimit

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from gearfleet.config import Settings
    from gearfleet.tasks import Task
    from gearfleet.worker.executor import Executor

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
        self._settings = settings
        self._worker = TaskWorker(settings, "gearfleet-test")
        self._closing = ExitStack()
        self._thread: threading.Thread

    def __enter__(self) -> Self:
        selected = hooks.select("", self._settings.hooks)
        executor = self._closing.enter_context(
            equipped(self._worker, self.tasks, self._settings, hooks=selected, ladder=_NoLadder())
        )
        self._thread = threading.Thread(
            target=self._serve, args=(executor,), name="gearfleet-worker", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *_exc_info: object) -> None:
        self._worker.shutdown()
        self._thread.join(PATIENCE)
        if self._thread.is_alive():
            raise AssertionError(
                f"A job of the fixture `worker` is not done {PATIENCE:g} s after its test"
            )

    def _serve(self, executor: Executor) -> None:
        with self._closing:
            try:
                self._worker.work()
            finally:
                executor.close()


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
