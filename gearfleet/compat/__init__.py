"""The names of the projects that gearfleet carries on from; thin aliases, nothing else."""

from gearfleet.compat.decorators import GearmanTask, gearman_job, gearman_task

__all__ = ["GearmanTask", "gearman_job", "gearman_task"]
