"""`GearmanWorkerBaseCommand`: a management command that serves one task of its own.

class Command(GearmanWorkerBaseCommand):
task_name = "footest"

def do_job(self, job_data):
return job_data.upper()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings

from gearfleet.cli import worker
from gearfleet.contrib.django.management.verbs import VerbCommand
from gearfleet.errors import EXIT_RECYCLED
from gearfleet.tasks import App, Task, WorkerModule

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from gearfleet.cli.output import Output
    from gearfleet.cli.project import Project

#: The setting of django-gearman-commands, and its default.
IDLE_SETTING, IDLE_SECONDS = "GEARMAN_WORKER_HALT_TIMEOUT_IN_SECONDS", 30.0


class GearmanWorkerBaseCommand(VerbCommand):
    """Serves one task; it takes the options of ``gearfleet worker`` that say how a worker behaves.

    Attributes:
        task_name: the name of the task.
        queue: of the task.
        exit_after_job: end after one job.
        halt_if_inactive: end after `GEARMAN_WORKER_HALT_TIMEOUT_IN_SECONDS` (30) without a job.
    """

    task_name = ""
    queue = "default"
    exit_after_job = False
    halt_if_inactive = False

    help = "Serve one task until told to stop."

    def do_job(self, job_data: Any) -> Any:
        """Do a job; a result that is no text stands for ``OK``.

        Args:
            job_data: its only argument; None if it has none, or an empty one.
        """
        raise NotImplementedError(f"{type(self).__module__}.{type(self).__name__} has no do_job()")

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options of a worker's behaviour."""
        worker.add_behaviour(parser)
        limits: dict[str, Any] = {}
        if self.exit_after_job:
            limits |= {"max_jobs": 1, "startsecs": 0.0}
        if self.halt_if_inactive:
            idle = float(getattr(settings, IDLE_SETTING, IDLE_SECONDS))
            limits |= {"max_idle": idle, "startsecs": 0.0}
        parser.set_defaults(
            run=self._work,
            verb=self.task_name,
            app_name=[],
            worker_name=[],
            queue_name=[],
            processes=None,
            **limits,
        )

    def _work(self, args: Namespace, output: Output) -> int:
        code = worker.work(args, output, load=self._module)
        ends_by_itself = self.exit_after_job or self.halt_if_inactive
        return 0 if code == EXIT_RECYCLED and ends_by_itself else code

    def _module(self, _args: Namespace, _project: Project) -> WorkerModule:
        def do_job(job_data: Any = None) -> Any:
            result = self.do_job(None if job_data == "" else job_data)
            return result if isinstance(result, str) else "OK"

        module = do_job.__module__ = type(self).__module__
        do_job.__qualname__ = do_job.__name__  # no worker looks it up by its name
        return WorkerModule(
            app=App(name=module, label=self.task_name),
            worker=self.task_name,
            module=module,
            tasks=(Task(do_job, name=str(self.task_name), queue=self.queue),),
        )
