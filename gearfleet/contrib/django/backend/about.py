"""What travels with a job of a Django task, beside its arguments: `Meta.about`.

    {"backend": "default", "priority": 5, "run_after": 1767225600.0, "tracked": true,
     "started": 1767225601.5, "workers": ["..."], "errors": [["builtins.OSError", "Traceback..."]]}

What the caller chose stands there from the start; each attempt adds itself, so that the last
one knows them all. It comes over the wire, so whatever it holds is looked at before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured

from gearfleet.contrib.django.backend.api import InvalidTask, TaskError
from gearfleet.contrib.django.backend.values import aware, moment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gearfleet.contrib.django.backend.api import Task


def chosen(task: Task[..., Any], *, is_tracked: bool) -> dict[str, Any]:
    """Return what the caller chose, with `Task.using` or in the declaration."""
    told: dict[str, Any] = {"backend": task.backend}
    if task.priority:
        told["priority"] = task.priority
    if task.run_after is not None:
        told["run_after"] = aware(task.run_after).timestamp()
    return told | {"tracked": True} if is_tracked else told


def as_chosen(task: Task[..., Any], about: Mapping[str, Any]) -> Task[..., Any]:
    """Return `task` with what its caller chose; as it is declared where that is not valid any more."""
    priority, backend = about.get("priority"), about.get("backend")
    changes: dict[str, Any] = {
        "priority": priority if type(priority) is int and priority != task.priority else None,
        "backend": backend if type(backend) is str and backend != task.backend else None,
        "run_after": moment(about.get("run_after")),
    }
    if not any(change is not None for change in changes.values()):
        return task
    try:
        return task.using(**changes)
    except (InvalidTask, ImproperlyConfigured):  # the settings have changed meanwhile
        return task


def items(about: dict[str, Any], name: str) -> list[Any]:
    """Return the list `name`, which is put there if there is none."""
    if type(about.get(name)) is not list:
        about[name] = []
    found: list[Any] = about[name]
    return found


def workers_in(about: Mapping[str, Any]) -> list[str]:
    """Return the workers of all attempts."""
    return [each for each in items(dict(about), "workers") if type(each) is str]


def errors_in(about: Mapping[str, Any]) -> list[TaskError]:
    """Return why the attempts failed that were followed by another."""
    told = [each for each in items(dict(about), "errors") if type(each) is list]
    pairs = [each for each in told if [type(part) for part in each] == [str, str]]
    return [TaskError(exception_class_path=path, traceback=trace) for path, trace in pairs]
