"""`GearmanWorker` of django-gearman-jbox and django-gearman: python-gearman's, with arguments."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from gearfleet import config
from gearfleet.compat.requests import ResultEncoder
from gearfleet.gearman import GearmanWorker as BytesWorker
from gearfleet.tasks import Task
from gearfleet.tasks.naming import function_name
from gearfleet.tasks.packing import Packing, Terms

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gearfleet.gearman import GearmanJob
    from gearfleet.gearman.addresses import AddressLike


class GearmanWorker(BytesWorker):
    """Runs jobs of tasks in this process; production uses ``gearfleet worker``.

    Its hosts are those of the settings. A callback finds the arguments in
    ``job.data["args"]`` and ``job.data["kwargs"]``.

    Example:
        worker = GearmanWorker()
        worker.register_task("foo", lambda worker, job: len(job.data["args"]))
        worker.work()
    """

    data_encoder = ResultEncoder

    def __init__(self, host_list: AddressLike | Sequence[AddressLike] | None = None, **kwargs: Any):
        """Use the job servers of the settings, or `host_list`; see `gearfleet.gearman`."""
        self._settings = config.current()
        self._packing = Packing.of(self._settings)
        self._terms: dict[str, Terms] = {}
        super().__init__(host_list or self._settings.servers_of_workers, **kwargs)

    def register_task(self, task: Any, callback: Callable[..., Any]) -> Any:
        """Run `callback` for every job of `task`; the settings' prefix is put before it."""
        run = _runner(callback) if isinstance(callback, Task) else callback
        function = function_name(task, self._settings.prefix)
        terms = callback.terms(function) if isinstance(callback, Task) else Terms(function)
        self._packing.refuse_without_key(terms)
        if terms.codec in {"json", "raw"}:
            raise ValueError(
                f"{function} has codec '{terms.codec}', which only `gearfleet worker` serves"
            )
        self._terms[function] = terms
        super().register_task(function, run)
        return task

    def unregister_task(self, task: Any) -> Any:
        """Take no more jobs of `task`."""
        super().unregister_task(function_name(task, self._settings.prefix))
        return task

    def on_job_execute(self, current_job: GearmanJob) -> bool:
        """Decode the arguments of a job, and run its callback."""
        try:
            call = self._packing.unpack(current_job.data, self._terms[current_job.task])
        except Exception:
            exc_info: Any = sys.exc_info()
            return self.on_job_exception(current_job, exc_info)
        current_job.data = {"args": list(call.args), "kwargs": dict(call.kwargs)}
        return super().on_job_execute(current_job)


def _runner(task: Task[..., Any]) -> Callable[[Any, GearmanJob], Any]:
    def run(_worker: Any, job: GearmanJob) -> Any:
        return task.func(*job.data["args"], **job.data["kwargs"])

    return run
