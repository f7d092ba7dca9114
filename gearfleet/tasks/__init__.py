"""Tasks: declare them, find them, name them, and put their calls into bytes."""

from gearfleet.tasks.calls import TaskWithOptions
from gearfleet.tasks.discovery import discover, load_worker, load_workers
from gearfleet.tasks.registry import App, Registry, WorkerModule, apps_of, together
from gearfleet.tasks.submission import (
    HandleStatus,
    JobHandle,
    Priority,
    SubmitOptions,
    Submitter,
    TaskCall,
    bind,
)
from gearfleet.tasks.task import Task, task

__all__ = [
    "App",
    "HandleStatus",
    "JobHandle",
    "Priority",
    "Registry",
    "SubmitOptions",
    "Submitter",
    "Task",
    "TaskCall",
    "TaskWithOptions",
    "WorkerModule",
    "apps_of",
    "bind",
    "discover",
    "load_worker",
    "load_workers",
    "task",
    "together",
]
