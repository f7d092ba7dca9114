"""Tasks: declare them, find them, name them, and put their calls into bytes."""

from gearfleet.tasks.discovery import discover, load_worker
from gearfleet.tasks.registry import App, Registry, WorkerModule, apps_of
from gearfleet.tasks.submission import JobHandle, Priority, SubmitOptions, Submitter, bind
from gearfleet.tasks.task import Task, TaskWithOptions, task

__all__ = [
    "App",
    "JobHandle",
    "Priority",
    "Registry",
    "SubmitOptions",
    "Submitter",
    "Task",
    "TaskWithOptions",
    "WorkerModule",
    "apps_of",
    "bind",
    "discover",
    "load_worker",
    "task",
]
