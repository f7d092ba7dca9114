"""The names of the projects that gearfleet carries on from; thin aliases, nothing else."""

from gearfleet.compat.client import GearmanClient, submit_job
from gearfleet.compat.decorators import GearmanTask, gearman_job, gearman_task
from gearfleet.compat.worker import GearmanWorker
from gearfleet.compat.ztask import task

__all__ = [
    "GearmanClient",
    "GearmanTask",
    "GearmanWorker",
    "gearman_job",
    "gearman_task",
    "submit_job",
    "task",
]
